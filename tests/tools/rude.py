"""A client that breaks the rules of RFC 4254 on purpose, each case on a connection of its own.

rude.py PORT KEY CERTIFICATE LOGIN DOOR: prints one line a case; what the bastion does is for the test to see.
"""

import socket
import sys

import paramiko
from paramiko.common import (
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_DATA,
    cMSG_CHANNEL_EOF,
    cMSG_CHANNEL_OPEN,
    cMSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_WINDOW_ADJUST,
    cMSG_GLOBAL_REQUEST,
)

port, key_file, certificate, login, door = sys.argv[1:6]


def log_in(sock, user):
    transport = paramiko.Transport(sock)
    key = paramiko.Ed25519Key.from_private_key_file(key_file)
    key.load_certificate(certificate)
    transport.start_client()
    transport.auth_publickey(user, key)
    return transport


def connect():
    """Logged in, with a channel that runs `cat`."""
    outer = socket.create_connection(("127.0.0.1", int(port)))
    if door == "name":
        transport = log_in(outer, f"{login}@db1")
    else:
        first = log_in(outer, login)
        tunnel = first.open_channel("direct-tcpip", ("db1", 22), ("127.0.0.1", 0))
        transport = log_in(tunnel, login)
    channel = transport.open_session()
    channel.exec_command("cat")
    return transport, channel


def message(kind, *fields):
    packet = paramiko.Message()
    packet.add_byte(kind)
    for field in fields:
        if isinstance(field, bytes):
            packet.add_string(field)
        else:
            packet.add_int(field)
    return packet


def data(number, payload):
    return message(cMSG_CHANNEL_DATA, number, payload)


def request(number, name, *fields):
    """One that wants an answer."""
    packet = message(cMSG_CHANNEL_REQUEST, number, name)
    packet.add_boolean(True)
    for field in fields:
        if isinstance(field, bytes):
            packet.add_string(field)
        else:
            packet.add_int(field)
    return packet


def asked(name, *fields):
    packet = message(cMSG_GLOBAL_REQUEST, name)
    packet.add_boolean(True)
    for field in fields:
        if isinstance(field, bytes):
            packet.add_string(field)
        else:
            packet.add_int(field)
    return packet


BIG = 2**32 - 1


CASES = {
    "a channel that never was": lambda number: [
        data(4711, b"x"),
        message(cMSG_CHANNEL_EOF, 4711),
        message(cMSG_CHANNEL_WINDOW_ADJUST, 4711, 5),
        message(cMSG_CHANNEL_CLOSE, 4711),
        message(cMSG_CHANNEL_CLOSE, 2**32 - 1),
    ],
    "data after eof": lambda number: [
        message(cMSG_CHANNEL_EOF, number),
        data(number, b"late"),
        message(cMSG_CHANNEL_EOF, number),
    ],
    "data after close": lambda number: [
        message(cMSG_CHANNEL_CLOSE, number),
        data(number, b"later"),
        message(cMSG_CHANNEL_WINDOW_ADJUST, number, 5),
        message(cMSG_CHANNEL_CLOSE, number),
    ],
    "a window beyond 2^32": lambda number: [
        message(cMSG_CHANNEL_WINDOW_ADJUST, number, 2**32 - 1),
        message(cMSG_CHANNEL_WINDOW_ADJUST, number, 2**32 - 1),
        message(cMSG_CHANNEL_WINDOW_ADJUST, number, 0),
    ],
    "windows and packets of 0 and 2^32-1": lambda number: [
        message(cMSG_CHANNEL_OPEN, b"session", 900, 0, 0),
        message(cMSG_CHANNEL_OPEN, b"session", 901, 2**32 - 1, 2**32 - 1),
        message(cMSG_CHANNEL_OPEN, b"session", 902, 0, 2**32 - 1),
        message(cMSG_CHANNEL_OPEN, b"no-such-type\xff", 903, 1, 1),
    ],
    "data beyond the window": lambda number: [data(number, b"x" * 30000) for _ in range(2000)],
    "requests that are cut": lambda number: [
        message(cMSG_CHANNEL_REQUEST, number, b"pty-req"),
        message(cMSG_CHANNEL_REQUEST, number),
        message(cMSG_CHANNEL_REQUEST),
    ],
    "a string that says it is 4 GiB": lambda number: [
        message(cMSG_CHANNEL_DATA, number, 2**32 - 1),
    ],
    "requests that nobody knows": lambda number: [
        request(number, b"no-such-\x1b[31mrequest"),
        request(number, b""),
        request(4711, b"exec", b"true"),
        request(number, b"exit-status", 3),
        request(number, b"xon-xoff"),
        asked(b"no-such-\x1b[31mrequest"),
        asked(b"tcpip-forward", b"x" * 30000, BIG),
        asked(b"cancel-tcpip-forward", b"", 0),
    ],
    "sizes of 2^32-1": lambda number: [
        request(number, b"window-change", BIG, BIG, BIG, BIG),
        request(number, b"window-change", 0, 0, 0, 0),
        request(number, b"pty-req", b"xterm", BIG, BIG, BIG, BIG, b""),
        request(number, b"signal", b"x" * 30000),
        request(number, b"env", b"n" * 30000, b"v"),
    ],
    "a terminal whose modes are cut": lambda number: [
        request(number, b"pty-req", b"xterm", 80, 24, 0, 0, b"\x35\x00\x00"),
    ],
    "a variable that is no text": lambda number: [request(number, b"env", b"LC_NAME", b"\xff")],
    "a command of 4 GiB": lambda number: [request(number, b"exec", BIG)],
    "more than the request": lambda number: [request(number, b"shell", b"and more")],
    "a forward that is cut": lambda number: [asked(b"tcpip-forward", b"127.0.0.1")],
    "channels that clients do not open": lambda number: [
        message(cMSG_CHANNEL_OPEN, b"forwarded-tcpip", 910, 1, 1, b"a", 1, b"b", 2),
        message(cMSG_CHANNEL_OPEN, b"auth-agent@openssh.com", 911, 1, 1),
        message(cMSG_CHANNEL_OPEN, b"x11", 912, 1, 1, b"a", 1),
        message(cMSG_CHANNEL_OPEN, b"direct-tcpip", 913, 1, 1, b"x" * 30000, BIG, b"\x1b[31m", BIG),
    ],
    "a channel that is cut": lambda number: [message(cMSG_CHANNEL_OPEN, b"direct-tcpip", 920, 1)],
    "answers that nobody asked for": lambda number: [
        message(b"\x51"),
        message(b"\x52"),
        message(b"\x5b", 4711, 0, BIG, BIG),
        message(b"\x5c", 4711, 1, b"no", b""),
        message(b"\x63", number),
        message(b"\x64", number),
        message(b"\x34"),
        message(b"\xc0", b"a message of no known kind"),
    ],
}

for name, packets in CASES.items():
    transport, channel = connect()
    try:
        for packet in packets(channel.remote_chanid):
            transport._send_user_message(packet)
        # The bastion has seen all that when it answers this, or has hung up.
        transport.global_request("keepalive@openssh.com", wait=True)
        hung_up = False
    except (EOFError, OSError):
        # The thread that reads may not know yet what a write has met.
        hung_up = True
    except paramiko.SSHException:
        hung_up = False
    state = "closed" if hung_up or not transport.is_active() else "open"
    print(name, state, flush=True)
    transport.close()
