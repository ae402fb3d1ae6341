"""One block at a time: admit, run, sign, make durable, answer."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from iamata.crypto.authmap import AuthMap
from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.tiles import Frontier, compute_changed_tiles
from iamata.engines.embedded.segments import SegmentIndex
from iamata.engines.embedded.storage import LedgerFile, StoredBlock
from iamata.engines.embedded.view import EmbeddedView
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.execution import Outcome, PoisonTransactionError, Position
from iamata.ledger.genesis import Genesis
from iamata.ledger.header import read_header, sign_header
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.state import Installed, LedgerState
from iamata.ledger.window import WINDOW_MS
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality

Submission = tuple[SignedTransaction, "Future[Finality]"]


class BlockWriter:
    """The only one who changes the state."""

    def __init__(
        self, folder: Path, genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]
    ) -> None:
        self._orderer = orderer
        self._clock = clock
        self._file = LedgerFile(folder, is_writer=True)
        self._installing = threading.Lock()
        self._segments = SegmentIndex()
        self._header: bytes | None = None
        self._view: EmbeddedView | None = None
        self.state = LedgerState(genesis)
        try:
            self._restore()
        except BaseException:
            self._file.close()
            raise

    def take_view(self, open_file: Callable[[], LedgerFile]) -> EmbeddedView:
        """Hold the newest durable state still. Waits for a block being installed, and delays none."""
        with self._installing:
            if self._view is None:
                self._view = EmbeddedView(
                    entries=self.state.entries.freeze(),
                    frontier=self.state.frontier,
                    header=self._header,
                    place=(self.state.height, self.state.time_ms, self.state.app_hash),
                    open_file=open_file,
                )
            return self._view

    def write(self, submissions: Sequence[Submission], verdicts: bytes) -> None:
        """Make a block of what can be admitted, and answer everybody."""
        position = self.state.place(self._clock())
        admitted = []
        for (transaction, future), verdict in zip(submissions, verdicts, strict=True):
            try:
                require(bool(verdict), Reason.BAD_SIGNATURE)
                self.state.check(transaction, at_ms=position.time_ms)
            except Refused as refused:
                future.set_exception(refused)
            else:
                admitted.append((transaction, future))
        if admitted:
            self._write_admitted(position, admitted)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write_admitted(self, position: Position, admitted: list[Submission]) -> None:
        transactions = [transaction for transaction, _ in admitted]
        try:
            outcome = self.state.run(position, transactions)
        except PoisonTransactionError as poison:
            self._drop_poison(position, admitted, poison)
            return
        try:
            first_leaf = self._commit(position, transactions, outcome)
        except Refused as refused:
            for _, future in admitted:
                future.set_exception(refused)
            return
        for offset, (transaction, future) in enumerate(admitted):
            future.set_result(
                Finality(
                    id=transaction.id,
                    height=position.height,
                    index=first_leaf + offset,
                    time_ms=position.time_ms,
                    reason=outcome.results[offset],
                )
            )

    def _drop_poison(
        self, position: Position, admitted: list[Submission], poison: PoisonTransactionError
    ) -> None:
        rest = [one for one in admitted if one[0].id != poison.tx_id]
        for transaction, future in admitted:
            if transaction.id == poison.tx_id:
                future.set_exception(poison)
        if rest:
            self._write_admitted(position, rest)

    def _commit(self, position: Position, transactions: list[SignedTransaction], outcome: Outcome) -> int:
        with self._installing:
            frontier = self.state.frontier
            installed = self.state.install(position, transactions, outcome)
            header = sign_header(installed.header, self._orderer)
            try:
                self._store(installed, header, transactions, frontier)
            except BaseException:
                self.state.revert(installed)
                raise
            self._header = header
            self._view = None
            return installed.first_leaf

    def _store(
        self, installed: Installed, header: bytes, transactions: list[SignedTransaction], frontier: Frontier
    ) -> None:
        height, fresh = installed.header.height, installed.outcome.changes
        moved, emptied = self._segments.collect(fresh, self._file.read_segment)
        segment = {**moved, **fresh}
        block = StoredBlock(
            height=height,
            time_ms=installed.header.time_ms,
            first_leaf=installed.first_leaf,
            header=header,
            transactions=tuple(one.raw for one in transactions),
            leaves=installed.outcome.leaves,
        )
        tiles = compute_changed_tiles(frontier.size, installed.leaf_hashes, self._file.read_tile)
        try:
            self._file.append(block, segment=segment, emptied=emptied, tiles=tiles)
        except BaseException:
            _, self._segments = self._file.load_entries()
            raise
        self._segments.add(height, segment)

    def _restore(self) -> None:
        """Take up where the file stands, and refuse a file whose parts do not agree."""
        last = self._file.find_last_block()
        if last is None:
            self._write_first_segment()
            return
        entries, self._segments = self._file.load_entries()
        size = last.first_leaf + len(last.leaves)
        header = read_header(last.header, orderer=self.state.genesis.orderer)
        recent = [
            (block.time_ms, [decode_leaf(leaf).id for leaf in block.leaves])
            for block in self._file.read_blocks_since(last.time_ms - WINDOW_MS)
        ]
        self.state.restore(
            entries=AuthMap.load(entries.items()),
            frontier=Frontier.load(size, self._file.read_tile),
            header=header,
            recent=recent,
        )
        self._header = last.header
        require(self.state.app_hash == header.app_hash, Reason.HOME_CORRUPT, "state and log do not match")
        require(header.network == self.state.network, Reason.FOREIGN_NETWORK, "another network's ledger")

    def _write_first_segment(self) -> None:
        entries, self._segments = self._file.load_entries()
        if not entries:
            first = dict(self.state.entries.items())
            self._file.write_first_segment(first)
            self._segments.add(0, first)
