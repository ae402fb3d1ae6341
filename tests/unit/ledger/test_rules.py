"""Rules change at an agreed height, and blocks replay under the rules of their own heights."""

import json

import pytest

from iamata.ledger.entries import OwnerKind
from iamata.ledger.genesis import Genesis
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.rules import NEWEST, RULES
from iamata.ledger.transaction import Possession
from iamata.ledger.transactions.patients import EnrolPatient
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, UpgradeRules
from iamata.model.ids import MemberId, PatientId
from iamata.model.reasons import Reason, Refused
from iamata.testing.engine import MemoryEngine
from iamata.testing.world import World

A = MemberId("hospital-a")


def agree(world: World, *, version: int, ahead: int) -> int:
    """Let three of four members agree on rules some blocks after their votes; return the height."""
    height = world.memory.state.height + 3 + ahead
    proposal = world.derive_id("upgrade", str(version))
    action = UpgradeRules(version=version, height=height)
    world.administrator(A).author.submit(
        OpenProposal, proposal=proposal, action=action, until_day=world.today
    )
    for member in ("hospital-b", "hospital-c"):
        world.administrator(member).author.submit(CastVote, proposal=proposal, is_approval=True)
    return height


def enrol(world: World, name: str) -> PatientId:
    """Enrol a patient with a proof spelled as the rules of the next block want it."""
    patient = PatientId(world.derive_id("patient", name))
    possession = world.stranger(name).prove_possession(OwnerKind.PATIENT, patient, member=A)
    world.node(A).author.submit(EnrolPatient, patient=patient, possession=possession)
    return patient


def test_the_agreed_rules_hold_from_the_agreed_block_on() -> None:
    """LED-UPG-1."""
    world = World.found("upgrade", rules=1)
    height = agree(world, version=2, ahead=3)
    enrol(world, "before")
    assert world.memory.state.height == height - 2
    for name in ("last", "first", "after"):
        enrol(world, name)

    heights = ["height" in json.loads(leaf) for leaf in world.memory.leaves]

    assert heights == [True] * (height - 1) + [False] * (len(heights) - height + 1)


def test_a_proof_of_the_old_rules_is_none_under_the_new() -> None:
    """LED-UPG-1."""
    world = World.found("proofs", rules=1)
    agree(world, version=2, ahead=1)
    patient = PatientId(world.derive_id("patient", "anna"))
    possession = world.stranger("anna").state(Possession, subject=f"patient/{patient}")

    with pytest.raises(Refused) as refused:
        world.node(A).author.submit(EnrolPatient, patient=patient, possession=possession)

    assert refused.value.reason is Reason.BAD_PROOF_OF_POSSESSION


def test_blocks_before_and_after_an_upgrade_replay_to_the_same_leaves() -> None:
    """LED-UPG-4."""
    world = World.found("replayed", rules=1)
    agree(world, version=2, ahead=2)
    for name in ("one", "two", "three", "four"):
        enrol(world, name)
    again = MemoryEngine(world.engine.genesis, orderer=world.orderer, clock=world.clock)

    for block in world.memory.blocks:
        again.order(block.transactions, at_ms=block.time_ms)

    assert again.leaves == world.memory.leaves
    assert again.state.app_hash == world.memory.state.app_hash


def test_a_program_makes_no_block_whose_rules_it_does_not_know() -> None:
    """LED-UPG-3."""
    world = World.found("unknown")
    height = agree(world, version=NEWEST + 7, ahead=1)
    enrol(world, "last") if world.memory.state.height < height - 1 else None

    with pytest.raises(Refused, match=f"rules {NEWEST + 7} hold from block {height}") as refused:
        enrol(world, "first")

    assert refused.value.reason is Reason.RULES_UNKNOWN
    assert world.memory.state.height == height - 1


def test_two_upgrades_hold_one_after_the_other() -> None:
    """LED-UPG-1, LED-UPG-2."""
    world = World.found("two", rules=1)
    agree(world, version=2, ahead=10)
    with pytest.raises(Refused) as earlier:
        agree(world, version=3, ahead=1)
    agree(world, version=3, ahead=20)

    assert earlier.value.reason is Reason.PROPOSAL_NOT_APPLICABLE
    assert [decode_leaf(leaf).reason for leaf in world.memory.leaves[-3:]] == [0, 0, 0]


def test_every_version_is_filed_under_its_number() -> None:
    assert [rules.version for rules in RULES.values()] == list(RULES) == list(range(1, NEWEST + 1))


def test_a_new_network_begins_with_the_newest_rules() -> None:
    genesis: Genesis = World.found("new").engine.genesis

    assert genesis.rules == NEWEST
