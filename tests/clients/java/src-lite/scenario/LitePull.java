package scenario;

import java.util.Collection;
import java.util.Collections;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The lite pull consumer (4.6 and later): subscribe and poll, commit, restart from the commit; assign and seek. */
final class LitePull extends Case {
    private DefaultLitePullConsumer lite(String group, String instance) {
        final DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(name(group));
        consumer.setNamesrvAddr(nameserver());
        consumer.setInstanceName(name(instance));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        return consumer;
    }

    private static void poll(DefaultLitePullConsumer consumer, Ledger ledger, long timeout_ms) throws Exception {
        long deadline = System.currentTimeMillis() + timeout_ms;
        while (ledger.missing(1) > 0 && System.currentTimeMillis() < deadline) {
            for (MessageExt message : consumer.poll(500)) {
                ledger.seen(message);
            }
        }
        ledger.settle(1, 1);
    }

    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 4);
        Ledger first = new Ledger();
        for (int i = 0; i < 100; i++) {
            send(producer, first, message(topic, "T", "a" + i));
        }
        DefaultLitePullConsumer consumer = lite("group", "one");
        consumer.subscribe(topic, "*");
        consumer.start();
        poll(consumer, first, 90000);
        consumer.commitSync();
        consumer.shutdown();

        Ledger second = new Ledger();
        for (int i = 0; i < 40; i++) {
            send(producer, second, message(topic, "T", "b" + i));
        }
        DefaultLitePullConsumer successor = lite("group", "two");
        successor.subscribe(topic, "*");
        successor.start();
        poll(successor, second, 90000);
        successor.shutdown();

        DefaultLitePullConsumer assigned = lite("assigned", "three");
        assigned.start();
        onClose(assigned::shutdown);
        Collection<MessageQueue> queues = assigned.fetchMessageQueues(topic);
        Mismatch.equal(4, queues.size(), "queues of the topic");
        MessageQueue queue = queues.iterator().next();
        assigned.assign(Collections.singletonList(queue));
        assigned.seek(queue, 5);
        long deadline = System.currentTimeMillis() + 20000;
        List<MessageExt> got = Collections.emptyList();
        while (got.isEmpty() && System.currentTimeMillis() < deadline) {
            got = assigned.poll(500);
        }
        Mismatch.unless(!got.isEmpty(), "nothing polled after seek to offset 5 of " + queue);
        Mismatch.equal(5L, got.get(0).getQueueOffset(), "offset of the first message after seek to 5");
        fact("100 and 40 messages");
    }
}
