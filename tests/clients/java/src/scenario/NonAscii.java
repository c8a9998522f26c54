package scenario;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;

/** Text outside ASCII in properties, keys, tag and body, and characters that JSON must escape. */
final class NonAscii extends Case {
    @Override
    void run() throws Exception {
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 1);
        Ledger ledger = new Ledger();
        consumeInto(ledger, "group", topic, "*");
        String[] values = {"订单已创建", "naïve façade", "emoji \uD83D\uDE80 rocket", "quote \" backslash \\ slash /", "tab\tnewline\nreturn\r",
            "{\"json\":[1,2]}", "  \u2028 separator", "Привет, мир", "\u0003\u0004 controls", " spaces "};
        for (int i = 0; i < values.length; i++) {
            Message message = new Message(topic, "标签" + i % 2, "键" + i, Bytes.utf8("正文 " + i + values[i]));
            message.putUserProperty("值", values[i]);
            message.putUserProperty("name" + i, values[i]);
            message.setFlag(i - 5);
            send(producer, ledger, message);
        }
        ledger.settle(1, 90000);
        Ledger tagged = new Ledger();
        Message message = new Message(topic, "另一个", "tagged", Bytes.utf8("按标签"));
        consumeInto(tagged, "tagged", topic, "另一个");
        Ledger.Entry entry = tagged.plan(message);
        ledger.plan(message).sent(entryResult(entry, producer, message));
        tagged.settle(1, 90000);
        long now = System.currentTimeMillis();
        await(5000, "the message with key 键3 found by its key", () -> {
            try {
                return producer.queryMessage(topic, "键3", 10, now - 60000, now + 60000).getMessageList().size() == 1;
            } catch (org.apache.rocketmq.client.exception.MQClientException notYet) {
                return false;
            }
        });
        fact(values.length + " values");
    }

    private static org.apache.rocketmq.client.producer.SendResult entryResult(Ledger.Entry entry, DefaultMQProducer producer, Message message) throws Exception {
        org.apache.rocketmq.client.producer.SendResult result = producer.send(message);
        entry.sent(result);
        return result;
    }
}
