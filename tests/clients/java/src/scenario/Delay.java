package scenario;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Delay levels 1, 2 and 3 (1, 5 and 10 s): complete, unchanged, never early, at most late_ms late; and a level above the last. */
final class Delay extends Case {
    private static final long[] DELAY_MS = {0, 1000, 5000, 10000};

    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 2);
        final java.util.Map<Ledger.Entry, Long> arrival = new java.util.concurrent.ConcurrentHashMap<>();
        final Ledger ledger = new Ledger();
        org.apache.rocketmq.client.consumer.DefaultMQPushConsumer consumer = consumer("group");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently) (messages, context) -> {
            long now = System.currentTimeMillis();
            for (MessageExt message : messages) {
                Ledger.Entry entry = ledger.of(message);
                if (entry != null) {
                    arrival.putIfAbsent(entry, now);
                }
                ledger.seen(message);
            }
            return org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        // The client may take up to 30 s to its first pull; that is not the delay's lateness.
        send(producer, ledger, message(topic, "T0", "first"));
        ledger.await(1, 90000);
        java.util.Map<Ledger.Entry, long[]> sent = new java.util.LinkedHashMap<>();
        for (int i = 0; i < 40; i++) {
            int level = 3 - i % 4;
            Message message = message(topic, "T" + level, "level" + level + "n" + i);
            message.setDelayTimeLevel(level);
            Ledger.Entry entry = ledger.plan(message);
            if (level > 0) {
                entry.moved();
            }
            long before = System.currentTimeMillis();
            SendResult result = producer.send(message);
            entry.sent(result);
            sent.put(entry, new long[] {before + DELAY_MS[level], System.currentTimeMillis() + DELAY_MS[level], level});
        }
        ledger.settle(1, 90000);
        long allowed = number("late_ms", 2000);
        List<Long> late = new ArrayList<>();
        for (java.util.Map.Entry<Ledger.Entry, long[]> one : sent.entrySet()) {
            long at = arrival.get(one.getKey());
            long level = one.getValue()[2];
            if (level == 0) {
                continue;
            }
            Mismatch.unless(at >= one.getValue()[0], one.getKey().label() + " of level " + level + " came " + (one.getValue()[0] - at) + " ms early");
            Mismatch.unless(at - one.getValue()[1] <= allowed, one.getKey().label() + " of level " + level + " came " + (at - one.getValue()[1])
                + " ms late, allowed are " + allowed);
            late.add(Math.max(0, at - one.getValue()[1]));
        }
        java.util.Collections.sort(late);
        fact("late by median " + late.get(late.size() / 2) + " ms, most " + late.get(late.size() - 1) + " ms");
    }
}
