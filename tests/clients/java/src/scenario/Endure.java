package scenario;

import java.io.File;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.hook.SendMessageContext;
import org.apache.rocketmq.client.hook.SendMessageHook;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends and consumes until the file "until" appears, whatever happens to the servers, and writes the history of what it saw, each
 * try of a send as one, in the form of the checker to "out". Topics are named topic@broker there. The topic must exist.
 *
 * <pre>endure topic=T out=FILE until=FILE [producer=700] [seconds=120] [drained=N]</pre>
 *
 * Prints the longest pause between two acks and between two deliveries. With the settings of the stock client: two more tries
 * with other brokers, the route asked for every 30 s.
 */
final class Endure extends Case {
    private static final long PAUSE_MS = 5;
    private final AtomicLong lastAck = new AtomicLong();
    private final AtomicLong longestAck = new AtomicLong();
    private final AtomicLong lastDelivery = new AtomicLong();
    private final AtomicLong longestDelivery = new AtomicLong();
    private final AtomicLong acked = new AtomicLong();
    private final AtomicLong delivered = new AtomicLong();

    private static int crc(byte[] body) {
        CRC32 crc = new CRC32();
        crc.update(body, 0, body.length);
        return (int) (crc.getValue() & 0x7fffffff);
    }

    private static byte[] body(int producer, long seq, Random random) {
        byte[] filling = new byte[random.nextInt(2000)];
        random.nextBytes(filling);
        return ByteBuffer.allocate(16 + filling.length).put(Bytes.utf8("RMQ!")).putInt(producer).putLong(seq).put(filling).array();
    }

    private static int status(SendMessageContext context) {
        SendResult result = context.getSendResult();
        if (result == null || context.getException() != null) {
            return -1;
        }
        switch (result.getSendStatus()) {
            case SEND_OK: return 0;
            case FLUSH_DISK_TIMEOUT: return 10;
            case FLUSH_SLAVE_TIMEOUT: return 12;
            default: return 11;
        }
    }

    private static void pause(AtomicLong last, AtomicLong longest, long now) {
        long before = last.getAndSet(now);
        if (before != 0) {
            longest.accumulateAndGet(now - before, Math::max);
        }
    }

    private static void line(PrintWriter out, String op, int client, MessageQueue queue, String group, String uid, int crc, long begin, int status, long offset, long physical) {
        String line = "{\"client\":" + client + ",\"op\":\"" + op + "\",\"topic\":\"" + queue.getTopic() + "@" + queue.getBrokerName() + "\",\"queue\":"
            + queue.getQueueId() + ",\"group\":\"" + group + "\",\"uid\":\"" + uid + "\",\"crc\":" + crc + ",\"t_call\":" + begin + ",\"t_ret\":"
            + System.nanoTime() + ",\"status\":" + status + ",\"queue_offset\":" + offset + ",\"physical_offset\":" + physical + "}";
        synchronized (out) {
            out.println(line);
        }
    }

    @Override
    void run() throws Exception {
        final String topic = option("topic", "Endured");
        final int number = number("producer", 700);
        final File until = new File(option("until", "until"));
        final PrintWriter out = new PrintWriter(option("out", "history.jsonl"), "UTF-8");
        final ThreadLocal<Long> begun = new ThreadLocal<>();
        DefaultMQProducer producer = new DefaultMQProducer(name("producer"));
        producer.setNamesrvAddr(nameserver());
        producer.setInstanceName(name("p"));
        producer.getDefaultMQProducerImpl().registerSendMessageHook(new SendMessageHook() {
            @Override
            public String hookName() {
                return "history";
            }

            @Override
            public void sendMessageBefore(SendMessageContext context) {
                begun.set(System.nanoTime());
            }

            @Override
            public void sendMessageAfter(SendMessageContext context) {
                int status = status(context);
                long offset = context.getSendResult() == null ? -1 : context.getSendResult().getQueueOffset();
                line(out, "send", number, context.getMq(), "", context.getMessage().getKeys(), crc(context.getMessage().getBody()), begun.get(), status, offset, -1);
                if (status == 0) {
                    acked.incrementAndGet();
                    pause(lastAck, longestAck, System.nanoTime());
                }
            }
        });
        producer.start();
        onClose(producer::shutdown);

        final DefaultMQPushConsumer consumer = consumer("group");
        consumer.subscribe(topic, "*");
        final String group = consumer.getConsumerGroup();
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            long begin = System.nanoTime();
            for (MessageExt message : messages) {
                MessageQueue queue = new MessageQueue(topic, context.getMessageQueue().getBrokerName(), message.getQueueId());
                line(out, "pull", number + 1, queue, group, message.getKeys(), crc(message.getBody()), begin, 0, message.getQueueOffset(), message.getCommitLogOffset());
                delivered.incrementAndGet();
                pause(lastDelivery, longestDelivery, System.nanoTime());
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();

        Random random = new Random(number);
        long deadline = System.nanoTime() + number("seconds", 120) * 1000000000L;
        long failed = 0;
        for (long seq = 0; !until.exists(); seq++) {
            Mismatch.unless(System.nanoTime() < deadline, "nobody made " + until + " in time");
            String uid = number + "-" + seq;
            try {
                producer.send(new Message(topic, seq % 2 == 0 ? "even" : "odd", uid, body(number, seq, random)));
            } catch (Exception e) {
                failed++;
            }
            Thread.sleep(PAUSE_MS);
        }
        final long sent = acked.get();
        long pauseOfDeliveries = longestDelivery.get();
        await(60000, "deliveries (" + sent + " acked) settle", () -> delivered.get() >= sent);
        synchronized (out) {
            out.close();
        }
        fact(sent + " acked");
        fact(failed + " sends failed for good");
        fact(delivered.get() + " delivered");
        fact("longest pause between acks " + longestAck.get() / 1000000 + " ms");
        fact("between deliveries " + pauseOfDeliveries / 1000000 + " ms");
    }
}
