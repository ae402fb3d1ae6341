"""Blocks before they are final: what this node proposes, and what it thinks of others' proposals.

Everything here is a function of the state and the block. What a block does is kept by its content, so that
it runs once, however often consensus shows it.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from iamata.engines.comet.bundles import join_lines, split_bundle
from iamata.engines.comet.recall import Recall
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.execution import (
    BLOCK_TRANSACTIONS_MAX,
    Admission,
    Outcome,
    PoisonTransactionError,
    Position,
)
from iamata.ledger.misbehaviour import Misbehaviour
from iamata.ledger.state import LedgerState
from iamata.model.canonical import encode_struct
from iamata.model.ids import TxId
from iamata.model.reasons import Reason, Refused, require

DRAFTS_MAX: Final = 8
"""Proposals for one height that are remembered: as many rounds are rare."""


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """A block that was run and is not final."""

    position: Position
    transactions: tuple[SignedTransaction, ...]
    groups: tuple[int, ...]
    misbehaviours: tuple[Misbehaviour, ...]
    outcome: Outcome


class Drafts:
    """What was run for the next height, by content. Each new height forgets all."""

    def __init__(self) -> None:
        self._drafts: dict[bytes, Draft] = {}

    def find(
        self, position: Position, bundles: Iterable[bytes], evidence: Iterable[Misbehaviour]
    ) -> Draft | None:
        """Return what a block does if it was run before."""
        return self._drafts.get(compute_key(position, bundles, evidence))

    def keep(self, draft: Draft, bundles: Iterable[bytes]) -> None:
        """Remember what a block does."""
        if len(self._drafts) >= DRAFTS_MAX:
            del self._drafts[next(iter(self._drafts))]
        self._drafts[compute_key(draft.position, bundles, draft.misbehaviours)] = draft

    def clear(self) -> None:
        """Forget everything: the state has moved on."""
        self._drafts.clear()


def compute_key(position: Position, bundles: Iterable[bytes], evidence: Iterable[Misbehaviour]) -> bytes:
    """Name a block by all that its outcome depends on, besides the state."""
    hashed = hashlib.sha256(b"%d %d" % (position.height, position.time_ms))
    for bundle in bundles:
        hashed.update(hashlib.sha256(bundle).digest())
    hashed.update(b"\x00")
    for one in evidence:
        hashed.update(hashlib.sha256(encode_struct(one)).digest())
    return hashed.digest()


def prepare(  # noqa: PLR0913  a block's whole surroundings
    state: LedgerState,
    recall: Recall,
    position: Position,
    offered: Sequence[bytes],
    *,
    bytes_max: int,
    misbehaviours: Sequence[Misbehaviour],
) -> tuple[list[bytes], Draft]:
    """Make a block of the lines that can be admitted; bundles keep their order, and lose bad lines."""
    bundles = _admit(state, recall, position, offered, bytes_max=bytes_max)
    while True:
        transactions = [one for bundle in bundles for one in bundle]
        try:
            outcome = state.run(position, transactions, misbehaviours)
        except PoisonTransactionError as poison:
            bundles = _drop(bundles, poison.tx_id)
        else:
            groups = tuple(len(bundle) for bundle in bundles)
            draft = Draft(position, tuple(transactions), groups, tuple(misbehaviours), outcome)
            return [_spell(bundle) for bundle in bundles], draft


def check(
    state: LedgerState,
    recall: Recall,
    position: Position,
    bundles: Sequence[bytes],
    misbehaviours: Sequence[Misbehaviour],
) -> Draft:
    """Run a block that somebody proposes, or refuse it: we must be able to propose each line of it."""
    lines, groups = split_all(bundles)
    transactions: list[SignedTransaction] = []
    seen: dict[TxId, None] = {}
    admission = state.make_admission()
    for transaction in recall.read_all(lines):
        if isinstance(transaction, Refused):
            raise transaction
        transactions.append(transaction)
        require(transaction.id not in seen, Reason.REPLAYED)
        seen[transaction.id] = None
        admission.check(position, transaction)
    outcome = state.run(position, transactions, misbehaviours)
    return Draft(position, tuple(transactions), groups, tuple(misbehaviours), outcome)


def run_decided(
    state: LedgerState,
    recall: Recall,
    position: Position,
    bundles: Sequence[bytes],
    misbehaviours: Sequence[Misbehaviour],
) -> Draft:
    """Run a block that is final and was not seen before, as when this node catches up, trusting nobody."""
    lines, groups = split_all(bundles)
    found = [recall.find(line) for line in lines]
    unchecked = [transaction for transaction, is_checked in found if not is_checked]
    recall.checker.send(unchecked)
    transactions = [transaction for transaction, _ in found]
    try:
        outcome = state.run(position, transactions, misbehaviours)
    finally:
        verdicts = recall.checker.receive()
    require(all(verdicts), Reason.BAD_SIGNATURE, "in a block that validators agreed on")
    return Draft(position, tuple(transactions), groups, tuple(misbehaviours), outcome)


def split_all(bundles: Sequence[bytes]) -> tuple[list[bytes], tuple[int, ...]]:
    """Return all lines of a block, and how many each bundle has."""
    parts = [split_bundle(bundle) for bundle in bundles]
    lines = [line for part in parts for line in part]
    require(len(lines) <= BLOCK_TRANSACTIONS_MAX, Reason.TOO_LARGE, "the transactions of a block")
    return lines, tuple(len(part) for part in parts)


def count_bytes(bundle: bytes) -> int:
    """Tell how much of a block a bundle takes, as CometBFT counts: a tag and a length come on top."""
    return 1 + max(1, (len(bundle).bit_length() + 6) // 7) + len(bundle)


def _admit(
    state: LedgerState, recall: Recall, position: Position, offered: Sequence[bytes], *, bytes_max: int
) -> list[list[SignedTransaction]]:
    """Choose the lines that this block can take in, in their order."""
    admitted: list[list[SignedTransaction]] = []
    admission = state.make_admission()
    seen: dict[TxId, None] = {}
    size = 0
    for raw in offered:
        bundle = _admit_lines(admission, recall, position, raw, seen)
        room = count_bytes(_spell(bundle))
        if bundle and size + room <= bytes_max and len(seen) + len(bundle) <= BLOCK_TRANSACTIONS_MAX:
            seen |= dict.fromkeys(one.id for one in bundle)
            size += room
            admitted.append(bundle)
    return admitted


def _admit_lines(
    admission: Admission, recall: Recall, position: Position, raw: bytes, seen: dict[TxId, None]
) -> list[SignedTransaction]:
    try:
        lines = split_bundle(raw)
    except Refused:
        return []
    chosen: dict[TxId, SignedTransaction] = {}
    for transaction in recall.read_all(lines):
        if isinstance(transaction, Refused):
            continue
        try:
            require(transaction.id not in seen and transaction.id not in chosen, Reason.REPLAYED)
            admission.check(position, transaction)
        except (Refused, PoisonTransactionError):
            continue
        chosen[transaction.id] = transaction
    return list(chosen.values())


def _drop(bundles: list[list[SignedTransaction]], poison: TxId) -> list[list[SignedTransaction]]:
    """Take a transaction out that breaks its handler, and its bundle where nothing else is in it."""
    kept = [[one for one in bundle if one.id != poison] for bundle in bundles]
    return [bundle for bundle in kept if bundle]


def _spell(bundle: Sequence[SignedTransaction]) -> bytes:
    return join_lines(one.raw for one in bundle)
