package scenario;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** One-way sends: no answer, all of them stored. */
final class OneWay extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 4);
        Ledger ledger = new Ledger();
        consumeInto(ledger, "group", topic, "*");
        for (int i = 0; i < 100; i++) {
            Message message = message(topic, "T", "k" + i);
            ledger.plan(message);
            producer.sendOneway(message);
        }
        ledger.settle(1, 90000);
        fact("100 messages");
    }
}
