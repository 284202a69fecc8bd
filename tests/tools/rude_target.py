"""A target that breaks the rules of RFC 4254 on purpose.

rude_target.py HOST_KEY PORT...: lets everybody in; a command is the name of a case. The first port grants
windows as it should, the others those of ODD. Prints `ready`, then one line for each channel that it was
allowed to open, which it must not be.
"""

import socket
import sys
import threading

import paramiko
from paramiko.common import (
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_DATA,
    cMSG_CHANNEL_EOF,
    cMSG_CHANNEL_EXTENDED_DATA,
    cMSG_CHANNEL_OPEN,
    cMSG_CHANNEL_OPEN_SUCCESS,
    cMSG_CHANNEL_REQUEST,
    cMSG_CHANNEL_SUCCESS,
    cMSG_CHANNEL_WINDOW_ADJUST,
    cMSG_GLOBAL_REQUEST,
)

host_key = paramiko.Ed25519Key.from_private_key_file(sys.argv[1])
BIG = 2**32 - 1


def message(kind, *fields):
    packet = paramiko.Message()
    packet.add_byte(kind)
    for field in fields:
        if isinstance(field, bool):
            packet.add_boolean(field)
        elif isinstance(field, bytes):
            packet.add_string(field)
        else:
            packet.add_int(field)
    return packet


def data(number, payload):
    return message(cMSG_CHANNEL_DATA, number, payload)


def status(number, code):
    return message(cMSG_CHANNEL_REQUEST, number, b"exit-status", False, code)


CASES = {
    "plain": lambda n: [],
    "a channel that never was": lambda n: [
        data(4711, b"x"),
        message(cMSG_CHANNEL_EXTENDED_DATA, 4711, 1, b"x"),
        message(cMSG_CHANNEL_EOF, 4711),
        message(cMSG_CHANNEL_WINDOW_ADJUST, 4711, BIG),
        message(cMSG_CHANNEL_CLOSE, 4711),
        message(cMSG_CHANNEL_REQUEST, 4711, b"exit-status", True, 1),
    ],
    "beyond the window": lambda n: [data(n, b"x" * 30000) for _ in range(1000)],
    "a window beyond 2^32": lambda n: [message(cMSG_CHANNEL_WINDOW_ADJUST, n, BIG)] * 3,
    "data after eof": lambda n: [message(cMSG_CHANNEL_EOF, n), data(n, b"late")],
    "data after close": lambda n: [
        message(cMSG_CHANNEL_CLOSE, n), data(n, b"later"), message(cMSG_CHANNEL_CLOSE, n)
    ],
    "extended data of a kind that nobody knows": lambda n: [
        message(cMSG_CHANNEL_EXTENDED_DATA, n, kind, b"what?") for kind in (0, 2, 7, BIG)
    ],
    "statuses": lambda n: [status(n, 3), status(n, BIG), message(
        cMSG_CHANNEL_REQUEST, n, b"exit-signal", False, b"\x1b[31mNO", False, b"\x1b[31mred" * 900, b""
    )],
    "requests that nobody knows": lambda n: [
        message(cMSG_CHANNEL_REQUEST, n, b"no-such-\x1b[31m", True),
        message(cMSG_CHANNEL_REQUEST, n, b"exec", True, b"id"),
        message(cMSG_CHANNEL_REQUEST, n, b"xon-xoff", False, True),
        message(cMSG_GLOBAL_REQUEST, b"hostkeys-00@openssh.com", False, b"x" * 30000),
        message(cMSG_GLOBAL_REQUEST, b"no-such-\x1b[31m", True),
    ],
    "channels of its own": lambda n: [
        message(cMSG_CHANNEL_OPEN, b"session", 900, BIG, BIG),
        message(cMSG_CHANNEL_OPEN, b"direct-tcpip", 901, 1, 1, b"127.0.0.1", 22, b"127.0.0.1", 1),
        message(cMSG_CHANNEL_OPEN, b"forwarded-tcpip", 902, 1, 1, b"127.0.0.1", 22, b"127.0.0.1", 1),
        message(cMSG_CHANNEL_OPEN, b"auth-agent@openssh.com", 903, 1, 1),
        message(cMSG_CHANNEL_OPEN, b"x11", 904, 1, 1, b"127.0.0.1", 1),
        message(cMSG_CHANNEL_OPEN, b"no-such-\x1b[31m", 905, 1, 1),
    ],
    "a channel whose kind is no text": lambda n: [message(cMSG_CHANNEL_OPEN, b"no-such\xff", 906, 1, 1)],
    "a string that says it is 4 GiB": lambda n: [message(cMSG_CHANNEL_DATA, n, BIG)],
    "a request that is cut": lambda n: [message(cMSG_CHANNEL_REQUEST, n, b"exit-signal")],
    "answers that nobody asked for": lambda n: [
        message(b"\x51"), message(b"\x52"), message(b"\x63", n), message(b"\x64", n), message(b"\xc0", b"?"),
    ],
    "no status": None,
    "nothing more": None,
}


# Window and packet size of a channel that the bastion opens.
ODD = [None, (0, 0), (BIG, BIG), (BIG, 0), (1, 1)]


class Target(paramiko.Transport):
    odd = None

    def __init__(self, sock):
        super().__init__(sock)
        self.answered = threading.Event()

    def _send_message(self, packet):
        if self.odd and packet.asbytes()[:1] == cMSG_CHANNEL_OPEN_SUCCESS:
            fields = paramiko.Message(packet.asbytes()[1:])
            packet = message(cMSG_CHANNEL_OPEN_SUCCESS, fields.get_int(), fields.get_int(), *self.odd)
        super()._send_message(packet)
        if packet.asbytes()[:1] == cMSG_CHANNEL_SUCCESS:
            self.answered.set()

    def _opened(self, _packet):
        print("it opened a channel of its own", flush=True)

    _handler_table = {**paramiko.Transport._handler_table, 91: _opened}


class Everybody(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport

    def get_allowed_auths(self, _):
        return "publickey"

    def check_auth_publickey(self, _user, _key):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, _kind, _number):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.act, args=(channel, command.decode()), daemon=True).start()
        return True

    def act(self, channel, case):
        number = channel.remote_chanid
        # paramiko answers once the callback has returned.
        self.transport.answered.wait(30)
        try:
            if case == "nothing more":
                self.transport.close()
                return
            channel.sendall(b"so\n")
            for packet in (CASES[case] or (lambda n: []))(number):
                self.transport._send_user_message(packet)
            if case != "no status":
                channel.send_exit_status(5)
            channel.close()
        except (OSError, EOFError, paramiko.SSHException) as error:
            print(case, error, file=sys.stderr)


alive = []


def serve(port, odd):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        transport = Target(listener.accept()[0])
        transport.odd = odd
        transport.add_server_key(host_key)
        alive.append(transport)
        transport.start_server(event=threading.Event(), server=Everybody(transport))


for port, odd in zip(sys.argv[2:], ODD):
    threading.Thread(target=serve, args=(int(port), odd), daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
