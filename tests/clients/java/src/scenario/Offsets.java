package scenario;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** A consumer that stops leaves its offsets with the broker: its successor goes on behind them, nothing comes twice. */
final class Offsets extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 4);
        Ledger before = new Ledger();
        for (int i = 0; i < 80; i++) {
            send(producer, before, message(topic, "T", "before" + i));
        }
        DefaultMQPushConsumer first = consumeInto(before, "group", topic, "*");
        before.settle(1, 90000);
        first.shutdown();
        Ledger while_down = new Ledger();
        for (int i = 0; i < 40; i++) {
            send(producer, while_down, message(topic, "T", "down" + i));
        }
        // The successor's ledger knows only the later messages: an old one that comes again is a stranger there.
        consumeInto(while_down, "group", topic, "*");
        while_down.settle(1, 90000);
        fact("80 before and 40 after the restart");
    }
}
