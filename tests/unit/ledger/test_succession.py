"""A network goes on under another genesis with all that it had, if its members agree (LED-SUC)."""

from typing import Any, Final

import msgspec
import pytest

from iamata.crypto.jws import sign_jws
from iamata.ledger.entries import OwnerKind
from iamata.ledger.envelope import read_transaction
from iamata.ledger.genesis import Continuation, Genesis, compute_charter, read_genesis
from iamata.ledger.succession import Ancestor, agree, check_lineage, check_succession, list_evidence
from iamata.ledger.tables import CONSENTS, CURRENT, KEYS, PATIENTS, VALIDATORS
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.ledger.transactions.members import LeaveNetwork
from iamata.model.canonical import encode_struct
from iamata.model.ids import NetworkId, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.testing.successors import draft, settle, succeed, validate
from iamata.testing.world import World

MEMBERS: Final = ("hospital-a", "hospital-b", "hospital-c")
"""Three of the four who found a world: as many as decide."""


@pytest.fixture
def world() -> World:
    world = World.found("succession")
    world.grant("consent", world.enrol_patient("ada", custodian="hospital-a"))
    return world


def refusal(world: World, genesis: Genesis) -> Reason:
    with pytest.raises(Refused) as refused:
        succeed(world, read_genesis(encode_struct(genesis)))
    return refused.value.reason


def replace_predecessor(genesis: Genesis, **changes: Any) -> Genesis:
    assert genesis.continues is not None
    return msgspec.structs.replace(genesis, continues=msgspec.structs.replace(genesis.continues, **changes))


def test_a_successor_begins_with_the_map_the_log_and_the_height_of_its_predecessor(world: World) -> None:
    """LED-SUC-4, LED-SUC-5."""
    before = world.memory.state

    state = succeed(world, settle(world, draft(world), MEMBERS))

    assert state.app_hash == before.app_hash
    assert (state.height, state.frontier) == (before.height, before.frontier)
    assert state.network != before.network
    assert (str(state.parent), len(state.window)) == (str(state.network), 0)
    assert not state.has_blocks


def test_its_first_block_follows_the_genesis_at_the_next_height(world: World) -> None:
    """LED-SUC-5."""
    genesis = settle(world, draft(world), MEMBERS)
    state = succeed(world, genesis)

    position = state.place(0)
    installed = state.install(position, [], state.run(position, []))

    assert installed.header.height == world.memory.state.height + 1
    assert installed.header.time_ms == genesis.created_ms + 1
    assert str(installed.header.parent) == str(state.network)
    assert state.has_blocks


def test_what_patients_signed_goes_on_and_is_undone_under_the_new_network(world: World) -> None:
    """LED-SUC-4, LED-SUC-6."""
    patient = world.enrol_patient("eve", custodian="hospital-b")
    consent = world.grant("other", patient)
    old = patient.author.write(WithdrawConsent, consent=consent)
    state = succeed(world, settle(world, draft(world), MEMBERS))
    body = msgspec.structs.replace(read_transaction(old).body, network=state.network)
    fresh = sign_jws(patient.author.key, typ="iamata-tx+jwt", payload=encode_struct(body))
    position = state.place(world.clock())

    outcome = state.run(position, [read_transaction(old), read_transaction(fresh)])

    assert outcome.results == (Reason.FOREIGN_NETWORK, ACCEPTED)
    assert CONSENTS.key(consent) in outcome.changes


def test_validators_take_over_from_one_signer(world: World) -> None:
    """LED-SUC-4."""
    genesis = settle(world, draft(world, **validate(world, MEMBERS)), MEMBERS)

    state = succeed(world, genesis)

    validators = VALIDATORS.find(state.entries, CURRENT)
    assert validators is not None
    assert validators.active == genesis.validators
    for one in genesis.validators:
        owner = KEYS.find(state.entries, one.key)
        assert owner is not None
        assert (owner.kind, owner.owner) == (OwnerKind.VALIDATOR, one.member)
    assert state.app_hash != world.memory.state.app_hash
    assert set(state.inherited) == {
        VALIDATORS.key(CURRENT),
        *(KEYS.key(one.key) for one in validators.active),
    }


