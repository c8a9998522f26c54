package scenario;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Subscriptions by tag: one, several, all; two tags of one hash ("Aa" and "BB") are still told apart. */
final class TagFilter extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 4);
        Ledger one = new Ledger();
        Ledger two = new Ledger();
        Ledger all = new Ledger();
        String[] tags = {"Aa", "BB", "C", null};
        consumeInto(one, "one", topic, "Aa");
        consumeInto(two, "two", topic, "BB || C");
        consumeInto(all, "all", topic, "*");
        for (int i = 0; i < 120; i++) {
            String tag = tags[i % tags.length];
            Message message = message(topic, tag, "k" + i);
            Ledger.Entry a = "Aa".equals(tag) ? one.plan(message) : null;
            Ledger.Entry b = "BB".equals(tag) || "C".equals(tag) ? two.plan(message) : null;
            Ledger.Entry c = all.plan(message);
            org.apache.rocketmq.client.producer.SendResult result = producer.send(message);
            for (Ledger.Entry entry : new Ledger.Entry[] {a, b, c}) {
                if (entry != null) {
                    entry.sent(result);
                }
            }
        }
        all.settle(1, 90000);
        one.settle(1, 90000);
        two.settle(1, 90000);
        fact(one.size() + " and " + two.size() + " of " + all.size());
    }
}
