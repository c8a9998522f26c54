package scenario;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * A second consumer of the group joins and leaves while messages flow: after each change the queues are shared without overlap
 * or gap, within the time a notification takes (not the 20 s of the client's own timer); every message arrives at least once.
 */
final class Rebalance extends Case {
    private static final int QUEUES = 8;
    private final Ledger ledger = new Ledger();

    private DefaultMQPushConsumer member(String topic) throws Exception {
        DefaultMQPushConsumer consumer = consumer("group");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                ledger.seen(message);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    private static Set<MessageQueue> held(DefaultMQPushConsumer consumer, String topic) {
        Set<MessageQueue> queues = new HashSet<>();
        for (MessageQueue queue : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
            if (queue.getTopic().equals(topic)) {
                queues.add(queue);
            }
        }
        return queues;
    }

    @Override
    void run() throws Exception {
        final String topic = name("topic");
        final DefaultMQProducer producer = producer();
        createTopic(producer, topic, QUEUES);
        final AtomicBoolean stop = new AtomicBoolean();
        final List<Throwable> failure = java.util.Collections.synchronizedList(new ArrayList<>());
        Thread sender = new Thread(() -> {
            try {
                for (int i = 0; !stop.get(); i++) {
                    send(producer, ledger, message(topic, "T", "k" + i));
                    Thread.sleep(2);
                }
            } catch (Throwable e) {
                failure.add(e);
            }
        });
        sender.start();
        try {
            final DefaultMQPushConsumer first = member(topic);
            await(20000, "the first consumer holds all " + QUEUES + " queues", () -> held(first, topic).size() == QUEUES);
            long joined = System.currentTimeMillis();
            final DefaultMQPushConsumer second = member(topic);
            final Set<MessageQueue> all = ConcurrentHashMap.newKeySet();
            await(15000, "two consumers share " + QUEUES + " queues in halves", () -> {
                Set<MessageQueue> one = held(first, topic);
                Set<MessageQueue> two = held(second, topic);
                all.clear();
                all.addAll(one);
                all.addAll(two);
                return one.size() == QUEUES / 2 && two.size() == QUEUES / 2 && all.size() == QUEUES;
            });
            fact("shared after " + (System.currentTimeMillis() - joined) + " ms");
            Thread.sleep(500);
            long left = System.currentTimeMillis();
            second.shutdown();
            await(15000, "the first consumer took all queues back", () -> held(first, topic).size() == QUEUES);
            fact("taken back after " + (System.currentTimeMillis() - left) + " ms");
            Thread.sleep(300);
        } finally {
            stop.set(true);
            sender.join();
        }
        Mismatch.unless(failure.isEmpty(), "sending failed: " + failure);
        ledger.await(1, 90000);
        ledger.verify();
        int twice = 0;
        for (Ledger.Entry entry : ledger.entries()) {
            twice += entry.seen.size() > 1 ? 1 : 0;
        }
        fact(ledger.size() + " messages, " + twice + " of them more than once");
    }
}
