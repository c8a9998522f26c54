// Prints what the classes of Apache RocketMQ 4.9.7 make of fixed values, a line each: name, space, hex.
// javac -cp 'LIB/*' -d OUT Golden.java && java -cp 'OUT:LIB/*' Golden > java-4.9.7.hex, LIB being the lib folder of 4.9.7.
import java.io.ByteArrayInputStream;
import java.lang.reflect.Method;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.zip.InflaterInputStream;
import org.apache.rocketmq.common.*;
import org.apache.rocketmq.common.admin.*;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.filter.FilterAPI;
import org.apache.rocketmq.common.message.*;
import org.apache.rocketmq.common.protocol.body.*;
import org.apache.rocketmq.common.protocol.header.*;
import org.apache.rocketmq.common.protocol.heartbeat.*;
import org.apache.rocketmq.common.protocol.route.*;
import org.apache.rocketmq.common.topic.TopicValidator;
import org.apache.rocketmq.remoting.CommandCustomHeader;
import org.apache.rocketmq.remoting.protocol.*;
import com.alibaba.fastjson.serializer.SerializerFeature;

public class Golden {
    static void line(String name, byte[] bytes) {
        StringBuilder hex = new StringBuilder();
        for (byte b : bytes) hex.append(String.format("%02x", b));
        System.out.println(name + " " + hex);
    }

    static void text(String name, String text) {
        line(name, text.getBytes(StandardCharsets.UTF_8));
    }

    static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    static void command(String name, RemotingCommand command) {
        for (SerializeType type : SerializeType.values()) {
            command.setSerializeTypeCurrentRPC(type);
            line(name + "." + type, bytes(command.encode()));
        }
    }

    static RemotingCommand request(int code, CommandCustomHeader header) {
        RemotingCommand command = RemotingCommand.createRequestCommand(code, header);
        command.setOpaque(7);
        command.setVersion(407);
        return command;
    }

    static RemotingCommand response(int code, String remark, Class<? extends CommandCustomHeader> header) throws Exception {
        RemotingCommand command = RemotingCommand.createResponseCommand(header);
        command.setCode(code);
        command.setRemark(remark);
        command.setOpaque(-7);
        command.setVersion(407);
        return command;
    }

    static MessageExt message(String host, String properties) throws Exception {
        MessageExt message = new MessageExt();
        message.setTopic("TopicTest");
        message.setQueueId(3);
        message.setFlag(9);
        message.setSysFlag(0);
        message.setQueueOffset(5);
        message.setCommitLogOffset(4096);
        message.setBornTimestamp(1700000000000L);
        message.setStoreTimestamp(1700000000001L);
        message.setBornHost(new InetSocketAddress(host, 40000));
        message.setStoreHost(new InetSocketAddress(host, 10911));
        if (host.contains(":")) {
            message.setBornHostV6Flag();
            message.setStoreHostAddressV6Flag();
        }
        message.setReconsumeTimes(2);
        message.setPreparedTransactionOffset(99);
        message.setBody("Hello RocketMQ".getBytes(StandardCharsets.UTF_8));
        message.setBodyCRC(UtilAll.crc32(message.getBody()));
        Method set = Message.class.getDeclaredMethod("setProperties", Map.class);
        set.setAccessible(true);
        set.invoke(message, MessageDecoder.string2messageProperties(properties));
        return message;
    }

