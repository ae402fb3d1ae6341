"""A line to a node: it listens in the node's stead, and passes on what goes there and comes from there."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Final, Self

HOST: Final = "127.0.0.1"


class RelayedLine:
    """Listens while it is open; `target` is the node's own port."""

    read_bytes = 16_384
    """How much passes at once."""

    def __init__(self) -> None:
        self.target = 0
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
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

    def before_passing(self, size: int, *, is_sent: bool) -> None:
        """Do what the line is for before so many bytes go on, to the node (`is_sent`) or from it."""

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # until it is closed
            while True:
                outer, _ = self._listening.accept()
                inner = socket.create_connection((HOST, self.target))
                self._lines += [outer, inner]
                for ends in ((outer, inner, True), (inner, outer, False)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_sent: bool) -> None:  # noqa: FBT001  a thread's argument
        with contextlib.suppress(OSError):
            while data := source.recv(self.read_bytes):
                self.before_passing(len(data), is_sent=is_sent)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
