package scenario;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A concurrent consumer fails some messages at the first try: they come again through %RETRY% with their content and original
 * topic, reconsume times 1 and the original id, not before the first retry delay; the others come once.
 */
final class Retry extends Case {
    @Override
    void run() throws Exception {
        final String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 2);
        final Ledger passing = new Ledger();
        final Ledger failing = new Ledger();
        final Set<String> wrong = ConcurrentHashMap.newKeySet();
        final java.util.Map<String, Long> failedAt = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = consumer("group");
        consumer.subscribe(topic, "*");
        consumer.setConsumeMessageBatchMaxSize(1);
        // Retry levels begin at delay level 3; 1 (a second) keeps the scenario short.
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            MessageExt message = messages.get(0);
            if (passing.of(message) != null) {
                passing.seen(message);
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            }
            if (message.getReconsumeTimes() == 0) {
                failedAt.put(message.getKeys(), System.currentTimeMillis());
                context.setDelayLevelWhenNextConsume(1);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            failing.seen(message);
            Long at = failedAt.get(message.getKeys());
            if (message.getReconsumeTimes() != 1) {
                wrong.add(message.getKeys() + " has reconsume times " + message.getReconsumeTimes());
            }
            if (at == null || System.currentTimeMillis() - at < 1000) {
                wrong.add(message.getKeys() + " came again after " + (at == null ? "nothing" : (System.currentTimeMillis() - at) + " ms"));
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        for (int i = 0; i < 30; i++) {
            if (i % 3 == 0) {
                org.apache.rocketmq.common.message.Message message = message(topic, "T", "fail" + i);
                failing.plan(message).moved().sent(producer.send(message));
            } else {
                send(producer, passing, message(topic, "T", "pass" + i));
            }
        }
        passing.settle(1, 90000);
        failing.settle(1, 90000);
        Mismatch.unless(wrong.isEmpty(), "second deliveries: " + wrong);
        fact(failing.size() + " retried of 30");
    }
}
