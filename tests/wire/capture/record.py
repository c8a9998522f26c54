#!/usr/bin/env python3
"""Recording proxy of the remoting protocol: stands between Java clients, a Java broker and a Java nameserver, and keeps one file
for each (code, direction, header form, shape).

    record.py OUT ORIGIN NS_LISTEN NS_REAL BROKER_LISTEN BROKER_REAL CODES

Ports are of 127.0.0.1 and have five digits. The broker must register through NS_LISTEN: the proxy forwards its registration with
BROKER_LISTEN in place of BROKER_REAL, so that routes lead clients here; message ids get the same treatment, or a view by id would
go past the proxy. What is stored is always what was received, before any replacement. CODES is a file of "code NAME" lines.
The standard library only; ends at SIGTERM.
"""
import json
import os
import socket
import struct
import sys
import threading

BODY_MAX = 6000
VARIANTS_MAX = 5

out_dir, origin = sys.argv[1], sys.argv[2]
ns_listen, ns_real, broker_listen, broker_real = sys.argv[3:7]
names = dict(line.split() for line in open(sys.argv[7], encoding="ascii") if line.strip())
lock = threading.Lock()
shapes = {}


def header_of(frame):
    """(form, code, flag, opaque, names of the extra fields, remark, body length) of a whole frame."""
    mark = struct.unpack_from(">I", frame, 4)[0]
    form, length = mark >> 24, mark & 0xFFFFFF
    head, body = frame[8:8 + length], frame[8 + length:]
    if form == 0:
        h = json.loads(head)
        return "json", h["code"], h["flag"], h["opaque"], tuple(sorted(h.get("extFields") or ())), h.get("remark"), body
    code, _language, _version, opaque, flag = struct.unpack_from(">hBhii", head, 0)
    at = 13
    n = struct.unpack_from(">i", head, at)[0]
    at += 4
    remark = head[at:at + n].decode() if n else None
    at += n
    end = struct.unpack_from(">i", head, at)[0]
    at += 4
    end += at
    keys = []
    while at < end:
        n = struct.unpack_from(">h", head, at)[0]
        at += 2
        keys.append(head[at:at + n].decode())
        at += n
        n = struct.unpack_from(">i", head, at)[0]
        at += 4 + n
    return "rocketmq", code, flag, opaque, tuple(sorted(keys)), remark, body


def keep(frame, code, form, direction, shape, note):
    with lock:
        key = (code, direction, form)
        seen = shapes.setdefault(key, [])
        if shape in seen or len(seen) >= VARIANTS_MAX:
            return
        seen.append(shape)
        suffix = "" if len(seen) == 1 else "_%d" % len(seen)
        path = os.path.join(out_dir, "%d_%s_%s_%s%s.hex" % (code, names.get(str(code), "UNKNOWN"), direction, form, suffix))
        text = frame.hex()
        with open(path, "w", encoding="ascii") as f:
            f.write("# %s; %s\n" % (origin, note))
            for at in range(0, len(text), 128):
                f.write(text[at:at + 128] + "\n")


class Link:
    """One proxied connection. Requests of either side are noted by opaque, so that an answer is filed under its request's code."""

    def __init__(self, kind, client, server):
        self.kind, self.client, self.server = kind, client, server
        self.asked = {"client": {}, "server": {}}

    def run(self):
        threading.Thread(target=self.pump, args=(self.client, self.server, "client"), daemon=True).start()
        self.pump(self.server, self.client, "server")

    def pump(self, source, sink, side):
        data = b""
        try:
            while True:
                chunk = source.recv(1 << 16)
                if not chunk:
                    break
                data += chunk
                while len(data) >= 4:
                    total = 4 + struct.unpack_from(">I", data, 0)[0]
                    if len(data) < total:
                        break
                    frame, data = data[:total], data[total:]
                    sink.sendall(self.frame(frame, side))
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def frame(self, frame, side):
        form, code, flag, opaque, keys, remark, body = header_of(frame)
        who = {("ns", "client"): "to the nameserver", ("ns", "server"): "from the nameserver",
               ("broker", "client"): "client to broker", ("broker", "server"): "broker to client"}[(self.kind, side)]
        if flag & 1:
            asked = self.asked["server" if side == "client" else "client"].pop(opaque, None)
            if asked is not None and len(body) <= BODY_MAX:
                keep(frame, asked, form, "response", (side, code, keys, bool(body)), "%s, response code %d" % (who, code))
            request_code = asked
        else:
            if not flag & 2:
                self.asked[side][opaque] = code
            request_code = code
            if len(body) <= BODY_MAX:
                keep(frame, code, form, "request", (side, flag & 2, keys, bool(body)), "%s%s" % (who, ", one way" if flag & 2 else ""))
        if self.kind == "ns" and side == "client" and request_code in (103, 104):
            frame = frame.replace(b"127.0.0.1:" + broker_real.encode(), b"127.0.0.1:" + broker_listen.encode())
        if self.kind == "broker" and side == "server" and request_code in (10, 310, 320):
            frame = frame.replace(b"%08X" % int(broker_real), b"%08X" % int(broker_listen))
        return frame


def serve(kind, listen, real):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(listen)))
    s.listen(64)
    while True:
        client, _ = s.accept()
        try:
            server = socket.create_connection(("127.0.0.1", int(real)))
        except OSError:
            client.close()
            continue
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Link(kind, client, server).run, daemon=True).start()


os.makedirs(out_dir, exist_ok=True)
threading.Thread(target=serve, args=("ns", ns_listen, ns_real), daemon=True).start()
serve("broker", broker_listen, broker_real)
