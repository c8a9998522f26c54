package scenario;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * One scenario: its arguments, its own topics and groups (names carry the run, so nothing is shared with another scenario or an
 * earlier run), and the clients it opened, which close() ends in the reverse order.
 */
abstract class Case {
    private static final AtomicInteger SERIAL = new AtomicInteger();

    interface Closer {
        void close() throws Exception;
    }

    private final Deque<Closer> closers = new ArrayDeque<>();
    private final List<String> facts = new ArrayList<>();
    private Map<String, String> options;
    private String prefix;

    abstract void run() throws Exception;

    final void prepare(String name, Map<String, String> options) {
        this.options = options;
        this.prefix = name.replace('-', '_') + "_" + Long.toString(System.currentTimeMillis(), 36) + SERIAL.incrementAndGet();
    }

    final String option(String key, String fallback) {
        return options.getOrDefault(key, fallback);
    }

    final int number(String key, int fallback) {
        return Integer.parseInt(option(key, Integer.toString(fallback)));
    }

    /** True when the server under test is Java itself, whose known flaws are then not held against it. */
    final boolean serverIsJava() {
        return option("server", "ringmq").equals("java");
    }

    final String nameserver() {
        return option("ns", "127.0.0.1:9876");
    }

    final String name(String what) {
        return prefix + "_" + what;
    }

    final void fact(String text) {
        synchronized (facts) {
            facts.add(text);
        }
    }

    final String facts() {
        return String.join(", ", facts);
    }

    final void onClose(Closer closer) {
        closers.push(closer);
    }

    final void close() {
        for (Closer closer : closers) {
            try {
                closer.close();
            } catch (Exception e) {
                System.err.println("closing " + prefix + ": " + e);
            }
        }
    }

    /** A started producer with connections of its own. */
    final DefaultMQProducer producer() throws Exception {
        final DefaultMQProducer producer = new DefaultMQProducer(name("producer" + SERIAL.incrementAndGet()));
        producer.setNamesrvAddr(nameserver());
        producer.setInstanceName(name("p" + SERIAL.incrementAndGet()));
        producer.setSendMsgTimeout(15000);
        producer.start();
        onClose(producer::shutdown);
        return producer;
    }

    /** A push consumer from the first offset on; the caller subscribes, registers a listener and starts it. */
    final DefaultMQPushConsumer consumer(String group) {
        final DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(name(group));
        consumer.setNamesrvAddr(nameserver());
        consumer.setInstanceName(name("c" + SERIAL.incrementAndGet()));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(2);
        consumer.setConsumeThreadMax(4);
        onClose(consumer::shutdown);
        return consumer;
    }

    /** Starts a concurrent push consumer that hands everything to the ledger and always succeeds. */
    final DefaultMQPushConsumer consumeInto(final Ledger ledger, String group, String topic, String tags) throws Exception {
        DefaultMQPushConsumer consumer = consumer(group);
        consumer.subscribe(topic, tags);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt message : messages) {
                ledger.seen(message);
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        return consumer;
    }

    final DefaultMQPullConsumer puller(String group) throws Exception {
        final DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(name(group));
        consumer.setNamesrvAddr(nameserver());
        consumer.setInstanceName(name("l" + SERIAL.incrementAndGet()));
        consumer.start();
        onClose(consumer::shutdown);
        return consumer;
    }

    final DefaultMQAdminExt admin() throws Exception {
        final DefaultMQAdminExt admin = new DefaultMQAdminExt(10000);
        admin.setNamesrvAddr(nameserver());
        admin.setInstanceName(name("a" + SERIAL.incrementAndGet()));
        admin.start();
        onClose(admin::shutdown);
        return admin;
    }

    /** Creates a topic through the brokers that hold TBW102, as DefaultMQProducer.createTopic does. */
    final void createTopic(DefaultMQProducer producer, String topic, int queues) throws Exception {
        try {
            DefaultMQProducer.class.getMethod("createTopic", String.class, String.class, int.class).invoke(producer, "TBW102", topic, queues);
        } catch (NoSuchMethodException newer) { // 5.x added the attributes
            DefaultMQProducer.class.getMethod("createTopic", String.class, String.class, int.class, Map.class)
                .invoke(producer, "TBW102", topic, queues, null);
        }
        long deadline = System.currentTimeMillis() + 35000;
        while (true) {
            try {
                int found = producer.fetchPublishMessageQueues(topic).size();
                Mismatch.equal(queues, found, "queues of the new topic " + topic);
                return;
            } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
                // The broker registers the topic at once, yet one nameserver may answer before it heard.
                Mismatch.unless(System.currentTimeMillis() < deadline, "topic " + topic + " has no route 35 s after its creation: " + notYet);
                Thread.sleep(50);
            }
        }
    }

    /** A message whose body no other message of the run has, with keys, a tag, a flag and a user property. */
    final Message message(String topic, String tag, String key) {
        Message message = new Message(topic, tag, key, Bytes.utf8("body of " + key + " in " + prefix));
        message.setFlag(Math.abs(key.hashCode()) % 1000);
        message.putUserProperty("who", key);
        message.putUserProperty("run", prefix);
        return message;
    }

    /** Sends and notes in the ledger; a status other than SEND_OK is a mismatch. */
    final SendResult send(DefaultMQProducer producer, Ledger ledger, Message message) throws Exception {
        Ledger.Entry entry = ledger.plan(message);
        SendResult result = producer.send(message);
        entry.sent(result);
        return result;
    }

    final SendResult send(DefaultMQProducer producer, Ledger ledger, Message message, MessageQueue queue) throws Exception {
        Ledger.Entry entry = ledger.plan(message);
        SendResult result = producer.send(message, queue);
        entry.sent(result);
        Mismatch.equal(queue.getQueueId(), result.getMessageQueue().getQueueId(), "queue that took a message sent to queue " + queue);
        return result;
    }

    /** Every message of a queue from an offset on, pulled 32 at a time until the queue has no more. */
    final List<MessageExt> drain(DefaultMQPullConsumer consumer, MessageQueue queue, long from) throws Exception {
        List<MessageExt> all = new ArrayList<>();
        long offset = from;
        for (int empty = 0; empty < 3; ) {
            PullResult pulled = consumer.pull(queue, "*", offset, 32);
            if (pulled.getPullStatus() == PullStatus.FOUND) {
                for (MessageExt message : pulled.getMsgFoundList()) {
                    Mismatch.equal(from + all.size(), message.getQueueOffset(), "queue offset in " + queue);
                    all.add(message);
                }
                Mismatch.equal(offset + pulled.getMsgFoundList().size(), pulled.getNextBeginOffset(), "next offset after a pull of " + queue);
            } else {
                empty++;
            }
            offset = pulled.getNextBeginOffset();
        }
        return all;
    }

    /** As drain, after waiting until the queue shows so many messages: what is stored is not readable in the same instant. */
    final List<MessageExt> drain(final DefaultMQPullConsumer consumer, final MessageQueue queue, long from, final long until) throws Exception {
        await(10000, "largest offset of " + queue + " reaches " + until, () -> consumer.maxOffset(queue) >= until);
        return drain(consumer, queue, from);
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    /** Waits until the condition holds; a mismatch after the time given. */
    static void await(long timeout_ms, String what, Condition condition) throws Exception {
        long deadline = System.currentTimeMillis() + timeout_ms;
        while (!condition.holds()) {
            Mismatch.unless(System.currentTimeMillis() < deadline, "not within " + timeout_ms + " ms: " + what);
            Thread.sleep(20);
        }
    }
}