def test_one_signer_takes_over_from_validators_whose_keys_retire() -> None:
    """LED-SUC-4."""
    world = World.found("validators", validators=MEMBERS)
    world.enrol_patient("ada", custodian="hospital-a")

    state = succeed(world, settle(world, draft(world), MEMBERS))

    validators = VALIDATORS.find(state.entries, CURRENT)
    assert validators is not None
    assert validators.active == ()
    for one in world.memory.state.genesis.validators:
        owner = KEYS.find(state.entries, one.key)
        assert owner is not None
        assert owner.is_retired


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"height": 0}, Reason.MALFORMED),
        ({"app_hash": encode_digest(bytes(32))}, Reason.FOREIGN_NETWORK),
    ],
)
def test_another_ledger_is_not_taken_over(world: World, changes: Any, reason: Reason) -> None:
    """LED-SUC-2."""
    genesis = settle(world, replace_predecessor(draft(world), **changes), MEMBERS)

    assert refusal(world, genesis) is reason


def test_a_genesis_that_is_not_later_is_not_taken_up(world: World) -> None:
    """LED-SUC-2."""
    time_ms = Instant(world.memory.state.time_ms)

    assert refusal(world, settle(world, draft(world, created_ms=time_ms), MEMBERS)) is Reason.MALFORMED


def test_a_genesis_founds_or_continues_and_not_half_of_each(world: World) -> None:
    """LED-SUC-1."""
    founding, drafted = world.memory.state.genesis, draft(world)
    agreed = settle(world, drafted, MEMBERS).agreements
    for wrong in (
        msgspec.structs.replace(drafted, founders=founding.founders),
        msgspec.structs.replace(drafted, parameters=founding.parameters),
        msgspec.structs.replace(drafted, continues=None),
        msgspec.structs.replace(founding, agreements=agreed),
        msgspec.structs.replace(founding, parameters=msgspec.UNSET),
    ):
        with pytest.raises(Refused) as refused:
            read_genesis(encode_struct(wrong))
        assert refused.value.reason is Reason.MALFORMED


def test_fewer_members_than_decide_a_vote_continue_nothing(world: World) -> None:
    """LED-SUC-3."""
    assert refusal(world, settle(world, draft(world), MEMBERS[:2])) is Reason.NOT_AGREED
    assert refusal(world, draft(world)) is Reason.NOT_AGREED


def test_a_member_counts_once_and_in_its_place(world: World) -> None:
    """LED-SUC-3."""
    for members in (("hospital-a", "hospital-a", "hospital-b"), MEMBERS[::-1]):
        assert refusal(world, settle(world, draft(world), members)) is Reason.NOT_CANONICAL


def test_an_agreement_is_to_one_genesis_alone(world: World) -> None:
    """LED-SUC-3."""
    agreed = settle(world, draft(world), MEMBERS).agreements
    other = draft(world, name="Another")

    assert refusal(world, msgspec.structs.replace(other, agreements=agreed)) is Reason.FOREIGN_NETWORK


def test_an_agreement_for_another_network_is_none(world: World) -> None:
    """LED-SUC-3."""
    drafted = draft(world)
    other = Continuation(network=NetworkId(encode_digest(bytes(32))), charter=compute_charter(drafted))
    key = world.node("hospital-a").author.key
    text = sign_jws(key, typ=Continuation.typ, payload=encode_struct(other)).decode("ascii")

    wrong = msgspec.structs.replace(drafted, agreements=(text,))

    assert refusal(world, wrong) is Reason.FOREIGN_NETWORK


def test_a_forged_agreement_is_none(world: World) -> None:
    """LED-SUC-3."""
    genesis = settle(world, draft(world), MEMBERS)
    head, _, signature = genesis.agreements[0].rpartition(".")
    forged = f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"

    wrong = msgspec.structs.replace(genesis, agreements=(forged, *genesis.agreements[1:]))

    assert refusal(world, wrong) is Reason.BAD_SIGNATURE


def test_only_the_nodes_of_members_agree(world: World) -> None:
    """LED-SUC-3."""
    drafted = draft(world)
    for key in (world.administrator("hospital-a").author.key, world.stranger("stranger").key):
        wrong = msgspec.structs.replace(drafted, agreements=(agree(drafted, key),))
        assert refusal(world, wrong) is Reason.NOT_A_MEMBER


