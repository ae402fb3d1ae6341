"""The server: uvicorn with limits on everything, patience for nobody who dawdles, and an orderly end."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable

import h11
import msgspec
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from iamata.api import limits
from iamata.model.reasons import Reason
from iamata.wire.refusals import describe


class StrictProtocol(H11Protocol):
    """HTTP/1.1 that waits only so long for the head of a request, and for an answer to be taken."""

    _head_timer: asyncio.TimerHandle | None = None
    _unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Expect the head of a first request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a head that has begun."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_expecting()
        elif self._head_timer is None:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect no more."""
        self._stop_expecting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's signature
        """Refuse what is no HTTP in the shape in which everything is refused."""
        body = msgspec.json.encode(describe(Reason.MALFORMED))
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, and cut one off that does not take its answer."""
        left = self.transport.get_write_buffer_size()
        if 0 < left != self._unread:
            self._unread = left
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif left:
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(limits.HEAD_S_MAX, self.transport.abort)

    def _stop_expecting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class NodeServer(uvicorn.Server):
    """Serves until told to stop, or it is over; then lets long polls go, and answers what is accepted."""

    def __init__(
        self,
        app: Starlette,
        *,
        on_ready: Callable[[], None],
        let_go: Callable[[], None],
        is_over: Callable[[], bool] = lambda: False,
        tls: tuple[str, str] | None = None,
    ) -> None:
        certificate, key = tls or (None, None)
        super().__init__(
            uvicorn.Config(
                app,
                http=StrictProtocol,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                ssl_version=ssl.PROTOCOL_TLS_SERVER,
                limit_concurrency=limits.CONNECTIONS_MAX,
                backlog=limits.BACKLOG,
                timeout_keep_alive=limits.KEEP_ALIVE_S,
                timeout_graceful_shutdown=limits.STOP_S_MAX,
                h11_max_incomplete_event_size=limits.HEAD_BYTES_MAX,
            )
        )
        self._on_ready = on_ready
        self._let_go = let_go
        self._is_over = is_over

    def serve_until_stopped(self, listening: socket.socket) -> None:
        """Serve on a socket until a signal says to stop; the process then goes on, to close files."""
        # A signal that comes before uvicorn listens for it counts; one that it raises again does no harm.
        previous = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.run(sockets=[listening])
        finally:
            for one, handler in previous.items():
                signal.signal(one, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that the node is ready when it is: whoever is told may ask, or tell it to stop, at once."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Look whether serving goes on, ten times a second."""
        return await super().on_tick(counter) or self._is_over()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let long polls go before waiting for answers that are under way."""
        self._let_go()
        await super().shutdown(sockets)
