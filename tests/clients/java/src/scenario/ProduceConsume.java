package scenario;

import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** A topic made by its first send; everything sent is consumed once by a concurrent push consumer, and says what was sent. */
final class ProduceConsume extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        Ledger ledger = new Ledger();
        int n = number("n", 200);
        for (int i = 0; i < n / 2; i++) {
            send(producer, ledger, message(topic, "Tag" + i % 3, "before" + i));
        }
        consumeInto(ledger, "group", topic, "*");
        for (int i = 0; i < n / 2; i++) {
            send(producer, ledger, message(topic, i % 10 == 0 ? null : "Tag" + i % 3, "during" + i + " second" + i));
        }
        ledger.settle(1, 90000);
        fact(n + " messages");
    }
}
