"""A target that opens channels nobody asked for. Arguments: port, host key, what to open."""

import socket
import sys
import threading

import paramiko

port, host_key, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Server(paramiko.ServerInterface):
    def __init__(self):
        self.asked = threading.Event()

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        self.asked.set()
        return True


def serve(client):
    transport = paramiko.Transport(client)
    transport.add_server_key(paramiko.Ed25519Key(filename=host_key))
    server = Server()
    transport.start_server(server=server)
    channel = transport.accept(30)
    if channel is None:
        return
    server.asked.wait(30)
    try:
        transport.open_channel(kind, dest_addr=("127.0.0.1", 1), src_addr=("127.0.0.1", 1))
        said = "opened"
    except paramiko.ChannelException as refused:
        said = f"refused {refused.code}"
    channel.sendall(said.encode())
    channel.send_exit_status(0)
    channel.close()


listener = socket.create_server(("127.0.0.1", port))
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
