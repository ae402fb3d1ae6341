"""Frozen cases of networks that go on: each comes to the same first state, or to the same refusal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.ledger.envelope import read_transaction
from iamata.ledger.genesis import compute_charter, compute_network_id, read_genesis
from iamata.ledger.state import LedgerState
from iamata.model.canonical import encode_canonical, encode_struct
from iamata.model.ids import encode_digest
from iamata.model.reasons import Refused
from iamata.testing.successors import draft, settle, validate
from iamata.testing.world import World

FOLDER: Final = Path(__file__).resolve().parents[2] / "vectors" / "succession"
MEMBERS: Final = ("hospital-a", "hospital-b", "hospital-c")


class SuccessionVector(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ledger, the genesis under which it goes on, and what that comes to."""

    why: str
    spec: tuple[str, ...]
    genesis: dict[str, Any]
    blocks: tuple[dict[str, Any], ...]
    successor: dict[str, Any]
    expected: dict[str, Any]


def to_another_signer(world: World) -> bytes:
    """One signer takes over from another: the app hash stays."""
    return encode_struct(settle(world, draft(world), MEMBERS))


def to_validators(world: World) -> bytes:
    """Validators take over from one signer: their keys are part of what the first block finds."""
    return encode_struct(settle(world, draft(world, **validate(world, MEMBERS)), MEMBERS))


def not_agreed(world: World) -> bytes:
    """Two of four members decide no vote."""
    return encode_struct(settle(world, draft(world), MEMBERS[:2]))


def agreed_to_another_genesis(world: World) -> bytes:
    """An agreement to one genesis is none to another."""
    agreed = settle(world, draft(world), MEMBERS).agreements
    return encode_struct(msgspec.structs.replace(draft(world, name="Another"), agreements=agreed))


def from_another_app_hash(world: World) -> bytes:
    """The ledger that is continued is not the one that is there."""
    genesis = draft(world)
    assert genesis.continues is not None
    elsewhere = msgspec.structs.replace(genesis.continues, app_hash=encode_digest(bytes(32)))
    return encode_struct(settle(world, msgspec.structs.replace(genesis, continues=elsewhere), MEMBERS))


def founded_and_continued(world: World) -> bytes:
    """A genesis founds or continues, not both."""
    founders = world.memory.state.genesis.founders
    return encode_struct(settle(world, draft(world, founders=founders), MEMBERS))


CASES: Final[dict[Callable[[World], bytes], tuple[str, ...]]] = {
    to_another_signer: ("LED-SUC-1", "LED-SUC-4", "LED-SUC-5"),
    to_validators: ("LED-SUC-4",),
    not_agreed: ("LED-SUC-3",),
    agreed_to_another_genesis: ("LED-SUC-3",),
    from_another_app_hash: ("LED-SUC-2",),
    founded_and_continued: ("LED-SUC-1",),
}


def build(case: Callable[[World], bytes], spec: tuple[str, ...]) -> SuccessionVector:
    world = World.found("succession vector", rules=2)
    world.grant("consent", world.enrol_patient("ada", custodian="hospital-a"))
    told = SuccessionVector(
        why=(case.__doc__ or "").strip(),
        spec=spec,
        genesis=json.loads(encode_struct(world.memory.state.genesis)),
        blocks=tuple(
            {"time_ms": one.time_ms, "transactions": [raw.decode("ascii") for raw in one.transactions]}
            for one in world.memory.blocks
        ),
        successor=json.loads(case(world)),
        expected={},
    )
    return msgspec.structs.replace(told, expected=replay(told))


def replay(vector: SuccessionVector) -> dict[str, Any]:
    """Say what a vector comes to, from its file alone."""
    before = LedgerState(read_genesis(encode_canonical(vector.genesis)))
    for block in vector.blocks:
        transactions = [read_transaction(raw.encode("ascii")) for raw in block["transactions"]]
        position = before.place(block["time_ms"])
        before.install(position, transactions, before.run(position, transactions))
    try:
        genesis = read_genesis(encode_canonical(vector.successor))
        state = LedgerState(genesis)
        state.inherit(entries=before.entries, frontier=before.frontier, time_ms=before.time_ms)
    except Refused as refused:
        return {"reason": int(refused.reason), "name": refused.reason.name}
    begun = state.app_hash
    position = state.place(0)
    header = state.install(position, [], state.run(position, [])).header
    return {
        "reason": 0,
        "name": "ACCEPTED",
        "network": compute_network_id(genesis),
        "charter": compute_charter(genesis),
        "app_hash_before": genesis.continues.app_hash if genesis.continues else "",
        "app_hash": begun,
        "first_header": json.loads(encode_struct(header)),
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_case_is_frozen(case: Callable[[World], bytes], *, is_writing: bool) -> None:
    vector = build(case, CASES[case])
    path = FOLDER / f"{case.__name__.replace('_', '-')}.json"

    if is_writing and not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(msgspec.to_builtins(vector), indent=1) + "\n", encoding="ascii")
    assert path.exists(), "run `pytest tests/vectors --write-vectors` to freeze this new case"
    assert msgspec.json.decode(path.read_bytes(), type=SuccessionVector) == vector


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_frozen_case_comes_to_the_same(path: Path) -> None:
    vector = msgspec.json.decode(path.read_bytes(), type=SuccessionVector)

    assert replay(vector) == vector.expected
