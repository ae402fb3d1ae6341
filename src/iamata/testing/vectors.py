"""Frozen cases of the ledger: built in a world, written as JSON, and replayed from the file alone.

A vector is a promise. Writing only ever adds files; replaying needs nothing but the file and the rules.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from iamata.ledger.entries import Parameters
from iamata.ledger.envelope import has_valid_signatures, read_transaction
from iamata.ledger.genesis import Genesis, read_genesis
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.state import LedgerState
from iamata.model.canonical import encode_canonical, encode_struct
from iamata.model.ids import encode_digest
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.testing.world import World


class Expected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the rules say about a transaction, and where the ledger stands afterwards."""

    stage: str
    """Where it was decided: `reading`, `signatures` or `block`."""
    is_admitted: bool
    """Whether a node would take it in; a block that holds it all the same comes to the same reason."""
    reason: int
    name: str
    event: dict[str, Any] = {}
    state_root: str
    app_hash: str


class Block(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block that came before."""

    time_ms: int
    transactions: tuple[str, ...]


class Vector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One scenario. A transaction's bytes stand as Latin-1, which is ASCII where they are well formed."""

    why: str
    spec: tuple[str, ...]
    genesis: dict[str, Any]
    blocks: tuple[Block, ...]
    at_ms: int
    transaction: str
    expected: Expected


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """How a vector comes about: a story told in a world that ends with one transaction."""

    topic: str
    name: str
    expects: Reason | str
    """A reason, or the type of the event."""
    why: str
    spec: tuple[str, ...]
    founding: dict[str, Any]
    """What the world is founded with, but for its seed."""
    tell: Callable[[World], bytes]

    def __str__(self) -> str:
        return f"{self.topic}/{self.name}"


class Cases:
    """A topic's cases under one version of the rules, in the order in which they are written down."""

    def __init__(self, topic: str, *, rules: int = 1, validators: tuple[str, ...] = ()) -> None:
        self._topic = topic
        self._founding: dict[str, Any] = {"rules": rules, "validators": validators}
        self.all: list[Case] = []

    def add(
        self, expects: Reason | str, *spec: str, why: str, parameters: Parameters = DEFAULT_PARAMETERS
    ) -> Callable[[Callable[[World], bytes]], Callable[[World], bytes]]:
        """Take a story in, under its function's name."""

        def keep(tell: Callable[[World], bytes]) -> Callable[[World], bytes]:
            name = tell.__name__.replace("_", "-")
            founding = self._founding | {"parameters": parameters}
            self.all.append(Case(self._topic, name, expects, why, spec, founding, tell))
            return tell

        return keep


def build_vector(case: Case) -> Vector:
    """Tell a case's story in a fresh world, and write down what came of it."""
    world = World.found(**case.founding)
    raw = case.tell(world)
    engine = world.memory
    before = tuple(
        Block(time_ms=block.time_ms, transactions=tuple(_show(one) for one in block.transactions))
        for block in engine.blocks
    )
    return Vector(
        why=case.why,
        spec=case.spec,
        genesis=json.loads(encode_struct(engine.genesis)),
        blocks=before,
        at_ms=world.clock(),
        transaction=_show(raw),
        expected=judge(engine.state, raw, at_ms=world.clock()),
    )


def replay_vector(vector: Vector) -> Expected:
    """Build the ledger from a vector alone, and say what its transaction comes to."""
    state = LedgerState(_load_genesis(vector))
    for block in vector.blocks:
        _order(state, [_read(text) for text in block.transactions], at_ms=block.time_ms)
    return judge(state, _read(vector.transaction), at_ms=vector.at_ms)


def judge(state: LedgerState, raw: bytes, *, at_ms: int) -> Expected:
    """Put one transaction to the rules: in a block of its own, if it reads and its signatures hold."""
    try:
        transaction = read_transaction(raw)
    except Refused as refused:
        return _describe(state, "reading", refused.reason)
    if not has_valid_signatures(transaction):
        return _describe(state, "signatures", Reason.BAD_SIGNATURE)
    is_admitted = True
    try:
        state.check(transaction, at_ms=at_ms)
    except Refused:
        is_admitted = False
    (raw_leaf,) = _order(state, [raw], at_ms=at_ms)
    leaf = decode_leaf(raw_leaf)
    event = {} if leaf.event is msgspec.UNSET else json.loads(encode_struct(leaf.event))
    return _describe(state, "block", leaf.reason, is_admitted=is_admitted, event=event)


def write_vector(vector: Vector, path: Path) -> None:
    """Add a vector's file; never touch one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(msgspec.to_builtins(vector), indent=1, ensure_ascii=True)
    with path.open("x", encoding="ascii") as file:
        file.write(text + "\n")


def read_vector(path: Path) -> Vector:
    """Read a frozen vector."""
    return msgspec.json.decode(path.read_bytes(), type=Vector)


def _load_genesis(vector: Vector) -> Genesis:
    return read_genesis(encode_canonical(vector.genesis))


def _order(state: LedgerState, raws: list[bytes], *, at_ms: int) -> tuple[bytes, ...]:
    transactions = [read_transaction(raw) for raw in raws]
    position = state.place(at_ms)
    outcome = state.run(position, transactions)
    state.install(position, transactions, outcome)
    return outcome.leaves


def _describe(
    state: LedgerState,
    stage: str,
    reason: int,
    *,
    is_admitted: bool = False,
    event: dict[str, Any] | None = None,
) -> Expected:
    return Expected(
        stage=stage,
        is_admitted=is_admitted,
        reason=int(reason),
        name="ACCEPTED" if reason == ACCEPTED else Reason(reason).name,
        event=event or {},
        state_root=encode_digest(state.entries.root),
        app_hash=state.app_hash,
    )


def _show(raw: bytes) -> str:
    return raw.decode("latin-1")


def _read(text: str) -> bytes:
    return text.encode("latin-1")
