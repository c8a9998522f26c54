package scenario;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Sent by hash of a key to two queues, consumed under the queue lock: each queue in the order of its offsets without a gap. */
final class Orderly extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 2);
        final Ledger ledger = new Ledger();
        final Map<Integer, List<Long>> order = new ConcurrentHashMap<>();
        int n = number("n", 200);
        int[] perQueue = new int[2];
        for (int i = 0; i < n; i++) {
            if (i == n / 2) {
                DefaultMQPushConsumer consumer = consumer("group");
                consumer.subscribe(topic, "*");
                consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                    for (MessageExt message : messages) {
                        order.computeIfAbsent(message.getQueueId(), q -> Collections.synchronizedList(new ArrayList<>())).add(message.getQueueOffset());
                        ledger.seen(message);
                    }
                    return ConsumeOrderlyStatus.SUCCESS;
                });
                consumer.start();
            }
            Message message = message(topic, "T", "k" + i);
            Ledger.Entry entry = ledger.plan(message);
            SendResult result = producer.send(message, new SelectMessageQueueByHash(), i % 2);
            entry.sent(result);
            perQueue[result.getMessageQueue().getQueueId()]++;
        }
        Mismatch.unless(perQueue[0] == n / 2 && perQueue[1] == n / 2, "two hashes must go to two queues: " + perQueue[0] + " and " + perQueue[1]);
        ledger.settle(1, 90000);
        for (int queue = 0; queue < 2; queue++) {
            List<Long> offsets = order.get(queue);
            for (int i = 0; i < offsets.size(); i++) {
                Mismatch.equal((long) i, offsets.get(i), "place " + i + " of queue " + queue + " in the order of delivery");
            }
        }
        fact(n + " messages in 2 queues");
    }
}
