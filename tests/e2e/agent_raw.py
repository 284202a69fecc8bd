"""What no ssh-add does with an agent's socket: typed by whoever is root on a target."""

import os
import socket
import struct


def connect():
    agent = socket.socket(socket.AF_UNIX)
    agent.connect(os.environ["SSH_AUTH_SOCK"])
    agent.settimeout(20)
    return agent


def framed(message):
    return struct.pack(">I", len(message)) + message


def receive(agent):
    """The first byte of an answer; `end` when there is none."""
    data = b""
    wanted = 4
    while len(data) < wanted:
        piece = agent.recv(wanted - len(data))
        if not piece:
            return "end"
        data += piece
        if len(data) == 4:
            wanted = 4 + struct.unpack(">I", data)[0]
    return data[4]


# Pipelined: each answer is that of its request, ours among the agent's.
agent = connect()
lock = bytes([22]) + struct.pack(">I", 1) + b"x"
unknown = bytes([27]) + struct.pack(">I", 7) + b"unknown"
requests = [bytes([11]), bytes([19]), bytes([11]), lock, unknown, bytes([200]), bytes([11])]
agent.sendall(b"".join(framed(request) for request in requests))
print("pipelined", *[receive(agent) for _ in requests])
# Byte by byte.
for byte in framed(bytes([11])):
    agent.sendall(bytes([byte]))
print("bytes", receive(agent))
# The last question, and no more: it is answered.
agent.sendall(framed(bytes([11])))
agent.shutdown(socket.SHUT_WR)
print("last", receive(agent), receive(agent))

for name, data in [
    ("huge", struct.pack(">I", 0xFFFFFFFF) + b"x" * 100),
    ("long", struct.pack(">I", 256 * 1024 + 1)),
    ("empty", struct.pack(">I", 0)),
    ("http", b"GET / HTTP/1.1\r\nHost: agent\r\n\r\n"),
]:
    agent = connect()
    agent.sendall(data)
    print(name, receive(agent))

# A message that never ends holds nobody up.
stuck = connect()
stuck.sendall(struct.pack(">I", 1000) + b"\x0b")
agent = connect()
agent.sendall(framed(bytes([11])))
print("beside", receive(agent))
