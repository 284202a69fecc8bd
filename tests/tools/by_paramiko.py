"""What people do with paramiko: log in with a certificate, run, have a terminal, move 50 MB each way.

by_paramiko.py DOOR PORT KEY CERTIFICATE LOGIN MIB: ends with 0 if all of it worked.
"""

import hashlib
import io
import socket
import sys
import threading

import paramiko

door, port, key_file, certificate, login, mib = sys.argv[1:7]
size = int(mib) << 20


def log_in(sock, user, expected=None):
    transport = paramiko.Transport(sock)
    key = paramiko.Ed25519Key.from_private_key_file(key_file)
    key.load_certificate(certificate)
    transport.start_client()
    transport.auth_publickey(user, key)
    return transport


outer = socket.create_connection(("127.0.0.1", int(port)))
if door == "jump":
    first = log_in(outer, login)
    host_key = first.get_remote_server_key()
    tunnel = first.open_channel("direct-tcpip", ("db1", 22), ("127.0.0.1", 0))
    transport = log_in(tunnel, login)
    # paramiko knows no host certificates: inside the jump it is shown the same key.
    assert transport.get_remote_server_key() == host_key, "another host key inside the jump"
else:
    transport = log_in(outer, f"{login}@db1")


def run(command, feed=b""):
    channel = transport.open_session()
    channel.exec_command(command)

    def write():
        channel.sendall(feed)
        channel.shutdown_write()

    writer = threading.Thread(target=write)
    writer.start()
    out = channel.makefile("rb").read()
    err = channel.makefile_stderr("rb").read()
    writer.join()
    return channel.recv_exit_status(), out, err


assert run("cat; echo oops >&2; exit 3", b"fed") == (3, b"fed", b"oops\n")

channel = transport.open_session()
channel.get_pty("xterm", 90, 33)
channel.invoke_shell()
channel.sendall(b"stty size; exit 5\n")
shown = channel.makefile("rb").read()
assert b"33 90" in shown, shown
assert channel.recv_exit_status() == 5
channel = transport.open_session()
channel.get_pty("xterm", 90, 33)
channel.resize_pty(100, 40)
channel.exec_command("stty size; cat")
channel.resize_pty(101, 41)
channel.sendall(b"\x04")
assert b" 10" in channel.makefile("rb").read()

content = hashlib.shake_128(b"portcullis").digest(size)
status, back, _ = run("cat", content)
assert status == 0 and back == content, len(back)
status, back, _ = run(f"head -c {size} /dev/zero")
assert status == 0 and back == bytes(size), len(back)

sftp = paramiko.SFTPClient.from_transport(transport)
path = f"{certificate}.{door}.paramiko"
sftp.putfo(io.BytesIO(content), path)
got = io.BytesIO()
sftp.getfo(path, got)
assert got.getvalue() == content
sftp.remove(path)
print("all of it")
