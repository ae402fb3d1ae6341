"""A tap on a line: passes on what goes to a node and comes from it, and counts the bytes."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Final, Self

READ_BYTES: Final = 262_144
HOST: Final = "127.0.0.1"


class Tap:
    """Listens in a node's stead while it is open; `target` is the node's own port."""

    def __init__(self) -> None:
        self.target = 0
        self.sent_bytes = 0
        """To the node."""
        self.received_bytes = 0
        """From it."""
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._counting = threading.Lock()
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for line in (self._listening, *self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # until it is closed
            while True:
                outer, _ = self._listening.accept()
                inner = socket.create_connection((HOST, self.target))
                self._lines += [outer, inner]
                for source, sink in ((outer, inner), (inner, outer)):
                    is_sent = source is outer
                    threading.Thread(
                        target=self._pass_on, args=(source, sink, is_sent), daemon=True
                    ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_sent: bool) -> None:  # noqa: FBT001  a thread's argument
        with contextlib.suppress(OSError):
            while data := source.recv(READ_BYTES):
                sink.sendall(data)
                with self._counting:
                    if is_sent:
                        self.sent_bytes += len(data)
                    else:
                        self.received_bytes += len(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
