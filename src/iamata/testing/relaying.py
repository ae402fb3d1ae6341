"""A host of its own in a network namespace, which the test reaches all the same: every byte is passed on.

`unshare --net` starts this with sockets that listen outside. Each of their connections is passed on to the
same address inside. The namespace lasts until the standard input ends, as it does when the test dies.
"""

import asyncio
import contextlib
import socket
import sys
from typing import Final

READ_BYTES: Final = 256 * 1024
READY: Final = b"ready\n"


def main() -> None:
    """Relay from the sockets whose numbers are the arguments."""
    asyncio.run(_relay([socket.socket(fileno=int(one)) for one in sys.argv[1:]]))


async def _relay(sockets: list[socket.socket]) -> None:
    servers = [await _serve(one) for one in sockets]
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    for server in servers:
        server.close()


async def _serve(listening: socket.socket) -> asyncio.Server:
    host, port = listening.getsockname()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inside = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, inside[1]), _pass_on(inside[0], writer))

    return await asyncio.start_server(meet, sock=listening)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
