package scenario;

import java.util.List;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageQueue;

/** A topic of 64 queues: two messages to each, all consumed, each from the queue it was sent to. */
final class ManyQueues extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        int n = number("queues", 64);
        createTopic(producer, topic, n);
        List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
        Mismatch.equal(n, queues.size(), "queues");
        Ledger ledger = new Ledger();
        for (int i = 0; i < 2; i++) {
            for (MessageQueue queue : queues) {
                long offset = send(producer, ledger, message(topic, "T", "q" + queue.getQueueId() + "n" + i), queue).getQueueOffset();
                Mismatch.equal((long) i, offset, "offset in " + queue);
            }
        }
        consumeInto(ledger, "group", topic, "*");
        ledger.settle(1, 90000);
        fact(n + " queues");
    }
}
