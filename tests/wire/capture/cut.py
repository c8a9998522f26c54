#!/usr/bin/env python3
"""cut.py STORE OUT: cuts one stored record of each kind out of the first commit log file of a Java broker's store, with the consume
queue unit that points to it; one hex file each. The standard library only."""
import glob
import os
import struct
import sys

store, out = sys.argv[1], sys.argv[2]
os.makedirs(out, exist_ok=True)
with open(sorted(glob.glob(os.path.join(store, "commitlog", "*")))[0], "rb") as f:
    log = f.read(4 << 20)


def write(name, note, data):
    with open(os.path.join(out, name + ".hex"), "w", encoding="ascii") as f:
        f.write("# stored by a Java 4.9.7 broker; %s\n" % note)
        text = data.hex()
        for at in range(0, len(text), 128):
            f.write(text[at:at + 128] + "\n")


def properties(record):
    sysflag = struct.unpack_from(">i", record, 36)[0]
    at = 40 + 8 + (20 if sysflag & 0x10 else 8) + 8 + (20 if sysflag & 0x20 else 8) + 4 + 8
    n = struct.unpack_from(">i", record, at)[0]
    body = record[at + 4:at + 4 + n]
    at += 4 + n
    n = record[at]
    topic = record[at + 1:at + 1 + n].decode()
    at += 1 + n
    n = struct.unpack_from(">h", record, at)[0]
    props = dict(p.split("\x01", 1) for p in record[at + 2:at + 2 + n].decode().split("\x02") if p)
    return topic, body, props, sysflag


kinds, position = {}, 0
while position + 8 <= len(log):
    size, magic = struct.unpack_from(">Ii", log, position)
    if size == 0 or magic != struct.unpack(">i", b"\xda\xa3\x20\xa7")[0]:
        break
    record = log[position:position + size]
    topic, body, props, sysflag = properties(record)
    kind = {"SCHEDULE_TOPIC_XXXX": "delayed", "RMQ_SYS_TRANS_HALF_TOPIC": "transaction_half", "RMQ_SYS_TRANS_OP_HALF_TOPIC": "transaction_op"}.get(topic)
    if kind is None and topic.startswith("%RETRY%"):
        kind = "retry"
    if kind is None and topic.startswith("%DLQ%"):
        kind = "dead_letter"
    if kind is None and topic == "GoldenTopic":
        keys = props.get("KEYS", "")
        kind = {"k1 k2": "plain", "oneway": "one_way", "b1": "batch_first", "b2": "batch_second", "\u952e": "text_outside_ascii",
                "commit": "transaction_commit", "delayed": "delay_over"}.get(keys)
    if kind and kind not in kinds:
        kinds[kind] = position
        write(kind, "record of %d bytes at commit log offset %d, topic %s" % (size, position, topic), record)
        queue, offset = struct.unpack_from(">i", record, 12)[0], struct.unpack_from(">q", record, 20)[0]
        path = os.path.join(store, "consumequeue", topic, str(queue), "%020d" % 0)
        if os.path.exists(path):
            with open(path, "rb") as f:
                f.seek(offset * 20)
                unit = f.read(20)
            if len(unit) == 20 and struct.unpack_from(">q", unit, 0)[0] == position:
                write(kind + "_queue_unit", "consume queue unit of the record %s, queue %d offset %d" % (kind, queue, offset), unit)
    position += size
print("cut", sorted(kinds))
