package scenario;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** A waiting consumer gets a message when it is stored, not at the next poll: time from send to listener for single messages. */
final class LongPoll extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 1);
        final AtomicLong arrived = new AtomicLong();
        final CountDownLatch[] waiting = new CountDownLatch[1];
        waiting[0] = new CountDownLatch(1);
        DefaultMQPushConsumer consumer = consumer("group");
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            arrived.set(System.nanoTime());
            waiting[0].countDown();
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        producer.send(message(topic, "T", "first"));
        Mismatch.unless(waiting[0].await(90, TimeUnit.SECONDS), "first message not consumed within 90 s");
        List<Long> times = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            waiting[0] = new CountDownLatch(1);
            Thread.sleep(20);
            long sent = System.nanoTime();
            producer.send(message(topic, "T", "k" + i));
            Mismatch.unless(waiting[0].await(10, TimeUnit.SECONDS), "message " + i + " not consumed within 10 s");
            times.add((arrived.get() - sent) / 1000);
        }
        Collections.sort(times);
        fact(String.format("send to listener: median %.1f ms, most %.1f ms", times.get(25) / 1e3, times.get(49) / 1e3));
        Mismatch.unless(times.get(25) < number("median_us", 100000), "median from send to listener is " + times.get(25) + " us: held pulls are not woken");
    }
}
