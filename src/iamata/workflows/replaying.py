"""Replay a ledger from a state that is known, trusting nothing that was stored, and name the first fault.

Signatures are most of the work, so they are checked elsewhere, by whatever the caller brings along, while
the rules run here.
"""

import dataclasses
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import SignedTransaction, read_transaction
from iamata.ledger.execution import BLOCK_TRANSACTIONS_MAX, Outcome, PoisonTransactionError
from iamata.ledger.genesis import Genesis, get_first_height
from iamata.ledger.header import Header, read_block_header
from iamata.ledger.state import LedgerState
from iamata.ledger.succession import get_predecessor
from iamata.model.ids import Digest, NetworkId
from iamata.model.reasons import ACCEPTED, Reason, Refused, require


class SignatureChecks(Protocol):
    """Checks batches of transactions in their order; two may be under way at a time."""

    def send(self, batch: Sequence[SignedTransaction]) -> None:
        """Begin to check a batch."""
        ...

    def receive(self) -> bytes:
        """Return a byte for each transaction of the oldest batch: 1 where every signature holds."""
        ...


class Watcher(Protocol):
    """Who looks on, and may refuse."""

    def begin(self, state: LedgerState) -> None:
        """See what a network starts from: a genesis, or what it has inherited."""
        ...

    def take(self, block: StoredBlock, state: LedgerState) -> None:
        """See a block with the state that it comes to."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class ReplayReport:
    """What was replayed and found right."""

    network: NetworkId
    begun_at: int
    """The height from which on blocks were run: 0, or that of a snapshot."""
    blocks: int
    """The height of the last one."""
    transactions: int
    refused: int
    app_hash: Digest
    app_hashes: Mapping[int, Digest]
    """After each block, by height; first that of where the replay began. Where a network goes on under
    another genesis, what that one starts from counts."""
    state: LedgerState
    """Where the ledger stands, for whoever checks records and openings against it."""


def replay(  # noqa: PLR0913  what is followed, from where, and who looks on
    genesis: Genesis,
    blocks: Iterable[StoredBlock],
    checks: SignatureChecks,
    *,
    predecessors: Sequence[Genesis] = (),
    begin: LedgerState | None = None,
    watcher: Watcher | None = None,
) -> ReplayReport:
    """Run every block again; refuse with FAULT_FOUND at the first thing that is not as it must be.

    The blocks of a continued network begin with those of the first of its `predecessors`.
    `begin` is the state before the first of them, where no genesis makes it, and changes with each.
    """
    lineage = (*predecessors, genesis)
    replayed = _Replay(LedgerState(lineage[0]) if begin is None else begin, lineage[1:], checks, watcher)
    begun_at, first_leaf = replayed.state.height, replayed.state.frontier.size
    try:
        for block in blocks:
            replayed.take(block)
    except Refused:
        replayed.settle_all()  # a bad signature in an earlier block is the earlier fault
        raise
    replayed.settle_all()
    replayed.check_end()
    return ReplayReport(
        network=replayed.state.network,
        begun_at=begun_at,
        blocks=replayed.state.height,
        transactions=replayed.state.frontier.size - first_leaf,
        refused=replayed.refused,
        app_hash=replayed.state.app_hash,
        app_hashes=replayed.app_hashes,
        state=replayed.state,
    )


class _Replay:
    """The state as far as it was replayed, and the blocks whose signatures are still being checked."""

    def __init__(
        self,
        begin: LedgerState,
        coming: Sequence[Genesis],
        checks: SignatureChecks,
        watcher: Watcher | None,
    ) -> None:
        self.state = begin
        self.refused = 0
        self.app_hashes = {begin.height: begin.app_hash}
        self._checks = checks
        self._watcher = watcher
        self._unsettled: deque[int] = deque()
        self._coming = deque(coming)
        if watcher is not None:
            watcher.begin(self.state)

    def take(self, block: StoredBlock) -> None:
        """Replay the next block. The signatures of the one before are known by then."""
        header = check_place(block, self.state)
        transactions = read_transactions(block)
        self._checks.send(transactions)
        self._unsettled.append(block.height)
        if len(self._unsettled) > 1:
            self._settle()
        outcome = run(block, transactions, self.state)
        installed = self.state.install(self.state.place(block.time_ms), transactions, outcome)
        compare(block, header, installed.header, outcome)
        self.app_hashes[block.height] = installed.header.app_hash
        self.refused += sum(result != ACCEPTED for result in outcome.results)
        if self._watcher is not None:
            self._watcher.take(block, self.state)
        while self._coming and self.state.height == get_first_height(self._coming[0]) - 1:
            self._succeed(self._coming.popleft())

    def check_end(self) -> None:
        """Refuse blocks that end before the network goes on as its last genesis says."""
        if self._coming:
            height = get_first_height(self._coming[0]) - 1
            raise _find_fault(height, "it is missing, and the network is continued from there")

    def settle_all(self) -> None:
        """Await the signatures of every block that was taken."""
        while self._unsettled:
            self._settle()

    def _succeed(self, genesis: Genesis) -> None:
        """Go on under the next genesis, with what the network had."""
        before, self.state = self.state, LedgerState(genesis)
        try:
            is_named = get_predecessor(genesis).network == before.network
            require(is_named, Reason.FOREIGN_NETWORK, "it continues another network")
            self.state.inherit(entries=before.entries, frontier=before.frontier, time_ms=before.time_ms)
        except Refused as refused:
            fault = f"the genesis that continues block {before.height}: {refused}"
            raise Refused(Reason.FAULT_FOUND, fault) from refused
        self.app_hashes[self.state.height] = self.state.app_hash
        if self._watcher is not None:
            self._watcher.begin(self.state)

    def _settle(self) -> None:
        height = self._unsettled.popleft()
        wrong = self._checks.receive().find(0)
        if wrong >= 0:
            self._unsettled.clear()
            raise _find_fault(height, f"transaction {wrong}: a signature does not hold")


def check_place(block: StoredBlock, state: LedgerState) -> Header:
    """Return the block's header, which its orderer signed for this place in this chain."""
    height = state.height + 1
    if block.height != height:
        raise _find_fault(height, f"it is missing, block {block.height} follows")
    try:
        header = read_block_header(block.header, state.genesis)
    except Refused as refused:
        raise _find_fault(height, f"its header: {refused}") from refused
    said = (header.network, header.height, header.time_ms, block.first_leaf)
    if said != (state.network, height, block.time_ms, state.frontier.size):
        raise _find_fault(height, "it does not stand where its header says")
    if header.parent != state.parent:
        raise _find_fault(height, "its header does not follow the one before")
    if header.time_ms <= state.time_ms:
        raise _find_fault(height, "its time is not later than the time before")
    return header


