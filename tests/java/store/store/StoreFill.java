package store;

import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Fills a broker with a mixed set and appends what was acknowledged to a list (see Row): bodies of 1 byte to 100 KiB, some of them
 * compressed, keys, tags, flags, properties, batches, delayed messages, several topics and queues, offsets of a group.
 *
 * <pre>StoreFill NAMESERVER LIST ROUND</pre>
 */
public final class StoreFill {
    private static final int[] SIZES = {1, 2, 17, 100, 999, 4095, 4096, 5000, 20000, 65535, 100 * 1024};
    private static final int[] QUEUES = {1, 4, 8};

    private static byte[] body(Random random, int size, boolean text) {
        byte[] body = new byte[size];
        if (text) {
            for (int i = 0; i < size; i++) {
                body[i] = (byte) ('a' + (i / 40 + size) % 26);
            }
        } else {
            random.nextBytes(body);
        }
        return body;
    }

    private static Row row(Message message, SendResult result, String id, String uid, long offset) {
        return new Row("M", message.getTopic(), "" + result.getMessageQueue().getQueueId(), "" + offset, Row.sha1(message.getBody()),
            "" + message.getBody().length, Row.text(message.getKeys()), Row.text(message.getTags()), "" + message.getFlag(), id, uid,
            Row.text(message.getProperty("place")));
    }

    private static SendResult sent(SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("send status " + result);
        }
        return result;
    }

    public static void main(String[] argv) {
        try {
            run(argv);
        } catch (Throwable e) {
            // The client's threads would keep the process.
            e.printStackTrace(System.out);
            Runtime.getRuntime().halt(1);
        }
    }

    private static void run(String[] argv) throws Exception {
        String ns = argv[0];
        int round = Integer.parseInt(argv[2]);
        Random random = new Random(20240 + round);
        DefaultMQProducer producer = new DefaultMQProducer("exchange_producer");
        producer.setNamesrvAddr(ns);
        producer.setSendMsgTimeout(20000);
        producer.start();
        List<Row> rows = new ArrayList<>();
        for (int t = 0; t <= QUEUES.length; t++) {
            // Three topics that every round writes to, and one that belongs to the round.
            String topic = t < QUEUES.length ? "Exchange" + QUEUES[t] : "ExchangeRound" + round;
            int queues = t < QUEUES.length ? QUEUES[t] : 2;
            if (t == QUEUES.length || round == 1) {
                producer.createTopic("TBW102", topic, queues);
                rows.add(new Row("T", topic, "" + queues));
            }
            List<MessageQueue> targets = queues(producer, topic);
            for (int i = 0; i < 110; i++) {
                String tag = i % 5 == 0 ? null : "Tag" + i % 5;
                String keys = i % 7 == 0 ? null : "r" + round + "t" + t + "k" + i + (i % 3 == 0 ? " shared" + round : "");
                Message message = new Message(topic, tag, keys, body(random, SIZES[i % SIZES.length], i % 4 == 1));
                message.setFlag(round * 1000 + i);
                message.putUserProperty("place", "第" + i + " of round " + round);
                SendResult result = sent(producer.send(message, targets.get(i % targets.size())));
                rows.add(row(message, result, result.getOffsetMsgId(), result.getMsgId(), result.getQueueOffset()));
            }
            // Small batches to one queue: more units than one consume queue file of the test holds.
            for (int b = 0; b < (t == 0 ? 20 : 2); b++) {
                List<Message> batch = new ArrayList<>();
                for (int i = 0; i < 200; i++) {
                    Message message = new Message(topic, "Batch", "r" + round + "t" + t + "b" + b + "i" + i, Row.utf8("batch " + round + " " + t + " " + b + " " + i));
                    message.putUserProperty("place", "b" + b + "i" + i);
                    batch.add(message);
                }
                SendResult result = sent(producer.send(batch, targets.get(0)));
                String[] ids = result.getOffsetMsgId().split(",");
                String[] uids = result.getMsgId().split(",");
                for (int i = 0; i < batch.size(); i++) {
                    rows.add(row(batch.get(i), result, ids[i], uids[i], result.getQueueOffset() + i));
                }
            }
            for (int i = 0; i < 6; i++) {
                Message message = new Message(topic, "Delayed", "r" + round + "t" + t + "d" + i, Row.utf8("delayed " + round + " " + t + " " + i));
                // 1 s and 30 s: the first are due before the server stops, the others wait in its store.
                message.setDelayTimeLevel(i % 2 == 0 ? 1 : 4);
                sent(producer.send(message));
                rows.add(new Row("D", topic, Row.sha1(message.getBody()), "" + message.getBody().length, message.getKeys(), "Delayed"));
            }
        }
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("exchange_group");
        consumer.setNamesrvAddr(ns);
        consumer.start();
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues("Exchange4")) {
            PullResult pulled = consumer.pull(queue, "*", 0, 10 + round);
            if (pulled.getPullStatus() != PullStatus.FOUND) {
                throw new IllegalStateException("pull of " + queue + ": " + pulled);
            }
            consumer.getDefaultMQPullConsumerImpl().getOffsetStore().updateConsumeOffsetToBroker(queue, pulled.getNextBeginOffset(), false);
            long stored = consumer.fetchConsumeOffset(queue, true);
            if (stored != pulled.getNextBeginOffset()) {
                throw new IllegalStateException("offset stored " + pulled.getNextBeginOffset() + ", read back " + stored);
            }
            rows.add(new Row("O", "exchange_group", queue.getTopic(), "" + queue.getQueueId(), "" + stored));
        }
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Paths.get(argv[1]), StandardOpenOption.CREATE, StandardOpenOption.APPEND))) {
            for (Row row : rows) {
                out.println(row);
            }
        }
        System.out.println("round " + round + ": " + rows.size() + " rows");
        consumer.shutdown();
        producer.shutdown();
        Runtime.getRuntime().halt(0);
    }

    private static List<MessageQueue> queues(DefaultMQProducer producer, String topic) throws Exception {
        long deadline = System.currentTimeMillis() + 35000;
        while (true) {
            try {
                return producer.fetchPublishMessageQueues(topic);
            } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
                if (System.currentTimeMillis() > deadline) {
                    throw notYet;
                }
                Thread.sleep(50);
            }
        }
    }
}
