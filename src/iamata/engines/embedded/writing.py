"""One block at a time: admit, run, sign, make durable, answer."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.tiles import Frontier, compute_changed_tiles
from iamata.engines.embedded.faults import PASSING
from iamata.engines.embedded.inbox import Submission
from iamata.engines.embedded.restoring import restore
from iamata.engines.embedded.storage import LedgerFile
from iamata.engines.embedded.view import BorrowFile, EmbeddedView
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.execution import Outcome, PoisonTransactionError, Position, check_admission
from iamata.ledger.genesis import Genesis
from iamata.ledger.header import sign_header
from iamata.ledger.state import Installed, LedgerState
from iamata.model.ids import TxId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality


class BlockWriter:
    """The only one who changes the state."""

    def __init__(
        self, folder: Path, genesis: Genesis, *, orderer: SigningKey, clock: Callable[[], int]
    ) -> None:
        self._orderer = orderer
        self._clock = clock
        self._file = LedgerFile(folder, is_writer=True)
        self._viewing = threading.Lock()
        self._view: EmbeddedView | None = None
        self.state = LedgerState(genesis)
        try:
            self._segments, self._header = restore(self._file, self.state)
        except BaseException:
            self._file.close()
            raise

    def take_view(self, borrow_file: BorrowFile) -> EmbeddedView:
        """Hold the newest durable state still. Waits for nothing, and delays nobody."""
        with self._viewing:
            if self._view is None:
                self._view = EmbeddedView(
                    entries=self.state.entries.freeze(),
                    frontier=self.state.frontier,
                    header=self._header,
                    place=(self.state.height, self.state.time_ms, self.state.app_hash),
                    borrow_file=borrow_file,
                )
            return self._view

    def write(self, submissions: Sequence[Submission], verdicts: bytes, borrow_file: BorrowFile) -> None:
        """Make a block of what can be admitted, and answer everybody."""
        position = self.state.place(self._clock())
        admitted: dict[TxId, Submission] = {}
        for submission, verdict in zip(submissions, verdicts, strict=True):
            transaction = submission.transaction
            try:
                require(bool(verdict), Reason.BAD_SIGNATURE)
                # Two signatures over the same bytes are one transaction twice.
                require(transaction.id not in admitted, Reason.REPLAYED)
                check_admission(self.state.entries, self.state.window, position, transaction)
            except (Refused, PoisonTransactionError) as error:
                submission.future.set_exception(error)
            else:
                admitted[transaction.id] = submission
        outcome = self._run(position, admitted)
        if admitted:
            self._keep(position, list(admitted.values()), outcome, borrow_file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _run(self, position: Position, admitted: dict[TxId, Submission]) -> Outcome:
        """Run the block; a transaction that breaks its handler is dropped, and the rest run again."""
        while True:
            try:
                return self.state.run(position, [one.transaction for one in admitted.values()])
            except PoisonTransactionError as poison:
                admitted.pop(poison.tx_id).future.set_exception(poison)

    def _keep(
        self, position: Position, admitted: list[Submission], outcome: Outcome, borrow_file: BorrowFile
    ) -> None:
        try:
            first_leaf = self._commit(position, [one.transaction for one in admitted], outcome, borrow_file)
        except Refused as refused:
            if refused.reason not in PASSING:
                raise
            for submission in admitted:
                submission.future.set_exception(Refused(refused.reason, refused.detail))
            return
        for index, (submission, reason) in enumerate(
            zip(admitted, outcome.results, strict=True), first_leaf
        ):
            submission.future.set_result(
                Finality(
                    id=submission.transaction.id,
                    height=position.height,
                    index=index,
                    time_ms=position.time_ms,
                    reason=reason,
                )
            )

    def _commit(
        self,
        position: Position,
        transactions: list[SignedTransaction],
        outcome: Outcome,
        borrow_file: BorrowFile,
    ) -> int:
        # While a block is installed readers go on seeing the one before: what is shown is durable.
        self.take_view(borrow_file)
        frontier = self.state.frontier
        installed = self.state.install(position, transactions, outcome)
        header = sign_header(installed.header, self._orderer)
        try:
            self._store(installed, header, transactions, frontier)
        except BaseException:
            self.state.revert(installed)
            raise
        with self._viewing:
            self._header = header
            self._view = None
        return installed.first_leaf

    def _store(
        self, installed: Installed, header: bytes, transactions: list[SignedTransaction], frontier: Frontier
    ) -> None:
        height = installed.header.height
        segment = self._segments.plan(height, installed.outcome.changes, self._file.read_segment)
        block = StoredBlock(
            height=height,
            time_ms=installed.header.time_ms,
            first_leaf=installed.first_leaf,
            header=header,
            transactions=tuple(one.raw for one in transactions),
            leaves=installed.outcome.leaves,
        )
        tiles = compute_changed_tiles(frontier.size, installed.leaf_hashes, self._file.read_tile)
        self._file.append(block, segment=segment, tiles=tiles)
        self._segments.add(segment)
