package capture;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.subscription.SubscriptionGroupConfig;
import org.apache.rocketmq.common.sysflag.TopicSysFlag;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** Makes a 4.9.7 client and its admin tool send every request they know, so that the recording proxy sees them and the answers. */
public final class Provoke {
    private interface Step {
        void run() throws Exception;
    }

    private static void step(String name, Step step) {
        try {
            step.run();
        } catch (Throwable e) {
            // Many of these are meant to be refused; the refusal is recorded as well.
            System.out.println("step " + name + ": " + String.valueOf(e).split("\n")[0]);
        }
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Message message(String topic, String key) {
        Message message = new Message(topic, "TagA", key, utf8("body " + key));
        message.putUserProperty("colour", "blau");
        return message;
    }

    public static void main(String[] argv) throws Exception {
        final String ns = argv[0];
        final String broker = argv[1];
        String mode = argv[2];
        final DefaultMQProducer producer = new DefaultMQProducer("golden_producer");
        producer.setNamesrvAddr(ns);
        producer.start();
        final String topic = "GoldenTopic";
        if (mode.equals("plain")) {
            // Run with -Dorg.apache.rocketmq.client.sendSmartMsg=false: SEND_MESSAGE (10) with whole field names.
            step("send", () -> producer.send(message(topic, "plain1")));
            step("one way", () -> producer.sendOneway(message(topic, "plain2")));
            step("no topic", () -> producer.send(message("bad topic name", "plain3")));
            Thread.sleep(300);
            Runtime.getRuntime().halt(0);
        }
        final MQClientAPIImpl api = producer.getDefaultMQProducerImpl().getmQClientFactory().getMQClientAPIImpl();
        final DefaultMQAdminExt admin = new DefaultMQAdminExt(5000);
        admin.setNamesrvAddr(ns);
        admin.setInstanceName("golden_admin");
        admin.start();

        // Topics and groups.
        step("17", () -> admin.createAndUpdateTopicConfig(broker, new TopicConfig(topic, 2, 2, 6)));
        step("17 order", () -> {
            TopicConfig order = new TopicConfig("GoldenOrder", 1, 1, 6);
            order.setOrder(true);
            order.setTopicSysFlag(TopicSysFlag.buildSysFlag(true, true));
            admin.createAndUpdateTopicConfig(broker, order);
        });
        step("17 by key", () -> producer.createTopic("TBW102", "GoldenCreated", 3));
        step("200", () -> {
            SubscriptionGroupConfig group = new SubscriptionGroupConfig();
            group.setGroupName("golden_group");
            group.setRetryMaxTimes(3);
            admin.createAndUpdateSubscriptionGroupConfig(broker, group);
        });
        Thread.sleep(300);

        // Sends.
        final SendResult[] sent = new SendResult[1];
        step("310", () -> sent[0] = producer.send(message(topic, "k1 k2")));
        step("310 one way", () -> producer.sendOneway(message(topic, "oneway")));
        step("310 delayed", () -> {
            Message delayed = message(topic, "delayed");
            delayed.setDelayTimeLevel(1);
            producer.send(delayed);
        });
        step("310 automatic topic", () -> producer.send(message("GoldenAutomatic", "first")));
        step("320", () -> producer.send(Arrays.asList(message(topic, "b1"), message(topic, "b2"), message(topic, "b3"))));
        step("310 text", () -> {
            Message text = new Message(topic, "标签", "键", utf8("正文 \uD83D\uDE80"));
            text.putUserProperty("值", "\"订单\"\\ \n");
            producer.send(text);
        });
        step("310 too large", () -> producer.send(new Message("GoldenTopic", new byte[5 * 1024 * 1024])));
        TransactionMQProducer transactions = new TransactionMQProducer("golden_transactions");
        final CountDownLatch checked = new CountDownLatch(1);
        transactions.setNamesrvAddr(ns);
        transactions.setInstanceName("golden_transactions");
        transactions.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                return (LocalTransactionState) argument;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                checked.countDown();
                return LocalTransactionState.COMMIT_MESSAGE;
            }
        });
        transactions.start();
        step("37", () -> transactions.sendMessageInTransaction(message(topic, "commit"), LocalTransactionState.COMMIT_MESSAGE));
        step("37 rollback", () -> transactions.sendMessageInTransaction(message(topic, "rollback"), LocalTransactionState.ROLLBACK_MESSAGE));
        step("37 unknown", () -> transactions.sendMessageInTransaction(message(topic, "unknown"), LocalTransactionState.UNKNOW));

        // A concurrent consumer: heartbeat, list, offsets, pulls, send back, dead letter; then an orderly one: locks.
        final CountDownLatch failed = new CountDownLatch(2);
        final DefaultMQPushConsumer consumer = new DefaultMQPushConsumer("golden_group");
        consumer.setNamesrvAddr(ns);
        consumer.setInstanceName("golden_consumer");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(topic, "TagA || TagB");
        consumer.setMaxReconsumeTimes(1);
        consumer.setConsumeMessageBatchMaxSize(1);
        consumer.setPersistConsumerOffsetInterval(1000);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            if ("oneway".equals(messages.get(0).getKeys())) {
                context.setDelayLevelWhenNextConsume(1);
                failed.countDown();
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        step("second try", () -> failed.await(40, TimeUnit.SECONDS));
        final DefaultMQPushConsumer second = new DefaultMQPushConsumer("golden_group");
        second.setNamesrvAddr(ns);
        second.setInstanceName("golden_second");
        second.subscribe(topic, "TagA || TagB");
        second.setMaxReconsumeTimes(1);
        second.registerMessageListener((MessageListenerConcurrently) (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        second.start();
        Thread.sleep(1500);
        second.shutdown();
        final DefaultMQPushConsumer orderly = new DefaultMQPushConsumer("golden_orderly");
        orderly.setNamesrvAddr(ns);
        orderly.setInstanceName("golden_orderly");
        orderly.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        orderly.subscribe(topic, "*");
        final CountDownLatch ordered = new CountDownLatch(3);
        orderly.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            ordered.countDown();
            return ConsumeOrderlyStatus.SUCCESS;
        });
        orderly.start();
        step("orderly", () -> ordered.await(20, TimeUnit.SECONDS));
        orderly.shutdown();
        step("46", () -> {
            DefaultMQPushConsumer sql = new DefaultMQPushConsumer("golden_sql");
            sql.setNamesrvAddr(ns);
            sql.setInstanceName("golden_sql");
            sql.subscribe(topic, MessageSelector.bySql("a > 1"));
            sql.registerMessageListener((MessageListenerConcurrently) (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
            sql.start();
            sql.shutdown();
        });

        // The pull consumer: every pull status, offsets, positions.
        final DefaultMQPullConsumer puller = new DefaultMQPullConsumer("golden_puller");
        puller.setNamesrvAddr(ns);
        puller.setInstanceName("golden_puller");
        puller.setBrokerSuspendMaxTimeMillis(1500);
        puller.start();
        final MessageQueue queue = new MessageQueue(topic, "broker-a", 0);
        step("11 found", () -> puller.pull(queue, "*", 0, 2));
        step("11 tag", () -> puller.pull(queue, "TagA", 0, 2));
        step("11 no match", () -> puller.pull(queue, "None", 0, 32));
        step("11 behind the end", () -> puller.pull(queue, "*", 100000, 32));
        step("11 at the end", () -> puller.pull(queue, "*", puller.maxOffset(queue), 32));
        step("11 held", () -> puller.pullBlockIfNotFound(queue, "*", puller.maxOffset(queue), 32));
        step("11 no queue", () -> puller.pull(new MessageQueue(topic, "broker-a", 77), "*", 0, 32));
        step("29", () -> puller.searchOffset(queue, System.currentTimeMillis()));
        step("30, 31, 32", () -> System.out.println(puller.maxOffset(queue) + " " + puller.minOffset(queue) + " " + puller.earliestMsgStoreTime(queue)));
        step("32 empty", () -> puller.earliestMsgStoreTime(new MessageQueue("GoldenOrder", "broker-a", 0)));
        step("14", () -> puller.fetchConsumeOffset(queue, true));
        step("14 none", () -> api.queryConsumerOffset(broker, offsetHeader("nobody", topic, 1), 5000));
        step("15", () -> admin.updateConsumeOffset(broker, "golden_puller", queue, 1));
        step("14 one", () -> puller.fetchConsumeOffset(queue, true));
        step("36", () -> {
            List<MessageExt> found = puller.pull(queue, "*", 0, 1).getMsgFoundList();
            puller.sendMessageBack(found.get(0), 3, "broker-a", "golden_group");
        });
        step("38 none", () -> api.getConsumerIdListByGroup(broker, "nobody", 5000));

        // Queries.
        final long now = System.currentTimeMillis();
        step("12", () -> producer.queryMessage(topic, "k1", 8, now - 60000, now + 60000));
        step("12 none", () -> producer.queryMessage(topic, "nobody", 8, now - 60000, now + 60000));
        step("12 unique", () -> producer.viewMessage(topic, sent[0].getMsgId()));
        step("33", () -> api.viewMessage(broker, new java.math.BigInteger(sent[0].getOffsetMsgId().substring(16), 16).longValue(), 5000));
        step("33 none", () -> api.viewMessage(broker, 1L << 40, 5000));

        // The broker's tables and state.
        step("21", () -> api.getAllTopicConfig(broker, 5000));
        step("28", () -> admin.fetchBrokerRuntimeStats(broker));
        step("26", () -> admin.getBrokerConfig(broker));
        step("25", () -> {
            Properties change = new Properties();
            change.setProperty("longPollingEnable", "true");
            admin.updateBrokerConfig(broker, change);
        });
        for (final int code : new int[] {43, 45, 21, 9999}) {
            step("bare " + code, () -> {
                RemotingCommand answer = api.getRemotingClient().invokeSync(broker, RemotingCommand.createRequestCommand(code, null), 5000);
                System.out.println("bare " + code + " answered " + answer.getCode() + " " + answer.getRemark());
            });
        }
        step("201", () -> admin.getAllSubscriptionGroup(broker, 5000));
        step("202", () -> admin.examineTopicStats(topic));
        step("203", () -> admin.examineConsumerConnectionInfo("golden_group"));
        step("204", () -> admin.examineProducerConnectionInfo("golden_producer", topic));
        step("208", () -> admin.examineConsumeStats("golden_group"));
        step("222", () -> admin.resetOffsetByTimestamp(topic, "golden_group", now - 60000, true));
        step("223", () -> admin.getConsumeStatus(topic, "golden_group", ""));
        step("300", () -> admin.queryTopicConsumeByWho(topic));
        step("303", () -> admin.queryConsumeTimeSpan(topic, "golden_group"));
        step("305", () -> api.getSystemTopicListFromBroker(broker, 5000));
        step("306", () -> admin.cleanExpiredConsumerQueueByAddr(broker));
        step("307", () -> admin.getConsumerRunningInfo("golden_group", consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId(), false));
        step("308", () -> api.queryCorrectionOffset(broker, topic, "golden_group", new HashSet<>(Collections.singletonList("golden_puller")), 5000));
        step("309", () -> api.consumeMessageDirectly(broker, "golden_group", consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId(),
            sent[0].getOffsetMsgId(), 5000));
        step("314", () -> admin.cloneGroupOffset("golden_group", "golden_clone", topic, false));
        step("315", () -> admin.viewBrokerStatsData(broker, "TOPIC_PUT_NUMS", topic));
        step("316", () -> admin.cleanUnusedTopicByAddr(broker));
        step("317", () -> admin.fetchConsumeStatsInBroker(broker, false, 5000));
        step("321", () -> admin.queryConsumeQueue(broker, topic, 0, 0, 2, null));
        step("328", () -> admin.getAllProducerInfo(broker));
        step("329", () -> admin.deleteExpiredCommitLogByAddr(broker));

        // The nameserver.
        step("100", () -> admin.createAndUpdateKvConfig("golden_space", "key", "value: 值"));
        step("101", () -> admin.getKVConfig("golden_space", "key"));
        step("101 none", () -> admin.getKVConfig("golden_space", "none"));
        step("219", () -> admin.getKVListByNamespace("golden_space"));
        step("219 none", () -> admin.getKVListByNamespace("no_space"));
        step("102", () -> admin.deleteKvConfig("golden_space", "key"));
        step("100 order", () -> admin.createOrUpdateOrderConf("GoldenOrder", "broker-a:1", false));
        step("105", () -> admin.examineTopicRouteInfo("GoldenOrder"));
        step("105 none", () -> admin.examineTopicRouteInfo("NoSuchTopic"));
        step("106", () -> admin.examineBrokerClusterInfo());
        step("206", () -> admin.fetchAllTopicList());
        step("224", () -> admin.fetchTopicsByCLuster("DefaultCluster"));
        step("304", () -> api.getSystemTopicList(5000));
        step("311", () -> api.getUnitTopicList(true, 5000));
        step("312", () -> api.getHasUnitSubTopicList(true, 5000));
        step("313", () -> api.getHasUnitSubUnUnitTopicList(true, 5000));
        step("318", () -> {
            Properties change = new Properties();
            change.setProperty("orderMessageEnable", "true");
            admin.updateNameServerConfig(change, new ArrayList<>(Collections.singletonList(ns)));
        });
        step("319", () -> admin.getNameServerConfig(new ArrayList<>(Collections.singletonList(ns))));
        step("205", () -> admin.wipeWritePermOfBroker(ns, "broker-a"));
        step("327", () -> admin.addWritePermOfBroker(ns, "broker-a"));
        step("bare 9999 to the nameserver", () -> api.getRemotingClient().invokeSync(ns, RemotingCommand.createRequestCommand(9999, null), 5000));

        // Ends: the transaction that the broker has to ask about, then deletions, then everybody leaves.
        step("39", () -> System.out.println("transaction checked: " + checked.await(90, TimeUnit.SECONDS)));
        Set<String> brokers = new HashSet<>(Collections.singletonList(broker));
        step("215", () -> admin.deleteTopicInBroker(brokers, "GoldenAutomatic"));
        step("216", () -> admin.deleteTopicInNameServer(new HashSet<>(Collections.singletonList(ns)), "DefaultCluster", "GoldenAutomatic"));
        step("216 whole", () -> admin.deleteTopicInNameServer(new HashSet<>(Collections.singletonList(ns)), null, "GoldenCreated"));
        step("207", () -> admin.deleteSubscriptionGroup(broker, "golden_clone", true));
        consumer.shutdown();
        transactions.shutdown();
        puller.shutdown();
        admin.shutdown();
        producer.shutdown();
        Thread.sleep(500);
        Runtime.getRuntime().halt(0);
    }

    private static org.apache.rocketmq.common.protocol.header.QueryConsumerOffsetRequestHeader offsetHeader(String group, String topic, int queue) {
        org.apache.rocketmq.common.protocol.header.QueryConsumerOffsetRequestHeader header =
            new org.apache.rocketmq.common.protocol.header.QueryConsumerOffsetRequestHeader();
        header.setConsumerGroup(group);
        header.setTopic(topic);
        header.setQueueId(queue);
        return header;
    }
}
