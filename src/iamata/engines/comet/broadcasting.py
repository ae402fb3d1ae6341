"""Hand bundles to CometBFT, which spreads them among the validators."""

import base64
import contextlib
import http.client
import logging
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from iamata.engines.comet.bundles import gather_bundles, join_lines
from iamata.engines.comet.outbox import Outbox
from iamata.model.reasons import Reason, Refused

Broadcast = Callable[[bytes], None]
"""Hands one bundle to CometBFT, or refuses: TOO_BUSY for this one, NODE_UNREACHABLE for now."""

ANSWER_TIMEOUT_S: Final = 10
ANSWER_BYTES_MAX: Final = 1024 * 1024
PAUSE_FIRST_S: Final = 0.05
PAUSE_MAX_S: Final = 1.0
TICK_S: Final = 1.0
DETAIL_LENGTH_MAX: Final = 200

_KNOWN: Final = "tx already exists in cache"
_LOG: Final = logging.getLogger(__name__)


class _Error(msgspec.Struct):
    message: str = ""
    data: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None


class RpcBroadcast:
    """Over CometBFT's RPC on this machine; a connection for each bundle costs nothing beside its checks."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(self, bundle: bytes) -> None:
        """Hand a bundle in; CometBFT answers when our own application has looked at it."""
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "broadcast_tx_sync",
            "params": {"tx": base64.b64encode(bundle).decode("ascii")},
        }
        try:
            answer = msgspec.json.decode(self._ask(msgspec.json.encode(body)), type=_Answer)
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            what = f"CometBFT does not answer at {self._address}"
            raise Refused(Reason.NODE_UNREACHABLE, what) from error
        if answer.error is not None and _KNOWN not in answer.error.data:
            detail = (answer.error.data or answer.error.message)[:DETAIL_LENGTH_MAX]
            raise Refused(Reason.TOO_BUSY, f"CometBFT takes nothing in: {detail}")

    def _ask(self, body: bytes) -> bytes:
        connection = http.client.HTTPConnection(self._address, timeout=ANSWER_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            return connection.getresponse().read(ANSWER_BYTES_MAX)


class Broadcaster:
    """A thread that sends what was submitted; while one bundle is on its way, the next one gathers."""

    def __init__(self, outbox: Outbox, broadcast: Broadcast, *, clock: Callable[[], int]) -> None:
        self._outbox = outbox
        self._broadcast = broadcast
        self._clock = clock
        self._closing = threading.Event()
        self._is_reached = True
        self._thread = threading.Thread(target=self._run, name="iamata-broadcast", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sending. The outbox must have been ended before."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while (lines := self._outbox.take(TICK_S)) is not None:
                for bundle in gather_bundles(lines):
                    self._send(bundle)
                self._outbox.expire(self._clock())
        except BaseException as error:  # noqa: BLE001  whatever it is, nobody may wait in vain
            _LOG.critical("nothing is sent any more", exc_info=error)
            self._outbox.end_all()

    def _send(self, lines: list[bytes]) -> None:
        """Send a bundle; while CometBFT is away, try again with those lines for which somebody waits."""
        pause_s = PAUSE_FIRST_S
        while lines and not self._closing.is_set():
            try:
                self._broadcast(join_lines(lines))
            except Refused as refused:
                if refused.reason is not Reason.NODE_UNREACHABLE:
                    for line in lines:
                        self._outbox.refuse(line, refused)
                    return
                self._note(is_reached=False, detail=refused.detail)
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
                self._outbox.expire(self._clock())
                lines = self._outbox.keep_unanswered(lines)
            else:
                self._note(is_reached=True)
                return

    def _note(self, *, is_reached: bool, detail: str = "") -> None:
        if is_reached != self._is_reached:
            self._is_reached = is_reached
            _LOG.warning("CometBFT answers again" if is_reached else detail)
