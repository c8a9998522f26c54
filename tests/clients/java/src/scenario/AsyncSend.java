package scenario;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;

/** Many sends in flight on one connection: each callback gets the answer to its own message. */
final class AsyncSend extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        producer.setRetryTimesWhenSendAsyncFailed(0);
        createTopic(producer, topic, 4);
        Ledger ledger = new Ledger();
        int n = 1000;
        final CountDownLatch answers = new CountDownLatch(n);
        final AtomicReference<Throwable> failure = new AtomicReference<>();
        for (int i = 0; i < n; i++) {
            Message message = message(topic, "T", "k" + i);
            final Ledger.Entry entry = ledger.plan(message);
            producer.send(message, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    try {
                        entry.sent(result);
                    } catch (RuntimeException e) {
                        failure.compareAndSet(null, e);
                    }
                    answers.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    failure.compareAndSet(null, e);
                    answers.countDown();
                }
            });
        }
        Mismatch.unless(answers.await(30, TimeUnit.SECONDS), answers.getCount() + " of " + n + " sends without an answer after 30 s");
        Mismatch.unless(failure.get() == null, "an asynchronous send failed: " + failure.get());
        consumeInto(ledger, "group", topic, "*");
        ledger.settle(1, 90000);
        fact(n + " messages");
    }
}
