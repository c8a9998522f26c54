package store;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Objects;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * One line of the list that a fill writes and a check reads, fields parted by tabs:
 * <pre>
 * T topic queues                                             a topic with so many queues
 * M topic queue offset sha1 length keys tags flag id uid p   a message at its place; p is the user property "place"
 * D topic sha1 length keys tags                              a delayed message that must come into its topic by itself
 * O group topic queue offset                                 an offset that a group stored
 * </pre>
 * An absent text is "-".
 */
final class Row {
    final String[] cell;

    Row(String... cell) {
        this.cell = cell;
    }

    static Row parse(String line) {
        return new Row(line.split("\t", -1));
    }

    String kind() {
        return cell[0];
    }

    long number(int i) {
        return Long.parseLong(cell[i]);
    }

    @Override
    public String toString() {
        return String.join("\t", cell);
    }

    static String text(String value) {
        return value == null || value.isEmpty() ? "-" : value;
    }

    static String sha1(byte[] body) {
        try {
            StringBuilder hex = new StringBuilder();
            for (byte b : MessageDigest.getInstance("SHA-1").digest(body)) {
                hex.append(String.format("%02x", b));
            }
            return hex.toString();
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** What a stored message says of itself, as an M row. */
    static Row of(MessageExt m) {
        String id = m instanceof MessageClientExt ? ((MessageClientExt) m).getOffsetMsgId() : m.getMsgId();
        return new Row("M", m.getTopic(), "" + m.getQueueId(), "" + m.getQueueOffset(), sha1(m.getBody()), "" + m.getBody().length, text(m.getKeys()),
            text(m.getTags()), "" + m.getFlag(), id, text(m.getProperty("UNIQ_KEY")), text(m.getProperty("place")));
    }

    /** The first field in which two rows differ, in words; null when they agree. */
    static String difference(Row want, Row got) {
        String[] names = {"kind", "topic", "queue", "offset", "body sha1", "body length", "keys", "tags", "flag", "offset id", "unique id", "property place"};
        for (int i = 0; i < names.length; i++) {
            if (!Objects.equals(want.cell[i], got.cell[i])) {
                return names[i] + ": want " + want.cell[i] + ", got " + got.cell[i] + " (" + want.cell[1] + " queue " + want.cell[2] + " offset " + want.cell[3] + ")";
            }
        }
        return null;
    }
}
