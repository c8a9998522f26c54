package scenario;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** The few calls that changed between client 4.3 and 5.5. */
final class Compat {
    private Compat() {
    }

    static boolean isFive() {
        try {
            Class.forName("org.apache.rocketmq.common.protocol.RequestCode");
            return false;
        } catch (ClassNotFoundException moved) {
            return true;
        }
    }

    /** MessageModel moved to another package in 5.x. */
    static void broadcasting(Object consumer) throws Exception {
        for (java.lang.reflect.Method method : consumer.getClass().getMethods()) {
            if (method.getName().equals("setMessageModel")) {
                Class<?> model = method.getParameterTypes()[0];
                method.invoke(consumer, model.getField("BROADCASTING").get(null));
                return;
            }
        }
        throw new NoSuchMethodException("setMessageModel");
    }

    /** The message at an offset id (request 33): one argument in 4.x, through MQAdminImpl in 5.x. */
    static MessageExt viewByOffsetId(DefaultMQProducer producer, String topic, String offsetMsgId) throws Exception {
        Object admin = producer.getDefaultMQProducerImpl().getmQClientFactory().getMQAdminImpl();
        try {
            return (MessageExt) admin.getClass().getMethod("viewMessage", String.class).invoke(admin, offsetMsgId);
        } catch (NoSuchMethodException newer) {
            return (MessageExt) admin.getClass().getMethod("viewMessage", String.class, String.class).invoke(admin, topic, offsetMsgId);
        } catch (java.lang.reflect.InvocationTargetException e) {
            throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
        }
    }
}
