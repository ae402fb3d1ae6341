"""The same transactions come to the same hashes, however they were cut, stopped, restored or hashed.

LED-LOG-6, LED-LOG-7.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.crypto.authmap import AuthMap
from iamata.crypto.merkle import hash_leaf
from iamata.crypto.tiles import Frontier, compute_changed_tiles
from iamata.ledger.bases import ConsentBasis, EmergencyBasis
from iamata.ledger.entries import OwnerKind, Role
from iamata.ledger.envelope import SignedTransaction, read_transaction
from iamata.ledger.genesis import get_orderer
from iamata.ledger.header import read_header
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.state import LedgerState
from iamata.ledger.transactions.access import Disclose
from iamata.ledger.transactions.consents import GrantConsent, RestrictConsent, WithdrawConsent
from iamata.ledger.transactions.emergencies import DeclareEmergency
from iamata.ledger.transactions.patients import EnrolPatient
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, SuspendMember
from iamata.ledger.transactions.records import EraseRecords
from iamata.ledger.window import WINDOW_MS
from iamata.model.ids import MemberId
from iamata.model.instants import MS_PER_HOUR, MS_PER_MINUTE
from iamata.testing.world import Party, World

ROOT = Path(__file__).resolve().parents[2]
REPLAY = """
import hashlib, pathlib, sys
from iamata.testing.vectors import read_vector, replay_vector
paths = sorted(pathlib.Path(sys.argv[1]).rglob("accepts-*.json"))
hashes = [replay_vector(read_vector(path)).app_hash for path in paths]
print(len(paths), hashlib.sha256("".join(hashes).encode()).hexdigest())
"""


def write_story(world: World) -> list[bytes]:
    """Write what happens to three patients, most of it right when it comes in this order."""
    emil = world.register_person("emil", member="hospital-b", roles=(Role.EMERGENCY,))
    story: list[bytes] = []
    for number, member in enumerate(("hospital-a", "hospital-b", "hospital-c")):
        node, name = world.node(member), str(number)
        own, patient = world.stranger(name), world.derive_id("patient", name)
        anna = Party(patient, node.custodian, own)
        consent, emergency = world.derive_id("consent", name), world.derive_id("emergency", name)
        possession = own.prove_possession(OwnerKind.PATIENT, patient, member=node.custodian)
        enrol = {"patient": patient, "possession": possession}
        commitment = world.derive_commitment(name)
        declared = {"emergency": emergency, "patient": patient, "commitment": commitment}

        def disclose(kind: str, basis: Any, *, by: Party = node, whose: Party = anna) -> bytes:
            access, sealed = world.derive_id("access", kind, whose.id), world.derive_commitment(kind)
            return by.author.write(
                Disclose, access=access, patient=whose.id, basis=basis, commitment=sealed
            )

        story += [
            node.author.write(EnrolPatient, **enrol),
            node.author.write(GrantConsent, grant=world.state_grant(name, anna)),
            disclose("first", ConsentBasis(consent)),
            own.write(RestrictConsent, consent=consent, terms=commitment),
            emil.author.write(DeclareEmergency, **declared, until_ms=world.clock() + MS_PER_HOUR),
            disclose("emergency", EmergencyBasis(emergency)),
            own.write(WithdrawConsent, consent=consent),
            disclose("second", ConsentBasis(consent)),
            node.author.write(EraseRecords, patient=patient, statement=commitment, count=1),
            *write_vote(world, member, number),
        ]
    return story


def write_vote(world: World, member: str, number: int) -> list[bytes]:
    """Write a step of the vote that suspends hospital C."""
    proposal, author = world.derive_id("proposal"), world.administrator(member).author
    if number == 0:
        action = SuspendMember(member=MemberId("hospital-c"))
        return [author.write(OpenProposal, proposal=proposal, action=action, until_day=world.today)]
    return [author.write(CastVote, proposal=proposal, is_approval=True)]


def cut(raws: Sequence[bytes], sizes: Sequence[int]) -> list[list[SignedTransaction]]:
    """Cut transactions into blocks of these sizes; the rest is one more."""
    blocks, at = [], 0
    for size in sizes:
        blocks.append([read_transaction(raw) for raw in raws[at : at + size]])
        at += size
    return [*blocks, [read_transaction(raw) for raw in raws[at:]]]


@settings(max_examples=12)
@given(st.data())
def test_at_one_time_results_and_app_hash_do_not_depend_on_the_cut(data: st.DataObject) -> None:
    """LED-LOG-7: in any order of the story, whole or in pieces."""
    story = data.draw(st.permutations(write_story(World.found("cut"))))
    sizes = data.draw(st.lists(st.integers(0, 9), max_size=12))
    found = []
    for blocks in (cut(story, []), cut(story, sizes), cut(story, [1] * len(story))):
        world = World.found("cut")
        world.register_person("emil", member="hospital-b", roles=(Role.EMERGENCY,))
        state, results = world.memory.state, list[int]()
        time_ms = state.time_ms + 1
        for block in blocks:
            position = state.place_at(state.height + 1, time_ms)
            outcome = state.run(position, block)
            state.install(position, block, outcome)
            results += outcome.results
        found.append((results, state.entries.root, state.frontier.size, state.app_hash))

    assert found[0] == found[1] == found[2]


def read_from(tiles: dict[tuple[int, int], bytes]) -> Callable[[int, int], bytes]:
    """Read tiles as an engine's store does."""
    return lambda level, position: tiles.get((level, position), b"")