    public static void main(String[] args) throws Exception {
        RemotingCommand.createRequestCommand(0, null);
        SendMessageRequestHeader send = new SendMessageRequestHeader();
        send.setProducerGroup("P");
        send.setTopic("TopicTest");
        send.setDefaultTopic("TBW102");
        send.setDefaultTopicQueueNums(4);
        send.setQueueId(1);
        send.setSysFlag(0);
        send.setBornTimestamp(1700000000000L);
        send.setFlag(0);
        send.setProperties("KEYS\u0001k \"1\"\u0002TAGS\u0001标签😀\u0002");
        send.setReconsumeTimes(0);
        send.setUnitMode(false);
        send.setBatch(false);
        command("send_v1", request(10, send));
        RemotingCommand v2 = request(310, SendMessageRequestHeaderV2.createSendMessageRequestHeaderV2(send));
        v2.setBody("body".getBytes(StandardCharsets.UTF_8));
        command("send_v2", v2);
        RemotingCommand sent = response(0, null, SendMessageResponseHeader.class);
        SendMessageResponseHeader sentHeader = (SendMessageResponseHeader) sent.readCustomHeader();
        sentHeader.setMsgId("7F00000100002A9F0000000000001000");
        sentHeader.setQueueId(1);
        sentHeader.setQueueOffset(12L);
        sent.addExtField("MSG_REGION", "DefaultRegion");
        sent.addExtField("TRACE_ON", "true");
        command("send_response", sent);
        PullMessageRequestHeader pull = new PullMessageRequestHeader();
        pull.setConsumerGroup("G");
        pull.setTopic("TopicTest");
        pull.setQueueId(1);
        pull.setQueueOffset(5L);
        pull.setMaxMsgNums(32);
        pull.setSysFlag(2);
        pull.setCommitOffset(0L);
        pull.setSuspendTimeoutMillis(15000L);
        pull.setSubVersion(1700000000000L);
        pull.setExpressionType("TAG");
        command("pull", request(11, pull));
        RemotingCommand pulled = response(19, "NO_MESSAGE_IN_QUEUE", PullMessageResponseHeader.class);
        PullMessageResponseHeader pulledHeader = (PullMessageResponseHeader) pulled.readCustomHeader();
        pulledHeader.setSuggestWhichBrokerId(0L);
        pulledHeader.setNextBeginOffset(5L);
        pulledHeader.setMinOffset(0L);
        pulledHeader.setMaxOffset(5L);
        command("pull_response", pulled);
        command("plain_response", response(1, "no \"such\"\n\u0001 主题", null));
        UpdateConsumerOffsetRequestHeader update = new UpdateConsumerOffsetRequestHeader();
        update.setConsumerGroup("G");
        update.setTopic("T");
        update.setQueueId(0);
        update.setCommitOffset(9L);
        RemotingCommand oneway = request(15, update);
        oneway.markOnewayRPC();
        command("update_offset", oneway);

        String properties = "KEYS\u0001k\u0002TAGS\u0001标签\u0002";
        line("record_v4", MessageDecoder.encode(message("10.0.0.1", properties), false));
        line("record_v6", MessageDecoder.encode(message("2001:db8::1", properties), false));
        text("msg_id_v4", MessageDecoder.createMessageId(ByteBuffer.allocate(16), ByteBuffer.wrap(new byte[] {10, 0, 0, 1, 0, 0, 42, (byte) 159}), 4096));
        List<Message> batch = new ArrayList<>();
        for (String body : new String[] {"one", "two"}) {
            Message message = new Message("TopicTest", "TagA", body.getBytes(StandardCharsets.UTF_8));
            message.setFlag(body.length());
            batch.add(message);
        }
        line("batch", MessageDecoder.encodeMessages(batch));
        for (String odd : new String[] {"a\u0001b", "a\u0001b\u0002", "\u0001b\u0002a\u0001\u0002c\u0001d\u0002\u0002", "a\u0001b\u0001c", "a\u00011\u0002a\u00012", "ab", "a\u0001\u0001"}) {
            StringBuilder read = new StringBuilder(odd).append('\u0003');
            new TreeMap<>(MessageDecoder.string2messageProperties(odd)).forEach((k, v) -> read.append(k).append('\u0004').append(v).append('\u0005'));
            text("properties", read.toString());
        }

        DataVersion version = new DataVersion();
        version.setTimestamp(1700000000000L);
        version.setCounter(new java.util.concurrent.atomic.AtomicLong(3));
        TopicConfigSerializeWrapper topics = new TopicConfigSerializeWrapper();
        topics.setDataVersion(version);
        for (String name : new String[] {"TopicTest", "%RETRY%G"}) {
            TopicConfig config = new TopicConfig(name, 8, 4, 6);
            topics.getTopicConfigTable().put(name, config);
        }
        text("topics", topics.toJson(true));
        RegisterBrokerBody register = new RegisterBrokerBody();
        register.setTopicConfigSerializeWrapper(topics);
        register.setFilterServerList(new ArrayList<>(List.of("10.0.0.9:1")));
        line("register", register.encode(false));
        line("register_stream", new InflaterInputStream(new ByteArrayInputStream(register.encode(true))).readAllBytes());
        TopicRouteData route = new TopicRouteData();
        HashMap<Long, String> addresses = new HashMap<>();
        addresses.put(0L, "10.0.0.1:10911");
        addresses.put(1L, "10.0.0.2:10911");
        BrokerData broker = new BrokerData("C", "broker-a", addresses);
        route.setBrokerDatas(List.of(broker));
        QueueData queues = new QueueData();
        queues.setBrokerName("broker-a");
        queues.setPerm(6);
        queues.setReadQueueNums(8);
        queues.setWriteQueueNums(4);
        queues.setTopicSysFlag(1);
        route.setQueueDatas(List.of(queues));
        route.setFilterServerTable(new HashMap<>());
        route.setOrderTopicConf("broker-a:4");
        line("route", route.encode());
        line("route_standard", route.encode(SerializerFeature.BrowserCompatible, SerializerFeature.QuoteFieldNames, SerializerFeature.SkipTransientField, SerializerFeature.MapSortField));
        ClusterInfo cluster = new ClusterInfo();
        cluster.setBrokerAddrTable(new HashMap<>(Map.of("broker-a", broker)));
        cluster.setClusterAddrTable(new HashMap<>(Map.of("C", new HashSet<>(Set.of("broker-a")))));
        line("cluster", cluster.encode());
        KVTable table = new KVTable();
        table.getTable().put("T", "broker-a:4");
        line("kv", table.encode());
        TopicList list = new TopicList();
        list.setTopicList(new HashSet<>(Set.of("T")));
        list.setBrokerAddr("10.0.0.1:10911");
        line("topic_list", list.encode());
        ConsumerData consumer = new ConsumerData();
        consumer.setGroupName("G");
        consumer.setConsumeType(ConsumeType.CONSUME_PASSIVELY);
        consumer.setMessageModel(MessageModel.CLUSTERING);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        SubscriptionData subscription = FilterAPI.buildSubscriptionData("T", "TagA");
        subscription.setSubVersion(1700000000000L);
        consumer.getSubscriptionDataSet().add(subscription);
        ConsumerData other = new ConsumerData();
        other.setGroupName("H");
        other.setConsumeType(ConsumeType.CONSUME_ACTIVELY);
        other.setMessageModel(MessageModel.BROADCASTING);
        other.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_TIMESTAMP);
        other.getSubscriptionDataSet().add(subscription);
        HeartbeatData heartbeat = new HeartbeatData();
        heartbeat.setClientID("10.0.0.1@1#2");
        ProducerData producer = new ProducerData();
        producer.setGroupName("P");
        heartbeat.getProducerDataSet().add(producer);
        heartbeat.setConsumerDataSet(new LinkedHashSet<>(List.of(consumer, other)));
        line("heartbeat_shared", heartbeat.encode());
        heartbeat.setConsumerDataSet(new HashSet<>(List.of(consumer)));
        line("heartbeat", heartbeat.encode());
        org.apache.rocketmq.common.subscription.SubscriptionGroupConfig group = new org.apache.rocketmq.common.subscription.SubscriptionGroupConfig();
        group.setGroupName("G");
        line("group", RemotingSerializable.encode(group));
        MessageQueue queue = new MessageQueue("T", "broker-a", 3);
        LockBatchRequestBody lock = new LockBatchRequestBody();
        lock.setClientId("c");
        lock.setConsumerGroup("G");
        lock.getMqSet().add(queue);
        line("lock", lock.encode());
        LockBatchResponseBody locked = new LockBatchResponseBody();
        locked.getLockOKMQSet().add(queue);
        line("lock_response", locked.encode());
        TopicStatsTable stats = new TopicStatsTable();
        TopicOffset offset = new TopicOffset();
        offset.setMinOffset(1);
        offset.setMaxOffset(5);
        offset.setLastUpdateTimestamp(9);
        stats.getOffsetTable().put(queue, offset);
        line("topic_stats", stats.encode());
        ConsumeStats consumed = new ConsumeStats();
        OffsetWrapper wrapper = new OffsetWrapper();
        wrapper.setBrokerOffset(5);
        wrapper.setConsumerOffset(4);
        wrapper.setLastTimestamp(9);
        consumed.getOffsetTable().put(queue, wrapper);
        line("consume_stats", consumed.encode());

        for (String expression : new String[] {"*", "", "TagA", "TagA || TagB", "||", "|||", " || ", "A|B", "TagA||TagA", "标签😀||b", " ", "||||", "a||", "* || a"}) {
            String result;
            try {
                SubscriptionData data = FilterAPI.buildSubscriptionData("T", expression);
                result = data.getSubString() + "\u0004" + String.join(",", new TreeSet<>(data.getTagsSet())) + "\u0004" + new TreeSet<>(data.getCodeSet());
            } catch (Exception e) {
                result = "refused";
            }
            text("subscription", expression + "\u0003" + result);
        }
        for (String name : new String[] {"T", "%RETRY%G", "a|b_c-D9", "", " ", "a b", "a.b", "../x", "a/b", "主题", "t".repeat(127), "t".repeat(128), "a@b"}) {
            text("topic", name + "\u0003" + TopicValidator.validateTopic(name, response(0, "", null)));
        }
    }
}
