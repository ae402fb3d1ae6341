"""A line to a node that is slow both ways, or holds everything back: every byte arrives, late."""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Final, Self

HOST: Final = "127.0.0.1"
READ_BYTES: Final = 16_384


class SlowLine:
    """Listens in a node's stead while it is open; `target` is the node's own port."""

    def __init__(self) -> None:
        self.target = 0
        self.delay_s = 0.0
        """How long what was sent at once is under way."""
        self.bytes_per_s = 1e9
        self.flowing = threading.Event()
        """While it is not set, nothing passes."""
        self.flowing.set()
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flowing.set()
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
                for ends in ((outer, inner), (inner, outer)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(READ_BYTES):
                time.sleep(self.delay_s + len(data) / self.bytes_per_s)
                self.flowing.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