def restore(world: World, tiles: dict[tuple[int, int], bytes], rng: Any) -> LedgerState:
    """Rebuild a ledger from what an engine stores: pairs, tiles, the last header, recent leaves."""
    engine = world.memory
    header = read_header(engine.blocks[-1].header, orderer=get_orderer(engine.genesis))
    pairs = list(engine.state.entries.items())
    rng.shuffle(pairs)
    recent = [
        (leaf.time_ms, [leaf.id])
        for leaf in map(decode_leaf, engine.leaves)
        if leaf.time_ms >= header.time_ms - WINDOW_MS
    ]
    restored = LedgerState(engine.genesis)
    restored.restore(
        entries=AuthMap.load(pairs),
        frontier=Frontier.load(len(engine.leaves), read_from(tiles)),
        header=header,
        recent=recent,
    )
    return restored


@settings(max_examples=12)
@given(
    order=st.permutations(range(30)),
    restarts=st.lists(st.booleans(), min_size=30, max_size=30),
    sizes=st.lists(st.integers(1, 9), min_size=4, max_size=10),
    rng=st.randoms(use_true_random=False),
)
def test_a_ledger_restored_anywhere_goes_on_to_the_same_app_hash(
    order: list[int],
    restarts: list[bool],
    sizes: list[int],
    rng: Any,
) -> None:
    """LED-LOG-6: with replays of the story thrown in, so that the window matters too."""
    hashes = []
    for is_restarting in (False, True):
        world = World.found("restart")
        story = write_story(world)
        raws = [*(story[one] for one in order if one < len(story)), *story]
        tiles: dict[tuple[int, int], bytes] = {}
        for number, block in enumerate(cut(raws, sizes)):
            size = world.memory.state.frontier.size
            at_ms = world.clock() + number * MS_PER_MINUTE // 2
            installed = world.memory.order([one.raw for one in block], at_ms=at_ms)
            fresh = [hash_leaf(leaf) for leaf in installed.outcome.leaves]
            if number == 0:
                fresh, size = [hash_leaf(leaf) for leaf in world.memory.leaves], 0
            tiles |= compute_changed_tiles(size, fresh, read_from(tiles))
            if is_restarting and restarts[number]:
                world.memory.state = restore(world, tiles, rng)
        hashes.append(world.memory.state.app_hash)

    assert hashes[0] == hashes[1]


def test_blocks_replayed_from_genesis_come_to_the_same_headers() -> None:
    """LED-LOG-6."""
    world = World.found("replay")
    for raw in write_story(world):
        world.memory.order([raw])
    again = World.found("replay")
    for block in world.memory.blocks:
        again.memory.order(block.transactions, at_ms=block.time_ms)

    assert [block.header for block in again.memory.blocks] == [
        block.header for block in world.memory.blocks
    ]
    assert again.memory.leaves == world.memory.leaves


def test_a_block_run_and_taken_back_leaves_no_trace() -> None:
    """LED-MAP-3."""
    world = World.found("revert")
    story = write_story(world)
    before = (world.memory.state.app_hash, world.memory.state.height, world.memory.state.parent)

    world.memory.state.revert(world.memory.order(story))

    after = (world.memory.state.app_hash, world.memory.state.height, world.memory.state.parent)
    assert after == before


@pytest.mark.parametrize("seeds", [("0", "1", "4294967295")])
def test_every_transaction_type_comes_to_the_same_hash_under_every_hash_seed(
    seeds: tuple[str, ...],
) -> None:
    """LED-LOG-6."""
    answers = [
        subprocess.run(  # noqa: S603  our own interpreter and text
            [sys.executable, "-c", REPLAY, str(ROOT / "vectors" / "ledger")],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        ).stdout
        for seed in seeds
    ]

    assert len(dict.fromkeys(answers)) == 1
    assert int(answers[0].split()[0]) > 30
