"""The socket on which CometBFT asks: four connections, each answered in its order.

Who sends what is no message, or asks at a time when it cannot be, is cut off, and the log says why.
CometBFT then ends, and whoever supervises it starts it again.
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError

from iamata.engines.comet.application import OutOfOrderError
from iamata.engines.comet.dispatching import READING, Dispatcher, Role, find_role, name_request
from iamata.engines.comet.framing import FrameReader, FramingError, write_frame
from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.model.reasons import Reason, Refused, require

READ_BYTES: Final = 256 * 1024
HELD_BYTES_MAX: Final = 1024 * 1024
"""Answers are held until CometBFT flushes, but no more than these."""
CONNECTIONS_MAX: Final = 16
READERS: Final = 2
UNIX: Final = "unix://"
TCP: Final = "tcp://"
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
SOCKET_MODE: Final = 0o600
STOP_TIMEOUT_S: Final = 10

_LOG: Final = logging.getLogger(__name__)


class AbciServer:
    """Runs in a thread of its own, from start to close; the rules run in another, one at a time."""

    def __init__(
        self, dispatcher: Dispatcher, address: str, *, halt: Callable[[BaseException], None]
    ) -> None:
        self._dispatcher = dispatcher
        self._address = address
        self._halt = halt
        self._worker = ThreadPoolExecutor(1, "iamata-rules")
        self._readers = ThreadPoolExecutor(READERS, "iamata-query")
        self._holders: dict[Role, _Connection] = {}
        self._connections: dict[_Connection, None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="iamata-abci", daemon=True)
        self._server: asyncio.Server | None = None
        self._is_halted = False
        self._is_closing = False

    def start(self) -> None:
        """Listen; refuse an address that is taken, or that others than this machine could reach."""
        self._thread.start()
        try:
            self._server = self._wait(self._listen())
        except OSError as error:
            self.close()
            if error.errno is None:  # it never came as far as the system
                what = f"{self._address}: longer than the name of a socket may be; choose a shorter path"
                raise Refused(Reason.INPUT_INVALID, what) from error
            raise Refused(Reason.HOME_IN_USE, f"{self._address}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def run(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401  what the work returns
        """Run something between two questions, on the thread of the rules."""
        return self._worker.submit(work).result()

    def close(self) -> None:
        """Stop listening, cut CometBFT off, and let the question that is being answered come to its end."""
        if not self._thread.is_alive():
            return
        self._wait(self._end())
        self._worker.shutdown()
        self._readers.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if self._server is not None and self._address.startswith(UNIX):
            Path(self._address.removeprefix(UNIX)).unlink(missing_ok=True)

    def _wait(self, work: "Coroutine[Any, Any, Any]") -> Any:  # noqa: ANN401  what the work returns
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> asyncio.Server:
        if self._address.startswith(UNIX):
            path = Path(self._address.removeprefix(UNIX))
            _make_way(path)
            with _masking(0o777 & ~SOCKET_MODE):
                return await asyncio.start_unix_server(self._meet, path)
        require(self._address.startswith(TCP), Reason.INPUT_INVALID, f"no address: {self._address}")
        host, _, port = self._address.removeprefix(TCP).rpartition(":")
        require(
            host in LOOPBACK and port.isdecimal(), Reason.INPUT_INVALID, f"not loopback: {self._address}"
        )
        return await asyncio.start_server(self._meet, host, int(port))

    async def _end(self) -> None:
        self._is_closing = True
        if self._server is not None:
            await self._stop_listening(self._server)
        for connection in self._connections:
            connection.cut()
        # Whoever was just let in, too: what is cut is not closed before its own task has seen it end.
        deadline_s = self._loop.time() + STOP_TIMEOUT_S
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            left_s = deadline_s - self._loop.time()
            if left_s <= 0:
                return
            await asyncio.wait(others, timeout=left_s)

    async def _stop_listening(self, server: asyncio.Server) -> None:
        """Accept nobody more, and let those in who were just accepted.

        A server that is closed beforehand forgets their sockets open: asyncio attaches them to it in the
        next turn of its loop, and by then it is none (CPython's issue 109564).
        """
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        await asyncio.sleep(0)
        server.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        self._connections[connection] = None
        try:
            self._let_in()
            await self._serve(connection)
        except (FramingError, DecodeError, OutOfOrderError) as error:
            _LOG.error("%s was cut off: %s", connection, error)
        except (ConnectionError, asyncio.IncompleteReadError):
            _LOG.info("%s ended", connection)
        except Refused as refused:
            _LOG.error("consensus was turned away: %s", refused.detail)
        finally:
            del self._connections[connection]
            for role in [role for role, holder in self._holders.items() if holder is connection]:
                del self._holders[role]
            connection.cut()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _let_in(self) -> None:
        """Refuse one connection too many, and all of them once the ledger has stopped."""
        is_open = not (self._is_halted or self._is_closing)
        require(is_open, Reason.ENGINE_STOPPED, "the ledger has stopped")
        is_room = len(self._connections) <= CONNECTIONS_MAX
        require(is_room, Reason.TOO_BUSY, f"{CONNECTIONS_MAX} connections are open")

    async def _serve(self, connection: "_Connection") -> None:
        frames = FrameReader()
        while data := await connection.reader.read(READ_BYTES):
            requests = [abci.Request.FromString(frame) for frame in frames.feed(data)]
            for is_reading, group in groupby(requests, lambda one: name_request(one) in READING):
                pool = self._readers if is_reading else self._worker
                answered = _Answered()
                work = self._loop.run_in_executor(pool, self._answer, connection, list(group), answered)
                try:
                    await work
                finally:
                    await connection.write(answered)
        if not frames.is_between_frames:
            message = "it ended in the middle of a message"
            raise FramingError(message)

    def _answer(
        self, connection: "_Connection", requests: list[abci.Request], answered: "_Answered"
    ) -> None:
        """Answer requests in order. What CometBFT could not have asked cuts it off; a failure halts it."""
        for request in requests:
            name = name_request(request)
            try:
                self._take_role(connection, name)
                answered.add(self._dispatcher.answer(request), is_flush=name == "flush")
            except OutOfOrderError:
                raise
            except BaseException as error:  # whatever it is, consensus must not go on without the ledger
                _LOG.critical("the ledger cannot go on after %s", name, exc_info=error)
                failure = abci.ResponseException(error=f"{type(error).__name__}: {error}")
                answered.add(abci.Response(exception=failure), is_flush=True)
                self._is_halted = True
                self._halt(error)
                message = f"{name} failed"
                raise OutOfOrderError(message) from error

    def _take_role(self, connection: "_Connection", name: str) -> None:
        role = find_role(name)
        if role is None or connection.role is role:
            return
        if connection.role is not None:
            message = f"{name} on the {connection.role.value} connection"
            raise OutOfOrderError(message)
        connection.role = role
        before = self._holders.get(role)
        self._holders[role] = connection
        if before is not None:
            _LOG.warning("a new %s connection takes the place of one that was open", role.value)
            self._loop.call_soon_threadsafe(before.cut)
        self._dispatcher.begin(role)


class _Answered:
    """Responses that are ready, in their order."""

    def __init__(self) -> None:
        self.frames = bytearray()
        self.is_flush = False

    def add(self, response: abci.Response, *, is_flush: bool) -> None:
        """Add one."""
        self.frames += write_frame(response.SerializeToString())
        self.is_flush |= is_flush


class _Connection:
    """One of CometBFT's connections."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.role: Role | None = None
        self._writer = writer
        self._held = bytearray()

    def __str__(self) -> str:
        return f"the {self.role.value if self.role else 'new'} connection of consensus"

    async def write(self, answered: _Answered) -> None:
        """Hold answers until they are to be flushed."""
        self._held += answered.frames
        if answered.is_flush or len(self._held) > HELD_BYTES_MAX:
            self._writer.write(bytes(self._held))
            self._held.clear()
            await self._writer.drain()

    def cut(self) -> None:
        """End it."""
        self._writer.close()


def _make_way(path: Path) -> None:
    """Take a socket away that a killed process has left behind; refuse to take one that is in use."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    require(stat.S_ISSOCK(mode), Reason.HOME_ALREADY_EXISTS, f"{path} is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise Refused(Reason.HOME_IN_USE, f"another process listens on {path}")


@contextlib.contextmanager
def _masking(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
