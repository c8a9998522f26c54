package scenario;

import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Two broadcasting consumers of one group: each gets every message once. */
final class Broadcast extends Case {
    @Override
    void run() throws Exception {
        // Offsets of broadcasting consumers are files of the client; they must not outlive the run.
        String topic = name("topic");
        DefaultMQProducer producer = producer();
        createTopic(producer, topic, 4);
        List<Ledger> ledgers = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            final Ledger ledger = new Ledger();
            ledgers.add(ledger);
            DefaultMQPushConsumer consumer = consumer("group");
            Compat.broadcasting(consumer);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                for (MessageExt message : messages) {
                    ledger.seen(message);
                }
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
            consumer.start();
        }
        for (int i = 0; i < 60; i++) {
            Message message = message(topic, "T", "k" + i);
            Ledger.Entry first = ledgers.get(0).plan(message);
            Ledger.Entry second = ledgers.get(1).plan(message);
            SendResult result = producer.send(message);
            first.sent(result);
            second.sent(result);
        }
        ledgers.get(0).settle(1, 90000);
        ledgers.get(1).settle(1, 90000);
        fact("60 messages twice");
    }
}
