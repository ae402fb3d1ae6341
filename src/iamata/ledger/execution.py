"""Run a block: the one function that every engine, every replay and every verifier calls.

`apply_block` reads a state and changes nothing. What it returns says what to change.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import KeyOwner, MemberStatus, OwnerKind
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.events import Event
from iamata.ledger.leaves import Leaf, encode_leaf
from iamata.ledger.misbehaviour import Misbehaviour, accuse, compute_evidence_id
from iamata.ledger.rules import Rules
from iamata.ledger.tables import KEYS, MEMBERS, PATIENTS, PERSONS, Bytes, Scratch, Tables
from iamata.ledger.transactions import HANDLERS, SELF_INTRODUCING, SINCE_RULES_3
from iamata.ledger.window import WINDOW_MS, Window
from iamata.model.ids import KeyId, NetworkId, TxId
from iamata.model.instants import Instant
from iamata.model.reasons import ACCEPTED, Reason, Refused, require

BLOCK_TRANSACTIONS_MAX: Final = 10_000


class PoisonTransactionError(Exception):
    """A handler failed in a way that is our fault: a proposer drops the transaction, a node stops."""

    def __init__(self, tx_id: TxId) -> None:
        super().__init__(f"transaction {tx_id} breaks its handler")
        self.tx_id = tx_id


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """Where a block stands in its ledger, and which rules hold there."""

    network: NetworkId
    height: int
    time_ms: int
    rules: Rules


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a block does: results and leaves in its transactions' order, and changes to the map."""

    results: tuple[int, ...]
    leaves: tuple[bytes, ...]
    changes: dict[bytes, bytes]


def apply_block(
    entries: Bytes,
    window: Window,
    position: Position,
    transactions: Sequence[SignedTransaction],
    misbehaviours: Sequence[Misbehaviour] = (),
) -> Outcome:
    """Run transactions whose signatures were checked, in their order, at the block's time.

    What consensus has seen of validators that broke its rules comes first, a leaf each.
    """
    scratch = Scratch(entries)
    state = Tables(scratch)
    seen: dict[TxId, None] = {}
    results: list[int] = []
    leaves = []
    for misbehaviour in misbehaviours:
        event = accuse(misbehaviour, state, time_ms=position.time_ms)
        scratch.keep()
        leaves.append(_write_leaf(compute_evidence_id(misbehaviour), position, ACCEPTED, event))
    for transaction in transactions:
        reason, outcome = _apply(transaction, state, scratch, window=window, seen=seen, position=position)
        seen[transaction.id] = None
        results.append(reason)
        leaves.append(_write_leaf(transaction.id, position, reason, outcome))
    return Outcome(results=tuple(results), leaves=tuple(leaves), changes=scratch.compute_changes())


class Admission:
    """Refuses what no block could accept, before it costs a place in one; each signer is looked up once.

    Whoever has no rights left, or none yet, has nothing to lose, and could fill the log with refusals; so
    of them only a transaction that would be accepted now goes in. Good for one state, and gone with it.
    """

    def __init__(self, entries: Bytes, window: Window) -> None:
        self._entries = entries
        self._window = window
        self._signers: dict[KeyId, tuple[KeyOwner | None, bool]] = {}

    def check(self, position: Position, transaction: SignedTransaction) -> None:
        """Refuse a transaction that a block at this position could not accept."""
        owner, has_rights = self._find_signer(transaction.key)
        _check_envelope(transaction, owner, window=self._window, position=position)
        if not has_rights:
            state = Tables(Scratch(self._entries))
            context = _describe(transaction, state, owner, position)
            try:
                HANDLERS[type(transaction.body)](transaction.body, context)
            except Refused:
                raise
            except Exception as error:
                raise PoisonTransactionError(transaction.id) from error

    def _find_signer(self, key: KeyId) -> tuple[KeyOwner | None, bool]:
        """Return whom a key speaks for, and whether that one has any rights."""
        signer = self._signers.get(key)
        if signer is None:
            owner = KEYS.find(self._entries, key)
            has_rights = owner is not None and _has_rights(owner, self._entries)
            signer = (owner, has_rights)
            if owner is not None:  # of strangers there is no end, and where nothing happens no next state
                self._signers[key] = signer
        return signer


def _has_rights(owner: KeyOwner, entries: Bytes) -> bool:
    """Tell whether whom a key speaks for may still do anything: a cheap look before the rules are asked."""
    if owner.kind is OwnerKind.PATIENT:
        patient = PATIENTS.find(entries, owner.owner)
        return patient is not None and not patient.is_erased and not patient.is_custodial
    if owner.kind is OwnerKind.VALIDATOR:
        return False
    member_id = owner.owner
    if owner.kind is OwnerKind.PERSON:
        person = PERSONS.find(entries, owner.owner)
        if person is None or not person.is_active:
            return False
        member_id = person.member
    member = MEMBERS.find(entries, member_id)
    return member is not None and member.status is MemberStatus.ACTIVE


def _apply(  # noqa: PLR0913  the loop's whole state, in one place
    transaction: SignedTransaction,
    state: Tables,
    scratch: Scratch,
    *,
    window: Window,
    seen: dict[TxId, None],
    position: Position,
) -> tuple[int, Event | msgspec.UnsetType]:
    owner = state.keys.find(transaction.key)
    try:
        require(transaction.id not in seen, Reason.REPLAYED)
        _check_envelope(transaction, owner, window=window, position=position)
        context = _describe(transaction, state, owner, position)
        event: Event = HANDLERS[type(transaction.body)](transaction.body, context)
    except Refused as refused:
        scratch.drop()
        return int(refused.reason), msgspec.UNSET
    except Exception as error:
        scratch.drop()
        raise PoisonTransactionError(transaction.id) from error
    scratch.keep()
    return ACCEPTED, event


def _describe(
    transaction: SignedTransaction, state: Tables, owner: KeyOwner | None, position: Position
) -> Context:
    return Context(
        state=state,
        time_ms=position.time_ms,
        key=transaction.key,
        signer=owner,
        height=position.height,
        rules=position.rules,
    )


def _write_leaf(leaf_id: TxId, position: Position, reason: int, event: Event | msgspec.UnsetType) -> bytes:
    height = position.height if position.rules.is_height_in_leaves else msgspec.UNSET
    time_ms = Instant(position.time_ms)
    return encode_leaf(Leaf(id=leaf_id, height=height, time_ms=time_ms, reason=reason, event=event))


def _check_envelope(
    transaction: SignedTransaction, owner: KeyOwner | None, *, window: Window, position: Position
) -> None:
    body = transaction.body
    is_type_known = position.rules.has_studies or not isinstance(body, SINCE_RULES_3)
    require(is_type_known, Reason.UNKNOWN_TYPE)
    require(body.network == position.network, Reason.FOREIGN_NETWORK)
    require(body.expires_ms > position.time_ms, Reason.EXPIRED)
    require(body.expires_ms <= position.time_ms + WINDOW_MS, Reason.EXPIRES_TOO_LATE)
    require(not window.holds(transaction.id, at_ms=position.time_ms), Reason.REPLAYED)
    is_known = owner is not None and not owner.is_retired
    require(is_known or isinstance(transaction.body, SELF_INTRODUCING), Reason.UNKNOWN_SIGNER)
