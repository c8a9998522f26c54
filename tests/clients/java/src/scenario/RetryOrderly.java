package scenario;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** An orderly consumer suspends its queue at one message: nothing overtakes it, and the queue goes on after the retry. */
final class RetryOrderly extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 1);
        MessageQueue queue = producer.fetchPublishMessageQueues(topic).get(0);
        final Ledger ledger = new Ledger();
        for (int i = 0; i < 20; i++) {
            send(producer, ledger, message(topic, "T", "k" + i), queue);
        }
        final AtomicInteger failures = new AtomicInteger();
        final List<Long> order = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer consumer = consumer("group");
        consumer.subscribe(topic, "*");
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            MessageExt message = messages.get(0);
            if (message.getQueueOffset() == 7 && failures.incrementAndGet() <= 2) {
                context.setSuspendCurrentQueueTimeMillis(200);
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            order.add(message.getQueueOffset());
            ledger.seen(message);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        ledger.settle(1, 90000);
        for (int i = 0; i < 20; i++) {
            Mismatch.equal((long) i, order.get(i), "place " + i + " in the order of delivery");
        }
        Mismatch.equal(3, failures.get(), "tries of offset 7");
    }
}
