package scenario;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Batches: one queue, adjoining offsets in the order of the list, each message with its own keys, tag, properties and unique id.
 * The 5.x producer gives the batch an id of its own; Java 4.9.7 stores that id in every message, so there the ids are not held
 * against it (server=java). A message's own id must win.
 */
final class Batch extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 2);
        DefaultMQPullConsumer consumer = puller("group");
        Ledger pushed = new Ledger();
        int messages = 0;
        for (int size : new int[] {1, 2, 50, 500}) {
            List<Message> batch = new ArrayList<>();
            for (int i = 0; i < size; i++) {
                batch.add(message(topic, "T" + i % 3, "s" + size + "i" + i));
            }
            for (Message message : batch) {
                pushed.plan(message).moved();
            }
            SendResult result = producer.send(batch);
            Mismatch.equal(SendStatus.SEND_OK, result.getSendStatus(), "status of a batch of " + size);
            List<MessageExt> got = drain(consumer, result.getMessageQueue(), result.getQueueOffset(),
                result.getQueueOffset() + size);
            Mismatch.equal(size, got.size(), "messages behind the first offset " + result.getQueueOffset() + " of a batch of " + size);
            String[] ids = result.getMsgId().split(",");
            String[] offsetIds = result.getOffsetMsgId().split(",");
            Set<String> unique = new HashSet<>();
            for (int i = 0; i < size; i++) {
                Ledger.Entry entry = pushed.of(got.get(i));
                Mismatch.unless(entry != null, "message " + i + " of a batch of " + size + " was never sent");
                Mismatch.equal(batch.get(i).getKeys(), got.get(i).getKeys(), "order inside a batch of " + size + ", place " + i);
                Ledger.verifyContent(entry, got.get(i));
                unique.add(got.get(i).getMsgId());
                if (ids.length == size && !ownIdsLost()) {
                    Mismatch.equal(ids[i], got.get(i).getMsgId(), "id of place " + i + " in a batch of " + size);
                }
            }
            Mismatch.equal(size, offsetIds.length, "offset ids in the answer to a batch: " + Arrays.toString(offsetIds));
            if (!ownIdsLost()) {
                Mismatch.equal(size, unique.size(), "different ids among a batch of " + size);
            }
            MessageExt last = Compat.viewByOffsetId(producer, topic, offsetIds[size - 1]);
            Mismatch.equal(batch.get(size - 1).getKeys(), last.getKeys(), "keys of the message that the last offset id of a batch names");
            messages += size;
        }
        consumeInto(pushed, "pushed", topic, "*");
        pushed.await(1, 90000);
        pushed.verify();
        fact(messages + " messages in 4 batches");
    }

    private boolean ownIdsLost() {
        return serverIsJava() && Compat.isFive();
    }
}
