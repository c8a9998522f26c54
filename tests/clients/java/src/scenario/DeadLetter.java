package scenario;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** maxReconsumeTimes=1: after two failed tries a message lies in %DLQ%group with body, keys, tags, properties and its origin. */
final class DeadLetter extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 1);
        final Map<String, AtomicInteger> tries = new ConcurrentHashMap<>();
        DefaultMQPushConsumer consumer = consumer("group");
        consumer.subscribe(topic, "*");
        consumer.setMaxReconsumeTimes(1);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            tries.computeIfAbsent(messages.get(0).getKeys(), k -> new AtomicInteger()).incrementAndGet();
            context.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        });
        consumer.start();
        final Ledger ledger = new Ledger();
        for (int i = 0; i < 10; i++) {
            Message message = message(topic, "T" + i, "dead" + i);
            message.putUserProperty("kept", "value " + i);
            ledger.plan(message).moved().sent(producer.send(message));
        }
        final String dead = "%DLQ%" + name("group");
        final DefaultMQPullConsumer reader = puller("reader");
        final Set<String> seen = ConcurrentHashMap.newKeySet();
        await(60000, "10 messages in " + dead, () -> {
            Set<MessageQueue> queues;
            try {
                queues = reader.fetchSubscribeMessageQueues(dead);
            } catch (org.apache.rocketmq.client.exception.MQClientException noRouteYet) {
                Thread.sleep(200);
                return false;
            }
            for (MessageQueue queue : queues) {
                for (MessageExt message : drain(reader, queue, 0)) {
                    if (seen.add(queue.getQueueId() + "@" + message.getQueueOffset())) {
                        ledger.seen(message);
                    }
                }
            }
            return ledger.missing(1) == 0;
        });
        for (Ledger.Entry entry : ledger.entries()) {
            Mismatch.equal(1, entry.seen.size(), "copies in the dead letter queue of " + entry.label());
            MessageExt got = entry.seen.peek();
            Mismatch.equal(dead, got.getTopic(), "topic of a dead letter");
            Ledger.verifyContent(entry, got);
            Mismatch.equal(entry.result.getMsgId(), got.getMsgId(), "id of a dead letter");
            Mismatch.equal(topic, got.getProperty("RETRY_TOPIC"), "RETRY_TOPIC of a dead letter");
            Mismatch.unless(got.getProperty("ORIGIN_MESSAGE_ID") != null, "no ORIGIN_MESSAGE_ID in a dead letter");
            Mismatch.equal(2, tries.get(entry.keys).get(), "tries before " + entry.label() + " became a dead letter");
        }
        fact("10 dead letters");
    }
}
