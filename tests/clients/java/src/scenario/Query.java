package scenario;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Looking messages up: by key (several keys a message, one key in several messages, a time window), by unique id, by offset id. */
final class Query extends Case {
    @Override
    void run() throws Exception {
        final String topic = name("topic");
        final DefaultMQProducer producer = producer();
        createTopic(producer, topic, 2);
        Ledger ledger = new Ledger();
        final long begin = System.currentTimeMillis() - 1000;
        for (int i = 0; i < 40; i++) {
            Message message = message(topic, "T", "own" + i + " group" + i % 4);
            SendResult result = send(producer, ledger, message);
            Mismatch.unless(result.getOffsetMsgId() != null && result.getOffsetMsgId().length() == 32, "offset message id " + result.getOffsetMsgId());
        }
        final long end = System.currentTimeMillis() + 1000;
        await(10000, "all 10 messages of key group3 found", () -> {
            try {
                return producer.queryMessage(topic, "group3", 32, begin, end).getMessageList().size() == 10;
            } catch (MQClientException notYet) {
                return false;
            }
        });
        for (Ledger.Entry entry : ledger.entries()) {
            String own = entry.keys.split(" ")[0];
            List<MessageExt> found = producer.queryMessage(topic, own, 32, begin, end).getMessageList();
            Mismatch.equal(1, found.size(), "messages found by key " + own);
            Ledger.verify(entry, found.get(0));
            MessageExt byId = Compat.viewByOffsetId(producer, topic, entry.result.getOffsetMsgId());
            Ledger.verifyContent(entry, byId);
            Mismatch.equal(entry.result.getQueueOffset(), byId.getQueueOffset(), "queue offset of the message viewed by offset id");
            MessageExt byUnique = producer.viewMessage(topic, entry.result.getMsgId());
            Ledger.verifyContent(entry, byUnique);
            Mismatch.equal(entry.result.getMsgId(), byUnique.getMsgId(), "id of the message viewed by unique id");
        }
        Set<String> keys = new HashSet<>();
        for (MessageExt message : producer.queryMessage(topic, "group1", 32, begin, end).getMessageList()) {
            Mismatch.unless(message.getKeys().endsWith(" group1"), "key group1 found " + message.getKeys());
            keys.add(message.getKeys());
        }
        Mismatch.equal(10, keys.size(), "messages found by key group1");
        Mismatch.equal(5, producer.queryMessage(topic, "group1", 5, begin, end).getMessageList().size(), "messages found by key group1, at most 5");
        notFound("a key nobody used", () -> producer.queryMessage(topic, "nobody", 32, begin, end));
        notFound("a window before all messages", () -> producer.queryMessage(topic, "group1", 32, begin - 3600000, begin - 1800000));
        notFound("a topic nobody used", () -> producer.queryMessage(topic + "x", "group1", 32, begin, end));
        fact("40 messages by 3 ways");
    }

    private interface Call {
        Object call() throws Exception;
    }

    private static void notFound(String what, Call call) throws Exception {
        try {
            call.call();
        } catch (MQClientException expected) {
            return;
        }
        throw new Mismatch("a query for " + what + " found something");
    }
}
