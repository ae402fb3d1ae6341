"""The sockets behind a connection: an answer is whole in time or none, and what is under way can be cut.

A timeout of the library counts anew with every byte, so a node that trickles could hold its asker for ever.
"""

import contextlib
import http.client
import io
import socket
import ssl
import threading
import time
import weakref
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Lines:
    """The sockets that are open to a node."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_cut = False

    @property
    def is_cut(self) -> bool:
        """Tell whether nothing is asked here any more."""
        return self._is_cut

    def add(self, line: socket.socket) -> None:
        """Take note of a socket; it is forgotten when nobody reads from it any more."""
        with self._guard:
            if self._is_cut:
                message = "the connection is closed"
                raise ConnectionAbortedError(message)
            self._open.add(line)

    def cut(self) -> None:
        """End what is under way, and whatever would begin."""
        with self._guard:
            self._is_cut = True
            for line in self._open:
                with contextlib.suppress(OSError):
                    # The socket's own, also under TLS, whose shutdown takes the session from who reads.
                    socket.socket.shutdown(line, socket.SHUT_RDWR)


class TimedResponse(http.client.HTTPResponse):
    """An answer for whose last byte the socket's timeout counts, not only for its next."""

    def __init__(self, sock: socket.socket, *rest: Any, **named: Any) -> None:  # noqa: ANN401  the library's
        super().__init__(sock, *rest, **named)
        buffered: io.BufferedReader = self.fp
        self.fp = io.BufferedReader(_TimedReader(buffered.detach(), sock))


class LineConnection(HTTPConnection):
    """An HTTP connection whose socket can be cut."""

    response_class = TimedResponse

    def __init__(self, *rest: Any, lines: Lines, **named: Any) -> None:  # noqa: ANN401  the library's
        super().__init__(*rest, **named)
        self._lines = lines

    def connect(self) -> None:
        """Connect, unless everything was cut."""
        super().connect()
        self._lines.add(self.sock)


class TlsLineConnection(HTTPSConnection):
    """An HTTPS connection whose socket can be cut."""

    response_class = TimedResponse

    def __init__(self, *rest: Any, lines: Lines, **named: Any) -> None:  # noqa: ANN401  the library's
        super().__init__(*rest, **named)
        self._lines = lines

    def connect(self) -> None:
        """Connect, unless everything was cut."""
        super().connect()
        self._lines.add(self.sock)


class LinePool(urllib3.HTTPConnectionPool):
    """Connections without TLS."""

    ConnectionCls = LineConnection


class TlsLinePool(urllib3.HTTPSConnectionPool):
    """Connections with TLS."""

    ConnectionCls = TlsLineConnection


def open_pool(
    url: str, *, connections_max: int, trust: ssl.SSLContext | None, lines: Lines
) -> urllib3.HTTPConnectionPool:
    """Make the connections to a node, none of which is there yet; with TLS where there is whom to trust."""
    parsed = urllib3.util.parse_url(url)
    kind = LinePool if trust is None else TlsLinePool
    options: dict[str, Any] = {} if trust is None else {"ssl_context": trust}
    return kind(
        str(parsed.host),
        parsed.port,
        maxsize=connections_max,
        block=True,
        retries=False,
        lines=lines,
        **options,
    )


class _TimedReader(io.RawIOBase):
    """Reads from a socket until its time is over."""

    def __init__(self, raw: io.RawIOBase, line: socket.socket) -> None:
        self._raw = raw
        self._line = line
        self._total_s = line.gettimeout()
        self._until_s = None if self._total_s is None else time.monotonic() + self._total_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401  as the base has it
        if self._until_s is None:
            return self._raw.readinto(buffer)
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            message = "the answer takes too long"
            raise TimeoutError(message)
        self._line.settimeout(left_s)
        try:
            return self._raw.readinto(buffer)
        finally:
            self._line.settimeout(self._total_s)

    def close(self) -> None:
        self._raw.close()
        super().close()
