package scenario;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * What was sent against what came back, message by message: body, keys, tags, flag, user properties, ids, queue and offset.
 * Messages are told apart by their body, so every body of a scenario must be different. Any thread may call seen().
 */
final class Ledger {
    /** Names that client and broker add by themselves; whatever else arrives must have been sent. */
    private static final Set<String> RESERVED = new HashSet<>(Arrays.asList("KEYS", "TAGS", "WAIT", "DELAY", "RETRY_TOPIC", "REAL_TOPIC",
        "REAL_QID", "TRAN_MSG", "PGROUP", "MIN_OFFSET", "MAX_OFFSET", "BUYER_ID", "ORIGIN_MESSAGE_ID", "TRANSFER_FLAG", "CORRECTION_FLAG",
        "MQ2_FLAG", "RECONSUME_TIME", "MSG_REGION", "TRACE_ON", "UNIQ_KEY", "MAX_RECONSUME_TIMES", "CONSUME_START_TIME", "INSTANCE_ID",
        "CLUSTER", "__MESSAGE_TYPE", "DLQ_ORIGIN_TOPIC", "DLQ_ORIGIN_MESSAGE_ID", "POP_CK", "1ST_POP_TIME"));

    static final class Entry {
        final String topic;
        final String tags;
        final String keys;
        final int flag;
        final byte[] body;
        final Map<String, String> properties;
        final Queue<MessageExt> seen = new ConcurrentLinkedQueue<>();
        volatile SendResult result;
        /** Whether the stored message lies where the send result said; false for delayed messages and those sent back. */
        volatile boolean placed = true;

        Entry(Message message) {
            topic = message.getTopic();
            tags = message.getTags();
            keys = message.getKeys();
            flag = message.getFlag();
            body = message.getBody().clone();
            properties = new LinkedHashMap<>(message.getProperties());
        }

        void sent(SendResult result) {
            Mismatch.unless(result != null, "no send result for key " + keys);
            Mismatch.equal(SendStatus.SEND_OK, result.getSendStatus(), "send status of key " + keys);
            this.result = result;
        }

        Entry moved() {
            placed = false;
            return this;
        }

        String label() {
            return "message keys=" + keys + " of " + topic;
        }
    }

    private final Map<String, Entry> entries = new ConcurrentHashMap<>();
    private final Queue<String> strangers = new ConcurrentLinkedQueue<>();

    /** Notes a message about to be sent, before a consumer can see it. */
    Entry plan(Message message) {
        Entry entry = new Entry(message);
        Mismatch.unless(entries.put(Bytes.digest(message.getBody()), entry) == null, "two messages with one body, keys " + message.getKeys());
        return entry;
    }

    Entry of(MessageExt message) {
        return entries.get(Bytes.digest(message.getBody()));
    }

    Collection<Entry> entries() {
        return entries.values();
    }

    int size() {
        return entries.size();
    }

    void seen(MessageExt message) {
        Entry entry = of(message);
        if (entry == null) {
            strangers.add("keys=" + message.getKeys() + " topic=" + message.getTopic() + " queue=" + message.getQueueId() + " offset="
                + message.getQueueOffset() + " body of " + message.getBody().length + " bytes");
        } else {
            entry.seen.add(message);
        }
    }

    int missing(int times) {
        int missing = 0;
        for (Entry entry : entries.values()) {
            if (entry.seen.size() < times) {
                missing++;
            }
        }
        return missing;
    }

    /** Waits until each message was seen so often, then checks that none came oftener and that all say what was sent. */
    void settle(int times, long timeout_ms) throws Exception {
        await(times, timeout_ms);
        Thread.sleep(100);
        for (Entry entry : entries.values()) {
            Mismatch.equal(times, entry.seen.size(), "deliveries of " + entry.label());
        }
        verify();
    }

    void await(int times, long timeout_ms) throws Exception {
        long deadline = System.currentTimeMillis() + timeout_ms;
        while (missing(times) > 0) {
            if (System.currentTimeMillis() >= deadline) {
                List<String> lost = new ArrayList<>();
                for (Entry entry : entries.values()) {
                    if (entry.seen.size() < times && lost.size() < 5) {
                        lost.add(entry.label() + (entry.result == null ? "" : " stored at queue " + entry.result.getMessageQueue().getQueueId()
                            + " offset " + entry.result.getQueueOffset()) + " seen " + entry.seen.size() + " times");
                    }
                }
                throw new Mismatch(missing(times) + " of " + entries.size() + " messages not seen " + times + " times within " + timeout_ms + " ms, e.g. " + lost);
            }
            Thread.sleep(20);
        }
    }

    void verify() {
        Mismatch.unless(strangers.isEmpty(), strangers.size() + " messages that nobody sent, e.g. " + strangers.peek());
        for (Entry entry : entries.values()) {
            for (MessageExt got : entry.seen) {
                verify(entry, got);
            }
        }
    }

    static void verify(Entry entry, MessageExt got) {
        String what = entry.label() + ": ";
        Mismatch.equal(entry.topic, got.getTopic(), what + "topic");
        verifyContent(entry, got);
        if (entry.result != null) {
            // A producer with a namespace or a 4.3 client may give no client id; the smallest common claim is equality where both have one.
            Mismatch.equal(entry.result.getMsgId(), got.getMsgId(), what + "message id");
            if (entry.placed) {
                Mismatch.equal(entry.result.getMessageQueue().getQueueId(), got.getQueueId(), what + "queue id");
                Mismatch.equal(entry.result.getQueueOffset(), got.getQueueOffset(), what + "queue offset");
                if (got instanceof MessageClientExt) {
                    Mismatch.equal(entry.result.getOffsetMsgId(), ((MessageClientExt) got).getOffsetMsgId(), what + "offset message id");
                }
            }
        }
    }

    /** Body, keys, tags, flag, user properties and the stamps of client and broker, wherever the message lies. */
    static void verifyContent(Entry entry, MessageExt got) {
        String what = entry.label() + ": ";
        Mismatch.unless(Arrays.equals(entry.body, got.getBody()), what + "body differs: " + entry.body.length + " bytes sent, " + got.getBody().length + " got");
        Mismatch.equal(entry.keys, got.getKeys(), what + "keys");
        Mismatch.equal(entry.tags, got.getTags(), what + "tags");
        Mismatch.equal(entry.flag, got.getFlag(), what + "flag");
        for (Map.Entry<String, String> property : entry.properties.entrySet()) {
            if (!RESERVED.contains(property.getKey())) {
                Mismatch.equal(property.getValue(), got.getProperty(property.getKey()), what + "property " + property.getKey());
            }
        }
        for (String name : got.getProperties().keySet()) {
            Mismatch.unless(RESERVED.contains(name) || entry.properties.containsKey(name), what + "property " + name + " was never sent");
        }
        // From 4 KiB on the client compresses, the checksum is of the compressed bytes, and the 5.x client forgets the flag.
        if (entry.body.length < 4096) {
            Mismatch.equal(UtilAll.crc32(entry.body), got.getBodyCRC(), what + "body checksum");
        }
        Mismatch.unless(got.getBornTimestamp() > 0 && got.getStoreTimestamp() >= got.getBornTimestamp() - 1000, what + "stored at "
            + got.getStoreTimestamp() + ", born at " + got.getBornTimestamp());
        Mismatch.unless(got.getBornHost() != null && got.getStoreHost() != null, what + "hosts missing");
    }
}
