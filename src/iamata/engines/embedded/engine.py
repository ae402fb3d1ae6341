"""Group commit: while one block is written, the next one gathers and has its signatures checked.

Two threads: *gather* takes what was submitted and has the signatures checked; *write* runs the block,
signs its header and makes it durable. Nobody learns of a block before it is on the disk.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from iamata.crypto.ed25519 import SigningKey
from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.embedded.lock import LedgerLock
from iamata.engines.embedded.storage import LedgerFile, StoredBlock
from iamata.engines.embedded.view import EmbeddedView
from iamata.engines.embedded.writing import BlockWriter
from iamata.ledger.envelope import SignedTransaction, read_transaction
from iamata.ledger.genesis import Genesis
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.model.ids import TxId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality

QUEUE_MAX: Final = 50_000
BLOCK_MAX: Final = 2_000
"""Transactions in a block: enough to share one flush, few enough to answer soon."""

Submission = tuple[SignedTransaction, "Future[Finality]"]


def read_clock_ms() -> int:
    """Tell the time."""
    return time.time_ns() // 1_000_000


class EmbeddedEngine:
    """A ledger in a folder, ordered by the one process that has it open."""

    def __init__(
        self, folder: Path, genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int] = read_clock_ms
    ) -> None:
        require(orderer.key_id == genesis.orderer, Reason.UNKNOWN_SIGNER, "not the key that orders this ledger")
        self.genesis = genesis
        self._lock = LedgerLock(folder)
        try:
            self._writer = BlockWriter(folder, genesis, orderer=orderer, clock=clock)
        except BaseException:
            self._lock.release()
            raise
        self.network = self._writer.state.network
        self._folder = folder
        self._submissions: queue.Queue[Submission | None] = queue.Queue(maxsize=QUEUE_MAX)
        self._checked: queue.Queue[tuple[list[Submission], bytes] | None] = queue.Queue(maxsize=1)
        self._pending: dict[TxId, Future[Finality]] = {}
        self._readers = threading.local()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._gather, name="iamata-gather", daemon=True),
            threading.Thread(target=self._write, name="iamata-write", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a signed transaction in; the same one twice shares one answer."""
        require(not self._is_closed, Reason.ENGINE_STOPPED)
        transaction = read_transaction(raw)
        future: Future[Finality] = Future()
        known = self._pending.setdefault(transaction.id, future)
        if known is not future:
            return known
        try:
            self._submissions.put_nowait((transaction, future))
        except queue.Full as error:
            self._pending.pop(transaction.id, None)
            raise Refused(Reason.TOO_BUSY, f"{QUEUE_MAX} transactions are waiting") from error
        return future

    def snapshot(self) -> EmbeddedView:
        """Return the newest durable state, which no later block changes."""
        return self._writer.take_view(self._open_reader)

    def events(self, after: int) -> Iterator[tuple[int, Leaf]]:
        """Read the log from a cursor, up to what is durable now."""
        size = self.snapshot().log_size
        file = self._open_reader()
        block = file.find_block_of_leaf(after)
        if block is None or after >= size:
            return
        for stored in file.read_blocks(first_height=block.height):
            for index, leaf in enumerate(stored.leaves, start=stored.first_leaf):
                if after <= index < size:
                    yield index, decode_leaf(leaf)

    def read_blocks(self) -> Iterator[StoredBlock]:
        """Read every durable block in order."""
        return self._open_reader().read_blocks()

    def close(self) -> None:
        """Write what was submitted, then stop. Nothing acknowledged is lost."""
        if self._is_closed:
            return
        self._is_closed = True
        self._submissions.put(None)
        for thread in self._threads:
            thread.join()
        self._writer.close()
        self._lock.release()

    def _open_reader(self) -> LedgerFile:
        if not hasattr(self._readers, "file"):
            self._readers.file = LedgerFile(self._folder, is_writer=False)
        reader: LedgerFile = self._readers.file
        return reader

    def _gather(self) -> None:
        checker = SignatureChecker()
        waiting: list[Submission] | None = None
        is_open = True
        while is_open or waiting is not None:
            batch: list[Submission] = []
            if is_open:
                is_open = self._take(batch, has_waiting=waiting is not None)
            if batch:
                checker.send([transaction.raw for transaction, _ in batch])
            if waiting is not None:
                self._checked.put((waiting, checker.receive()))
            waiting = batch or None
        checker.close()
        self._checked.put(None)

    def _take(self, batch: list[Submission], *, has_waiting: bool) -> bool:
        """Fill a batch with what is there; wait for the first only if nothing else is to be done."""
        try:
            while len(batch) < BLOCK_MAX:
                is_blocking = not batch and not has_waiting
                submission = self._submissions.get(block=is_blocking)
                if submission is None:
                    return False
                batch.append(submission)
        except queue.Empty:
            pass
        return True

    def _write(self) -> None:
        while (checked := self._checked.get()) is not None:
            submissions, verdicts = checked
            try:
                self._writer.write(submissions, verdicts)
            finally:
                for transaction, _ in submissions:
                    self._pending.pop(transaction.id, None)