def read_transactions(block: StoredBlock) -> list[SignedTransaction]:
    """Return what a block holds, each in its one spelling; the signatures are still unchecked."""
    if len(block.transactions) > BLOCK_TRANSACTIONS_MAX:
        raise _find_fault(block.height, f"it holds more than {BLOCK_TRANSACTIONS_MAX} transactions")
    transactions: list[SignedTransaction] = []
    for raw in block.transactions:
        try:
            transactions.append(read_transaction(raw))
        except Refused as refused:
            raise _find_fault(block.height, f"transaction {len(transactions)}: {refused}") from refused
    return transactions


def run(block: StoredBlock, transactions: list[SignedTransaction], state: LedgerState) -> Outcome:
    """Run a block again without making it part of the state."""
    try:
        return state.run(state.place(block.time_ms), transactions, block.misbehaviours)
    except PoisonTransactionError as poison:
        raise _find_fault(block.height, str(poison)) from poison


def compare(block: StoredBlock, said: Header, found: Header, outcome: Outcome) -> None:
    """Find in what a block comes to all that its header and its leaves say."""
    if found.transactions != said.transactions:
        raise _find_fault(block.height, "its transactions are not those that its header names")
    if outcome.leaves != block.leaves:
        pairs = zip(outcome.leaves, block.leaves, strict=False)
        wrong = next((at for at, (right, stored) in enumerate(pairs) if right != stored), None)
        place = (
            "the number of its leaves" if wrong is None else f"leaf {block.first_leaf + wrong} of the log"
        )
        raise _find_fault(block.height, f"{place} is not what its transactions do")
    if found.app_hash != said.app_hash:
        raise _find_fault(block.height, "its app hash is not that of state and log")


def _find_fault(height: int, what: str) -> Refused:
    return Refused(Reason.FAULT_FOUND, f"block {height}: {what}")
