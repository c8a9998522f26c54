package scenario;

import java.util.Arrays;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Bodies of 1 MiB that the client compresses (text) and that do not shrink (random), nearly 4 MiB, one byte, and bodies around the
 * 4 KiB from which the client compresses. A body over the broker's limit is refused and the connection stays usable.
 */
final class LargeBody extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 2);
        Ledger ledger = new Ledger();
        byte[] text = new byte[1 << 20];
        for (int i = 0; i < text.length; i++) {
            text[i] = (byte) ("RingMQ keeps what it is given. ".charAt(i % 31));
        }
        byte[][] bodies = {text, Bytes.random(1 << 20, 1), Bytes.random(4 * 1024 * 1024 - 4096, 2), Bytes.random(1, 3), Arrays.copyOf(text, 4096),
            Arrays.copyOf(text, 4097), Bytes.random(70000, 4)};
        consumeInto(ledger, "group", topic, "*");
        for (int i = 0; i < bodies.length; i++) {
            Message message = new Message(topic, "T", "size" + bodies[i].length, bodies[i]);
            send(producer, ledger, message);
        }
        ledger.settle(1, 90000);
        for (Ledger.Entry entry : ledger.entries()) {
            if (entry.body.length >= 4096 && entry.body[0] == 'R') {
                MessageExt got = entry.seen.peek();
                Mismatch.unless(got.getStoreSize() < entry.body.length, "stored size " + got.getStoreSize() + " of a body that the client compresses from " + entry.body.length + " bytes");
            }
        }
        producer.setMaxMessageSize(16 * 1024 * 1024);
        try {
            producer.send(new Message(topic, "T", "toolarge", Bytes.random(5 * 1024 * 1024, 5)));
            throw new Mismatch("a body of 5 MiB was taken, the limit is 4 MiB");
        } catch (org.apache.rocketmq.client.exception.MQBrokerException expected) {
            Mismatch.equal(13, expected.getResponseCode(), "response code for a body over the limit");
        }
        Message after = message(topic, "T", "after");
        send(producer, ledger, after);
        ledger.settle(1, 90000);
        fact(bodies.length + " sizes");
    }
}
