"""Replay a ledger from a state that is known, trusting nothing that was stored, and name the first fault.

Signatures are most of the work, so they are checked elsewhere, by whatever the caller brings along, while
the rules run here.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import SignedTransaction, read_transaction
from iamata.ledger.execution import BLOCK_TRANSACTIONS_MAX, Outcome, PoisonTransactionError
from iamata.ledger.genesis import Genesis
from iamata.ledger.header import Header, read_block_header
from iamata.ledger.state import LedgerState
from iamata.model.ids import Digest, NetworkId
from iamata.model.reasons import ACCEPTED, Reason, Refused


class SignatureChecks(Protocol):
    """Checks batches of transactions in their order; two may be under way at a time."""

    def send(self, batch: Sequence[SignedTransaction]) -> None:
        """Begin to check a batch."""
        ...

    def receive(self) -> bytes:
        """Return a byte for each transaction of the oldest batch: 1 where every signature holds."""
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
    """After each block, by height; first that of where the replay began."""
    state: LedgerState
    """Where the ledger stands, for whoever checks records and openings against it."""


def replay(
    genesis: Genesis,
    blocks: Iterable[StoredBlock],
    checks: SignatureChecks,
    *,
    begin: LedgerState | None = None,
    see: Callable[[StoredBlock, LedgerState], None] | None = None,
) -> ReplayReport:
    """Run every block again; refuse with FAULT_FOUND at the first thing that is not as it must be.

    `begin` is the state before the first of them, where that is not the genesis', and changes with each.
    `see` is shown each block with the state that it comes to, and may refuse.
    """
    replayed = _Replay(LedgerState(genesis) if begin is None else begin, checks)
    begun_at, first_leaf = replayed.state.height, replayed.state.frontier.size
    try:
        for block in blocks:
            replayed.take(block)
            if see is not None:
                see(block, replayed.state)
    except Refused:
        replayed.settle_all()  # a bad signature in an earlier block is the earlier fault
        raise
    replayed.settle_all()
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

    def __init__(self, begin: LedgerState, checks: SignatureChecks) -> None:
        self.state = begin
        self.refused = 0
        self.app_hashes = {begin.height: begin.app_hash}
        self._checks = checks
        self._unsettled: deque[int] = deque()

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

    def settle_all(self) -> None:
        """Await the signatures of every block that was taken."""
        while self._unsettled:
            self._settle()

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
