package scenario;

import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** Not a test: makes the topics names=A,B,... with 4 queues, for clients that cannot make one. */
final class MakeTopics extends Case {
    @Override
    void run() throws Exception {
        DefaultMQProducer producer = producer();
        for (String topic : option("names", "").split(",")) {
            createTopic(producer, topic, number("queues", 4));
        }
    }
}
