"""Group commit: while one block is written, the next one gathers and has its signatures checked.

Two threads: *gather* takes what was submitted and has the signatures checked; *write* runs the block,
signs its header and makes it durable. Nobody learns of a block before it is on the disk. When either
thread fails, the engine stops: who waits is told, and who comes later is refused.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.embedded.inbox import Inbox, Submission
from iamata.engines.embedded.writing import BlockWriter
from iamata.engines.keeping.keeper import LedgerKeeper
from iamata.engines.keeping.lock import LedgerLock
from iamata.engines.keeping.view import KeptView
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import read_transaction
from iamata.ledger.genesis import Genesis
from iamata.ledger.leaves import Leaf
from iamata.model.reasons import Reason, require
from iamata.ports import Finality

BLOCK_MAX: Final = 2_000
"""Transactions in a block: enough to share one flush, few enough to answer soon."""

_LOG: Final = logging.getLogger(__name__)


def read_clock_ms() -> int:
    """Tell the time."""
    return time.time_ns() // 1_000_000


class EmbeddedEngine:
    """A ledger in a folder, ordered by the one process that has it open."""

    def __init__(
        self,
        folder: Path,
        genesis: Genesis,
        *,
        orderer: SigningKey,
        clock: Callable[[], int] = read_clock_ms,
    ) -> None:
        require(
            orderer.key_id == genesis.orderer, Reason.UNKNOWN_SIGNER, "not the key that orders this ledger"
        )
        self.genesis = genesis
        self._lock = LedgerLock(folder)
        try:
            self._keeper = LedgerKeeper(folder, genesis)
            self._keeper.check_rules()
            self._keeper.check_inheritance()
        except BaseException:
            self._lock.release()
            raise
        self._writer = BlockWriter(self._keeper, orderer=orderer, clock=clock)
        self.network = self._keeper.state.network
        self._inbox = Inbox()
        self._checked: queue.Queue[tuple[list[Submission], bytes] | None] = queue.Queue(maxsize=1)
        self._closing = threading.Lock()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._run_gather, name="iamata-gather", daemon=True),
            threading.Thread(target=self._run_write, name="iamata-write", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a signed transaction in; the same one twice shares one answer."""
        return self._inbox.put(read_transaction(raw))

    def snapshot(self) -> KeptView:
        """Return the newest durable state, which no later block changes."""
        return self._keeper.take_view()

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor, up to what is durable now."""
        return self._keeper.read_events(after)

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read every durable block in order."""
        return self._keeper.read_blocks(first_height=first_height)

    def close(self) -> None:
        """Write what was submitted, then stop. Nothing acknowledged is lost."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
            self._inbox.close()
            for thread in self._threads:
                thread.join()
            self._keeper.close()
            self._lock.release()

    def _run_gather(self) -> None:
        try:
            self._gather()
        except BaseException as error:  # noqa: BLE001  whatever it is, the engine must not go on in silence
            self._stop(error)
        finally:
            self._checked.put(None)

    def _run_write(self) -> None:
        try:
            while (checked := self._checked.get()) is not None:
                submissions, verdicts = checked
                self._writer.write(submissions, verdicts)
                self._inbox.forget(submissions)
        except BaseException as error:  # noqa: BLE001  as above
            self._stop(error)
            while self._checked.get() is not None:
                """Let the other thread come to its end."""
        finally:
            self._inbox.end_all()

    def _stop(self, error: BaseException) -> None:
        _LOG.critical("the ledger's engine stopped", exc_info=error)
        self._inbox.abandon()

    def _gather(self) -> None:
        checker = SignatureChecker()
        try:
            waiting: list[Submission] | None = None
            is_open = True
            while is_open or waiting:
                batch = self._inbox.take(BLOCK_MAX, is_patient=not waiting)
                is_open = batch is not None
                if batch:
                    checker.send([submission.transaction for submission in batch])
                if waiting:
                    self._checked.put((waiting, checker.receive()))
                waiting = batch
        finally:
            checker.close()
