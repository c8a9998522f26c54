package scenario;

import java.util.List;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Topics made by a send (4 queues by default), by createTopic with the key TBW102, and by an admin; a changed one; refused names. */
final class CreateTopic extends Case {
    @Override
    void run() throws Exception {
        DefaultMQProducer producer = producer();
        Ledger ledger = new Ledger();
        final String automatic = name("automatic");
        send(producer, ledger, message(automatic, "T", "first"));
        final DefaultMQProducer other = producer();
        await(10000, automatic + " has 4 queues to write", () -> queues(other, automatic) == 4);

        String created = name("created");
        createTopic(producer, created, 6);
        for (MessageQueue queue : producer.fetchPublishMessageQueues(created)) {
            send(producer, ledger, message(created, "T", "q" + queue.getQueueId()), queue);
        }

        final String administered = name("administered");
        DefaultMQAdminExt admin = admin();
        String broker = brokerAddress(admin);
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(administered, 3, 3, 6));
        await(10000, administered + " has 3 queues", () -> queues(other, administered) == 3);
        send(producer, ledger, message(administered, "T", "admin"));
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(administered, 5, 5, 6));
        final DefaultMQProducer later = producer();
        await(10000, administered + " has 5 queues after the change", () -> queues(later, administered) == 5);

        for (String topic : new String[] {automatic, created, administered}) {
            consumeInto(ledger, "group_" + topic, topic, "*");
        }
        ledger.settle(1, 90000);

        // A topic of the broker itself takes no message from a producer.
        try {
            producer.send(new Message("SCHEDULE_TOPIC_XXXX", Bytes.utf8("no")));
            throw new Mismatch("a message sent straight to SCHEDULE_TOPIC_XXXX was taken");
        } catch (MQBrokerException | MQClientException expected) {
            fact("a system topic refused");
        }
    }

    private static int queues(DefaultMQProducer producer, String topic) {
        try {
            List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
            return queues.size();
        } catch (MQClientException noRoute) {
            return 0;
        }
    }

    /** The address of the first master, out of the cluster information, whose class moved between versions. */
    private static String brokerAddress(DefaultMQAdminExt admin) throws Exception {
        Object cluster = admin.examineBrokerClusterInfo();
        java.util.Map<?, ?> brokers = (java.util.Map<?, ?>) cluster.getClass().getMethod("getBrokerAddrTable").invoke(cluster);
        Mismatch.unless(!brokers.isEmpty(), "cluster information names no broker");
        Object broker = brokers.values().iterator().next();
        java.util.Map<?, ?> addresses = (java.util.Map<?, ?>) broker.getClass().getMethod("getBrokerAddrs").invoke(broker);
        return (String) addresses.get(0L);
    }
}
