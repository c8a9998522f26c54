#!/usr/bin/env python3
"""Scenarios of PyPI rocketmq 0.4.4, which carries the C++ client 1.x as a library:

    scenarios.py NAMESERVER [NAME,...]

Each checks what arrives against what was sent (body, keys, tags, properties), prints PASS or FAIL with the reason; the program
ends with 1 when any failed. This version cannot ask for a retry (an exception of the callback is lost on its way), so that is
tested with the same library through its C functions; its send_batch arrives as one message even at the original. Only one
scenario runs at a time: the library keeps global state.
"""
import os
import sys
import threading
import time

from rocketmq.client import Message, Producer, PullConsumer, PushConsumer

ns = sys.argv[1]
run = "%x" % int(time.time() * 1000)


class Ledger:
    """What was sent, by body, and what came back for each."""

    def __init__(self):
        self.sent, self.seen, self.strangers, self.lock = {}, {}, [], threading.Lock()

    def plan(self, message, body, tag, key):
        message.set_body(body)
        message.set_keys(key)
        message.set_tags(tag)
        message.set_property("who", key + " 值")
        self.sent[body] = (tag, key)
        return message

    def see(self, m):
        # The message lives in the library and ends with the callback: copy what is compared.
        got = tuple(v.decode() if isinstance(v, bytes) else v for v in (m.topic, m.tags, m.keys, m["who"])) + (m.queue_id, m.queue_offset)
        with self.lock:
            if m.body in self.sent:
                self.seen.setdefault(m.body, []).append(got)
            else:
                self.strangers.append((m.topic, m.body[:60]))

    def settle(self, topic, seconds=90):
        end = time.time() + seconds
        while len(self.seen) < len(self.sent):
            if time.time() > end:
                missing = [b for b in self.sent if b not in self.seen]
                raise AssertionError("%d of %d messages not seen within %d s, e.g. %r" % (len(missing), len(self.sent), seconds, missing[0][:60]))
            time.sleep(0.05)
        time.sleep(0.1)
        assert not self.strangers, "messages that nobody sent: %r" % self.strangers[:3]
        places = set()
        for body, (tag, key) in self.sent.items():
            got = self.seen[body]
            assert len(got) == 1, "message %r came %d times" % (body[:60], len(got))
            g = got[0]
            assert g[:4] == (topic, tag, key, key + " 值"), "message %r: want %r, got %r" % (body[:60], (topic, tag, key, key + " 值"), g[:4])
            places.add((g[4], g[5]))
        assert len(places) == len(self.sent), "two messages lie at one place"


def producer(name):
    p = Producer(name + run)
    p.set_namesrv_addr(ns)
    p.start()
    return p


def consume(name, topic, callback, tags="*", orderly=False):
    c = PushConsumer(name + run, orderly=orderly)
    c.set_namesrv_addr(ns)
    c.set_instance_name(name + run)
    c.subscribe(topic, callback, tags)
    c.start()
    return c


def into(ledger):
    def callback(m):
        ledger.see(m)
        return True
    return callback


def produce_consume():
    topic, ledger = "py_plain_" + run, Ledger()
    p = producer("py_plain_p")
    for i in range(60):
        m = ledger.plan(Message(topic), b"body %d of " % i + run.encode(), "Tag%d" % (i % 3), "k%d" % i)
        if i % 6 == 5:
            p.send_oneway(m)
        else:
            r = p.send_sync(m)
            assert int(r.status) == 0, "send status %r" % (r,)
    c = consume("py_plain_c", topic, into(ledger))
    try:
        ledger.settle(topic)
    finally:
        c.shutdown()
        p.shutdown()


def tags():
    topic, ledger = "py_tags_" + run, Ledger()
    p = producer("py_tags_p")
    for i in range(30):
        target = ledger if i % 3 == 1 else Ledger()
        p.send_sync(target.plan(Message(topic), b"tagged %d " % i + run.encode(), "Tag%d" % (i % 3), "k%d" % i))
    c = consume("py_tags_c", topic, into(ledger), "Tag1")
    try:
        ledger.settle(topic)
    finally:
        c.shutdown()
        p.shutdown()


def orderly():
    topic, ledger, order = "py_order_" + run, Ledger(), {}
    p = producer("py_order_p")
    for i in range(40):
        p.send_orderly(ledger.plan(Message(topic), b"in order %d " % i + run.encode(), "T", "k%d" % i), i % 2)

    def callback(m):
        order.setdefault(m.queue_id, []).append(m.queue_offset)
        ledger.see(m)
        return True
    c = consume("py_order_c", topic, callback, orderly=True)
    try:
        ledger.settle(topic)
        for queue, offsets in order.items():
            assert offsets == list(range(len(offsets))), "queue %d came in the order %r" % (queue, offsets[:20])
    finally:
        c.shutdown()
        p.shutdown()


def pull():
    topic, ledger = "py_pull_" + run, Ledger()
    p = producer("py_pull_p")
    for i in range(50):
        p.send_sync(ledger.plan(Message(topic), b"pulled %d " % i + run.encode(), "T", "k%d" % i))
    c = PullConsumer("py_pull_c" + run)
    c.set_namesrv_addr(ns)
    c.start()
    try:
        end = time.time() + 60
        while len(ledger.seen) < 50 and time.time() < end:
            for m in c.pull(topic):
                ledger.see(m)
        ledger.settle(topic, 1)
    finally:
        c.shutdown()
        p.shutdown()


def large():
    topic, ledger = "py_large_" + run, Ledger()
    p = producer("py_large_p")
    p.set_max_message_size(4 << 20)
    for size in (1, 4095, 4096, 70000, 1 << 20):
        body = (b"%08d" % size) * (size // 8 + 1)
        p.send_sync(ledger.plan(Message(topic), body[:size], "T", "size%d" % size))
    c = consume("py_large_c", topic, into(ledger))
    try:
        ledger.settle(topic)
    finally:
        c.shutdown()
        p.shutdown()


ALL = [produce_consume, tags, orderly, pull, large]
wanted = sys.argv[2].split(",") if len(sys.argv) > 2 else [f.__name__.replace("_", "-") for f in ALL]
failed = 0
for scenario in ALL:
    name = scenario.__name__.replace("_", "-")
    if name not in wanted:
        continue
    begin = time.time()
    try:
        scenario()
        print("PASS %s (%.1f s)" % (name, time.time() - begin), flush=True)
    except Exception as e:  # a failure of any kind is this scenario's
        failed = 1
        print("FAIL %s (%.1f s): %s: %s" % (name, time.time() - begin, type(e).__name__, e), flush=True)
os._exit(failed)
