package scenario;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * n messages wait in one queue and are then consumed in order while another topic is served: each of the n exactly once, at its
 * place, with its content; the other topic complete and its latency bounded.
 */
final class Backlog extends Case {
    private static final int BATCH = 500;

    private static byte[] body(int number) {
        ByteBuffer body = ByteBuffer.allocate(64);
        long value = number * 0x9E3779B97F4A7C15L;
        body.putInt(number);
        while (body.remaining() >= 8) {
            value ^= value >>> 29;
            value *= 0xBF58476D1CE4E5B9L;
            body.putLong(value);
        }
        return body.array();
    }

    @Override
    void run() throws Exception {
        final int n = number("n", 1000000) / BATCH * BATCH;
        String topic = name("topic");
        final String side = name("side");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 1);
        createTopic(producer, side, 1);
        MessageQueue queue = producer.fetchPublishMessageQueues(topic).get(0);
        long begin = System.nanoTime();
        for (int i = 0; i < n; i += BATCH) {
            List<Message> batch = new ArrayList<>(BATCH);
            for (int k = i; k < i + BATCH; k++) {
                Message message = new Message(topic, body(k));
                batch.add(message);
            }
            SendResult result = producer.send(batch, queue);
            Mismatch.equal(SendStatus.SEND_OK, result.getSendStatus(), "status of the batch at " + i);
            Mismatch.equal((long) i, result.getQueueOffset(), "offset of the batch at " + i);
        }
        fact(String.format("%,d filled at %,.0f/s", n, n / ((System.nanoTime() - begin) / 1e9)));

        final Map<String, Long> sent = new ConcurrentHashMap<>();
        final List<Long> latency = Collections.synchronizedList(new ArrayList<>());
        DefaultMQPushConsumer sideConsumer = consumer("side");
        sideConsumer.subscribe(side, "*");
        sideConsumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                Long at = sent.remove(message.getKeys());
                if (at != null) {
                    latency.add((System.nanoTime() - at) / 1000);
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        sideConsumer.start();
        final DefaultMQProducer sideProducer = producer();
        final AtomicBoolean stop = new AtomicBoolean();
        final List<Throwable> failure = Collections.synchronizedList(new ArrayList<>());
        final AtomicLong sideSent = new AtomicLong();
        Thread sideThread = new Thread(() -> {
            try {
                while (!stop.get()) {
                    String key = "s" + sideSent.incrementAndGet();
                    sent.put(key, System.nanoTime());
                    sideProducer.send(new Message(side, "T", key, Bytes.utf8(key)));
                    Thread.sleep(10);
                }
            } catch (Throwable e) {
                failure.add(e);
            }
        });

        final AtomicIntegerArray times = new AtomicIntegerArray(n);
        final AtomicLong next = new AtomicLong();
        final AtomicLong wrong = new AtomicLong();
        DefaultMQPushConsumer consumer = consumer("group");
        consumer.setPullBatchSize(32);
        consumer.setConsumeMessageBatchMaxSize(32);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            for (MessageExt message : messages) {
                int number = message.getBody().length == 64 ? ByteBuffer.wrap(message.getBody()).getInt() : -1;
                if (number < 0 || number >= n || number != message.getQueueOffset() || !java.util.Arrays.equals(message.getBody(), body(number))
                    || next.getAndIncrement() != number) {
                    wrong.incrementAndGet();
                } else {
                    times.incrementAndGet(number);
                }
            }
            return ConsumeOrderlyStatus.SUCCESS;
        });
        long started = System.nanoTime();
        sideThread.start();
        consumer.start();
        try {
            long limit_ms = 60000 + n / 5;
            await(limit_ms, n + " messages of the backlog", () -> next.get() >= n);
        } finally {
            stop.set(true);
            sideThread.join();
            fact(String.format("%,d consumed at %,.0f/s", next.get(), next.get() / ((System.nanoTime() - started) / 1e9)));
        }
        Mismatch.equal(0L, wrong.get(), "messages out of place or with another content");
        for (int i = 0; i < n; i++) {
            Mismatch.equal(1, times.get(i), "deliveries of message " + i);
        }
        Mismatch.unless(failure.isEmpty(), "sending to the other topic failed: " + failure);
        await(20000, "all " + sideSent + " messages of the other topic, " + sent.size() + " missing", sent::isEmpty);
        Collections.sort(latency);
        long p99 = latency.get((int) (latency.size() * 0.99));
        fact(String.format("other topic: %d messages, send to listener p50 %.1f p99 %.1f max %.1f ms", latency.size(), latency.get(latency.size() / 2) / 1e3,
            p99 / 1e3, latency.get(latency.size() - 1) / 1e3));
        Mismatch.unless(p99 < number("side_p99_ms", 1000) * 1000L, "the other topic waits: p99 " + p99 / 1000 + " ms beside the backlog");
    }
}
