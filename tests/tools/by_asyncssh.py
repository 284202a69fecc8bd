"""What people do with asyncssh: log in with a certificate, run, have a terminal, move 50 MB each way.

by_asyncssh.py DOOR PORT KEY CERTIFICATE LOGIN MIB KNOWN_HOSTS: ends with 0 if all of it worked.
"""

import asyncio
import hashlib
import sys

import asyncssh

door, port, key_file, certificate, login, mib, known_hosts = sys.argv[1:8]
size = int(mib) << 20
me = {
    "client_keys": [(key_file, certificate)],
    "known_hosts": known_hosts,
    "config": None,
    "agent_path": None,
}


async def main():
    if door == "jump":
        outer = await asyncssh.connect("127.0.0.1", int(port), username=login, **me)
        # It knows host certificates: inside the jump it is db1 that it verifies.
        connection = await outer.connect_ssh("db1", username=login, **me)
    else:
        name = f"{login}@db1"
        connection = await asyncssh.connect("127.0.0.1", int(port), username=name, **me)
    async with connection:
        ran = await connection.run("cat; echo oops >&2; exit 3", input="fed")
        assert (ran.exit_status, ran.stdout, ran.stderr) == (3, "fed", "oops\n"), ran

        shell = await connection.create_process(term_type="xterm", term_size=(90, 33))
        shell.stdin.write("stty size; exit 5\n")
        shown = await shell.stdout.read()
        await shell.wait_closed()
        assert "33 90" in shown and shell.exit_status == 5, (shown, shell.exit_status)
        sized = await connection.create_process("stty size; cat", term_type="xterm", term_size=(90, 33))
        assert "33 90" in await sized.stdout.readline()
        sized.change_terminal_size(100, 40)
        sized.stdin.write("\x04")
        await sized.wait_closed()

        content = hashlib.shake_128(b"portcullis").digest(size)
        ran = await connection.run("cat", input=content, encoding=None)
        assert ran.exit_status == 0 and ran.stdout == content, len(ran.stdout)
        ran = await connection.run(f"head -c {size} /dev/zero", encoding=None)
        assert ran.exit_status == 0 and ran.stdout == bytes(size), len(ran.stdout)

        path = f"{certificate}.{door}.asyncssh"
        async with connection.start_sftp_client() as sftp:
            async with sftp.open(path, "wb") as there:
                await there.write(content)
            async with sftp.open(path, "rb") as there:
                assert await there.read() == content
            await sftp.remove(path)
        # Ten at once on one connection.
        many = await asyncio.gather(*(connection.run(f"echo {n}") for n in range(10)))
        assert [int(ran.stdout) for ran in many] == list(range(10))
    print("all of it")


asyncio.run(main())
