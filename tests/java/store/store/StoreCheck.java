package store;

import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Checks a running broker against the list of StoreFill: every queue is read from its first offset to its last without a gap, each
 * listed message lies at its place with its content, is found by its offset id, by its unique id and by its key, delayed messages
 * came or come, offsets of the group are kept. Prints up to 20 differences; ends with 0 when there is none.
 *
 * <pre>StoreCheck NAMESERVER LIST clean|killed</pre>
 *
 * killed: the server before this one was killed, so an offset may be older than listed and a delayed message may come twice.
 */
public final class StoreCheck {
    private static final List<String> WRONG = new ArrayList<>();
    private static int wrong;

    private static void wrong(String what) {
        wrong++;
        if (WRONG.size() < 20) {
            WRONG.add(what);
        }
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
        boolean killed = argv[2].equals("killed");
        DefaultMQProducer producer = new DefaultMQProducer("exchange_checker");
        producer.setNamesrvAddr(ns);
        producer.start();
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("exchange_group");
        consumer.setNamesrvAddr(ns);
        consumer.start();
        Map<String, Integer> topics = new LinkedHashMap<>();
        Map<String, Map<String, Row>> places = new TreeMap<>();
        Map<String, Row> delayed = new HashMap<>();
        Map<String, Long> offsets = new LinkedHashMap<>();
        int listed = 0;
        for (String line : Files.readAllLines(Paths.get(argv[1]))) {
            Row row = Row.parse(line);
            switch (row.kind()) {
                case "T": topics.put(row.cell[1], (int) row.number(2)); break;
                case "M": places.computeIfAbsent(row.cell[1], t -> new HashMap<>()).put(row.cell[2] + "@" + row.cell[3], row); listed++; break;
                case "D": delayed.put(row.cell[1] + row.cell[2], row); break;
                case "O": offsets.put(row.cell[2] + "@" + row.cell[3], row.number(4)); break;
                default: throw new IllegalStateException("line " + line);
            }
        }
        Map<String, Integer> came = new HashMap<>();
        long deadline = System.currentTimeMillis() + 75000;
        int read = 0;
        for (Map.Entry<String, Integer> topic : topics.entrySet()) {
            Set<MessageQueue> queues = consumer.fetchSubscribeMessageQueues(topic.getKey());
            if (queues.size() != topic.getValue()) {
                wrong("topic " + topic.getKey() + ": want " + topic.getValue() + " queues, got " + queues.size());
            }
            Map<String, Row> missing = new HashMap<>(places.getOrDefault(topic.getKey(), new HashMap<>()));
            for (MessageQueue queue : queues) {
                long offset = consumer.minOffset(queue);
                if (offset != 0) {
                    wrong(queue + " begins at " + offset + ", want 0");
                }
                while (true) {
                    PullResult pulled = consumer.pull(queue, "*", offset, 32);
                    if (pulled.getPullStatus() == PullStatus.FOUND) {
                        for (MessageExt message : pulled.getMsgFoundList()) {
                            if (message.getQueueOffset() != offset) {
                                wrong(queue + ": want offset " + offset + ", got " + message.getQueueOffset());
                                offset = message.getQueueOffset();
                            }
                            offset++;
                            read++;
                            Row got = Row.of(message);
                            Row want = missing.remove(got.cell[2] + "@" + got.cell[3]);
                            if (want != null) {
                                String difference = Row.difference(want, got);
                                if (difference != null) {
                                    wrong("pull: " + difference);
                                }
                            } else if (delayed.containsKey(got.cell[1] + got.cell[4])) {
                                came.merge(got.cell[1] + got.cell[4], 1, Integer::sum);
                            } else {
                                wrong("a message that nobody sent: " + got);
                            }
                        }
                    } else if (offset >= consumer.maxOffset(queue) && allCame(topic.getKey(), delayed, came, deadline)) {
                        break;
                    } else if (pulled.getPullStatus() != PullStatus.NO_NEW_MSG) {
                        wrong(queue + " at " + offset + " of " + consumer.maxOffset(queue) + ": " + pulled.getPullStatus() + ", next " + pulled.getNextBeginOffset());
                        offset = Math.max(offset + 1, pulled.getNextBeginOffset());
                        if (offset > consumer.maxOffset(queue)) {
                            break;
                        }
                    } else if (offset >= consumer.maxOffset(queue)) {
                        // Only messages whose delay has not run out can still come, and they may come to another queue.
                        Thread.sleep(100);
                        if (queues.size() > 1) {
                            break;
                        }
                    }
                }
            }
            if (queues.size() > 1 && !rescan(consumer, topic.getKey(), queues, delayed, came, deadline)) {
                wrong("delayed messages of " + topic.getKey() + " did not come");
            }
            for (Row row : missing.values()) {
                wrong("lost: " + row);
            }
        }
        for (Map.Entry<String, Row> one : delayed.entrySet()) {
            int times = came.getOrDefault(one.getKey(), 0);
            if (times == 0 || times > 1 && !killed) {
                wrong("delayed message came " + times + " times: " + one.getValue());
            }
        }
        int asked = byIdAndKey(producer, places);
        for (Map.Entry<String, Long> one : offsets.entrySet()) {
            String[] place = one.getKey().split("@");
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(place[0])) {
                if (queue.getQueueId() == Integer.parseInt(place[1])) {
                    long stored = consumer.fetchConsumeOffset(queue, true);
                    if (killed ? stored > one.getValue() : stored != one.getValue()) {
                        wrong("offset of exchange_group in " + queue + ": want " + one.getValue() + ", got " + stored);
                    }
                }
            }
        }
        for (String line : WRONG) {
            System.out.println("  " + line);
        }
        System.out.println((wrong == 0 ? "store agrees: " : wrong + " differences: ") + listed + " messages listed, " + read + " read, " + asked
            + " looked up by id and key, " + delayed.size() + " delayed");
        Runtime.getRuntime().halt(wrong == 0 ? 0 : 1);
    }

    private static boolean allCame(String topic, Map<String, Row> delayed, Map<String, Integer> came, long deadline) {
        if (System.currentTimeMillis() > deadline) {
            return true;
        }
        for (Map.Entry<String, Row> one : delayed.entrySet()) {
            if (one.getValue().cell[1].equals(topic) && !came.containsKey(one.getKey())) {
                return false;
            }
        }
        return true;
    }

    /** Counts the delayed messages of a topic with several queues afresh until all came or time is up. */
    private static boolean rescan(DefaultMQPullConsumer consumer, String topic, Set<MessageQueue> queues, Map<String, Row> delayed, Map<String, Integer> came,
        long deadline) throws Exception {
        while (true) {
            for (Map.Entry<String, Row> one : delayed.entrySet()) {
                if (one.getValue().cell[1].equals(topic)) {
                    came.remove(one.getKey());
                }
            }
            for (MessageQueue queue : queues) {
                long offset = 0;
                while (true) {
                    PullResult pulled = consumer.pull(queue, "Delayed", offset, 32);
                    if (pulled.getPullStatus() == PullStatus.FOUND) {
                        for (MessageExt message : pulled.getMsgFoundList()) {
                            came.merge(topic + Row.sha1(message.getBody()), 1, Integer::sum);
                        }
                    } else if (pulled.getPullStatus() != PullStatus.NO_MATCHED_MSG) {
                        break;
                    }
                    offset = pulled.getNextBeginOffset();
                }
            }
            if (allCame(topic, delayed, came, Long.MAX_VALUE)) {
                return true;
            }
            if (System.currentTimeMillis() > deadline) {
                return false;
            }
            Thread.sleep(500);
        }
    }

    private static int byIdAndKey(DefaultMQProducer producer, Map<String, Map<String, Row>> places) throws Exception {
        int asked = 0;
        long end = System.currentTimeMillis() + 3600000;
        for (Map<String, Row> rows : places.values()) {
            for (Row want : rows.values()) {
                // Of the batches, which are many and alike, every 20th.
                if (want.cell[7].equals("Batch") && want.number(3) % 20 != 0) {
                    continue;
                }
                asked++;
                look("by offset id", want, () -> java.util.Collections.singletonList(producer.viewMessage(want.cell[9])));
                if (!want.cell[6].equals("-")) {
                    look("by key", want, () -> producer.queryMessage(want.cell[1], want.cell[6].split(" ")[0], 32, 0, end).getMessageList());
                    look("by unique id", want, () -> java.util.Collections.singletonList(producer.viewMessage(want.cell[1], want.cell[10])));
                }
            }
        }
        return asked;
    }

    private interface Call {
        List<MessageExt> call() throws Exception;
    }

    private static void look(String how, Row want, Call call) {
        List<MessageExt> found;
        try {
            found = call.call();
        } catch (Exception e) {
            wrong(how + ": " + want + ": " + String.valueOf(e).split("\n")[0]);
            return;
        }
        String difference = "found nothing";
        for (MessageExt message : found) {
            Row got = Row.of(message);
            got.cell[9] = want.cell[9]; // the id type a query gives back depends on the client's path, not on the store
            difference = Row.difference(want, got);
            if (difference == null) {
                return;
            }
        }
        wrong(how + ": " + difference);
    }
}
