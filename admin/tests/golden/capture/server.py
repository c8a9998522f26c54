#!/usr/bin/env python3
"""server.py CASE: plays the nameservers and brokers of one case until standard input ends.

CASE/answers has one line an answer: ADDRESS CODE BODY, where BODY may be `-` (none) or `!CODE REMARK` (a refusal).
`{now-N}` in a body stands for the present time in ms less N. What is not listed is answered with code 3, as Java does.
Prints `ready` once it listens on every address of the file.
"""
import json, re, socket, sys, threading, time

answers = {}
for line in open(f"{sys.argv[1]}/answers", encoding="utf-8"):
    line = line.rstrip("\n")
    if line and not line.startswith("#"):
        address, code, body = line.split(" ", 2)
        answers[address, int(code)] = body


def exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def serve(connection, address):
    try:
        while True:
            frame = exactly(connection, int.from_bytes(exactly(connection, 4), "big"))
            length = int.from_bytes(frame[1:4], "big")
            request = json.loads(frame[4:4 + length])
            text = answers.get((address, request["code"]), f"!3 request type {request['code']} not supported")
            text = re.sub(r"\{now-(\d+)\}", lambda m: str(int(time.time() * 1000) - int(m[1])), text)
            header = {"code": 0, "flag": 1, "language": "JAVA", "opaque": request["opaque"], "serializeTypeCurrentRPC": "JSON", "version": 407}
            body = b"" if text == "-" or text.startswith("!") else text.encode()
            if text.startswith("!"):
                code, _, header["remark"] = text[1:].partition(" ")
                header["code"] = int(code)
            header = json.dumps(header).encode()
            connection.sendall((4 + len(header) + len(body)).to_bytes(4, "big") + len(header).to_bytes(4, "big") + header + body)
    except (EOFError, OSError):
        connection.close()


def accept(listener, address):
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0], address), daemon=True).start()


for address in sorted({address for address, _ in answers}):
    host, port = address.rsplit(":", 1)
    listener = socket.create_server((host, int(port)))
    threading.Thread(target=accept, args=(listener, address), daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
