package scenario;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The pull consumer: queues, smallest and largest offset, offset by time, every pull status, and offsets of the group. */
final class Pull extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 3);
        Ledger ledger = new Ledger();
        DefaultMQPullConsumer consumer = puller("group");
        Set<MessageQueue> queues = consumer.fetchSubscribeMessageQueues(topic);
        Mismatch.equal(3, queues.size(), "queues to read");
        MessageQueue first = null;
        for (MessageQueue queue : queues) {
            Mismatch.equal(topic, queue.getTopic(), "topic of a queue");
            Mismatch.equal(0L, consumer.maxOffset(queue), "largest offset of an empty queue");
            Mismatch.equal(0L, consumer.minOffset(queue), "smallest offset of an empty queue");
            if (queue.getQueueId() == 0) {
                first = queue;
            }
        }
        Mismatch.equal(PullStatus.NO_NEW_MSG, consumer.pull(first, "*", 0, 32).getPullStatus(), "pull of an empty queue");

        int n = 70;
        List<SendResult> sent = new ArrayList<>();
        long middle = 0;
        for (int i = 0; i < n; i++) {
            if (i == n / 2) {
                Thread.sleep(30);
                middle = System.currentTimeMillis();
                Thread.sleep(30);
            }
            SendResult result = send(producer, ledger, message(topic, i % 2 == 0 ? "even" : "odd", "k" + i), first);
            Mismatch.equal((long) i, result.getQueueOffset(), "queue offset of send " + i);
            sent.add(result);
        }
        List<MessageExt> all = drain(consumer, first, 0, n);
        Mismatch.equal((long) n, consumer.maxOffset(first), "largest offset");
        Mismatch.equal(0L, consumer.minOffset(first), "smallest offset");
        Mismatch.equal(n, all.size(), "messages read from queue 0");
        for (int i = 0; i < n; i++) {
            Ledger.Entry entry = ledger.of(all.get(i));
            Mismatch.unless(entry != null && entry.result == sent.get(i), "message at offset " + i + " is not the one sent there");
            Ledger.verify(entry, all.get(i));
        }
        Mismatch.equal(all.get(10).getQueueOffset(), drain(consumer, first, 10).get(0).getQueueOffset(), "first message read from offset 10");

        // searchOffset: before everything, at the gap in the middle, after everything.
        Mismatch.equal(0L, consumer.searchOffset(first, all.get(0).getStoreTimestamp() - 60000), "offset before the first message");
        long found = consumer.searchOffset(first, middle);
        Mismatch.unless(found == n / 2 || found == n / 2 - 1, "offset at the gap between message " + (n / 2 - 1) + " and " + n / 2 + ": got " + found);
        long after = consumer.searchOffset(first, System.currentTimeMillis() + 60000);
        Mismatch.unless(after == n || after == n - 1, "offset after the last of " + n + " messages: got " + after);
        long earliest = consumer.earliestMsgStoreTime(first);
        Mismatch.equal(all.get(0).getStoreTimestamp(), earliest, "store time of the first message");

        PullResult tagged = consumer.pull(first, "odd", 0, 32);
        Mismatch.equal(PullStatus.FOUND, tagged.getPullStatus(), "pull with a tag");
        for (MessageExt message : tagged.getMsgFoundList()) {
            Mismatch.equal("odd", message.getTags(), "tag of a message pulled by the tag odd");
        }
        PullResult nothing = consumer.pull(first, "none-has-this", 0, 32);
        Mismatch.equal(PullStatus.NO_MATCHED_MSG, nothing.getPullStatus(), "pull with a tag that no message has");
        Mismatch.unless(nothing.getNextBeginOffset() > 0, "a pull without match must go on: next offset " + nothing.getNextBeginOffset());
        PullResult beyond = consumer.pull(first, "*", n + 1000, 32);
        Mismatch.equal(PullStatus.OFFSET_ILLEGAL, beyond.getPullStatus(), "pull far behind the end");
        Mismatch.equal((long) n, beyond.getNextBeginOffset(), "offset to go on from after a pull far behind the end");
        Mismatch.equal(PullStatus.NO_NEW_MSG, consumer.pull(first, "*", n, 32).getPullStatus(), "pull at the end");
        Mismatch.equal((long) n, beyond.getMaxOffset(), "largest offset in a pull result");

        // Java answers 0, not "none", while the queue still begins at 0 and its first message is recent.
        Mismatch.equal(0L, consumer.fetchConsumeOffset(first, true), "offset of a group that never stored one");
        consumer.updateConsumeOffset(first, 33);
        consumer.getDefaultMQPullConsumerImpl().getOffsetStore().persist(first);
        final DefaultMQPullConsumer again = consumer;
        final MessageQueue queue = first;
        await(5000, "offset 33 readable after it was stored", () -> again.fetchConsumeOffset(queue, true) == 33);
        PullResult block = consumer.pullBlockIfNotFound(first, "*", n - 1, 32);
        Mismatch.equal(1, block.getMsgFoundList().size(), "messages of a blocking pull at the last message");
        fact(n + " messages, offset by time " + found + " of " + n / 2);
    }
}