@pytest.mark.parametrize(
    ("member", "reason"), [("nobody", Reason.UNKNOWN_MEMBER), ("hospital-a", Reason.KEY_ALREADY_USED)]
)
def test_who_orders_is_a_member_with_a_key_of_its_own(world: World, member: str, reason: Reason) -> None:
    """LED-SUC-4."""
    fields = validate(world, [member])
    if reason is Reason.KEY_ALREADY_USED:
        (one,) = fields["validators"]
        key = world.node("hospital-b").author.key.key_id
        fields["validators"] = (msgspec.structs.replace(one, key=key),)

    assert refusal(world, settle(world, draft(world, **fields), MEMBERS)) is reason


def test_a_member_that_left_neither_agrees_nor_orders(world: World) -> None:
    """LED-SUC-3, LED-SUC-4."""
    world.node("hospital-c").author.submit(LeaveNetwork)

    assert refusal(world, settle(world, draft(world), MEMBERS)) is Reason.MEMBER_NOT_ACTIVE
    ordering = draft(world, **validate(world, ["hospital-c"]))
    agreed = settle(world, ordering, ("hospital-a", "hospital-b"))
    assert refusal(world, agreed) is Reason.MEMBER_NOT_ACTIVE


def prove(world: World, genesis: Genesis) -> Ancestor:
    view, entries = world.engine.snapshot(), world.memory.state.entries
    proofs = tuple(view.prove_entry(key) for key in list_evidence(entries, genesis))
    return Ancestor(genesis=world.memory.state.genesis, proofs=proofs)


def test_whoever_trusts_the_predecessor_can_check_that_its_members_agreed(world: World) -> None:
    """LED-SUC-7."""
    genesis = settle(world, draft(world), MEMBERS)
    ancestor = prove(world, genesis)

    check_succession(ancestor, genesis)

    for index in range(len(ancestor.proofs)):
        fewer = (*ancestor.proofs[:index], *ancestor.proofs[index + 1 :])
        with pytest.raises(Refused) as refused:
            check_succession(msgspec.structs.replace(ancestor, proofs=fewer), genesis)
        assert refused.value.reason is Reason.FAULT_FOUND


def test_too_few_agreements_are_seen_by_whoever_trusts_the_predecessor(world: World) -> None:
    """LED-SUC-7."""
    genesis = settle(world, draft(world), MEMBERS[:2])

    with pytest.raises(Refused) as refused:
        check_succession(prove(world, genesis), genesis)

    assert refused.value.reason is Reason.NOT_AGREED


def test_a_proof_of_an_earlier_height_proves_nothing(world: World) -> None:
    """LED-SUC-7: who was a member then may have left since."""
    early = prove(world, settle(world, draft(world), MEMBERS))
    world.enrol_patient("eve", custodian="hospital-b")
    genesis = settle(world, draft(world), MEMBERS)

    with pytest.raises(Refused) as refused:
        check_succession(msgspec.structs.replace(early, genesis=world.memory.state.genesis), genesis)

    assert refused.value.reason is Reason.FAULT_FOUND


def test_a_foreign_predecessor_is_none(world: World) -> None:
    """LED-SUC-7."""
    genesis = settle(world, draft(world), MEMBERS)
    other = World.found("other").memory.state.genesis

    with pytest.raises(Refused) as refused:
        check_succession(msgspec.structs.replace(prove(world, genesis), genesis=other), genesis)
    assert refused.value.reason is Reason.FOREIGN_NETWORK
    for lineage in ([other, genesis], [genesis]):
        with pytest.raises(Refused) as refused:
            check_lineage(lineage)
        assert refused.value.reason is Reason.FOREIGN_NETWORK
    check_lineage([world.memory.state.genesis, genesis])


def test_patients_are_found_where_they_were(world: World) -> None:
    """LED-SUC-4."""
    patient = world.enrol_patient("eve", custodian="hospital-b")

    state = succeed(world, settle(world, draft(world), MEMBERS))

    found = PATIENTS.find(state.entries, patient.id)
    assert found is not None
    assert patient.author.key.key_id in found.keys
