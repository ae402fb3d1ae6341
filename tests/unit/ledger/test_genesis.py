"""A genesis is canonical, its keys strong, its names unique, its parameters in range (LED-GEN)."""

import hashlib
from typing import Any

import msgspec
import pytest

from iamata.ledger.entries import ImplicitPolicy, MemberStatus, Role, Validator
from iamata.ledger.genesis import (
    GENESIS_BYTES_MAX,
    Genesis,
    Predecessor,
    check_genesis,
    compute_first_entries,
    compute_network_id,
    read_genesis,
)
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.state import LedgerState
from iamata.ledger.tables import KEYS, MEMBERS, PERSONS, ROLLS
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, KeyId, MemberId, NetworkId, encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.testing.entropy import derive_key
from iamata.testing.world import World

GENESIS = World.found("genesis").engine.genesis
RAW = encode_struct(GENESIS)
WEAK = KeyId(encode_digest(bytes([1, *bytes(31)])))


def refusal(raw: bytes) -> Reason:
    with pytest.raises(Refused) as refused:
        read_genesis(raw)
    return refused.value.reason


def change(**changes: Any) -> bytes:
    return encode_struct(msgspec.structs.replace(GENESIS, **changes))


def change_second(**changes: Any) -> bytes:
    first, second, *others = GENESIS.founders
    return change(founders=(first, msgspec.structs.replace(second, **changes), *others))


def validate(member: str, *, power: int = 1) -> Validator:
    return Validator(member=MemberId(member), key=derive_key(member, str(power)).key_id, power=power)


def change_order(*members: str, power: int = 1) -> bytes:
    """Let validators order instead of one signer."""
    validators = tuple(validate(member, power=power) for member in members)
    return change(orderer=msgspec.UNSET, validators=validators)


def change_parameters(**changes: Any) -> bytes:
    return change(parameters=msgspec.structs.replace(DEFAULT_PARAMETERS, **changes))


def test_a_genesis_reads_back_and_its_digest_names_the_network() -> None:
    """LED-GEN-1."""
    assert read_genesis(RAW) == GENESIS
    assert compute_network_id(GENESIS) == encode_digest(hashlib.sha256(RAW).digest())


def test_a_predecessor_is_part_of_the_networks_name() -> None:
    predecessor = Predecessor(
        network=NetworkId(compute_network_id(GENESIS)),
        height=7,
        app_hash=Digest(compute_network_id(GENESIS)),
    )
    successor = msgspec.structs.replace(
        GENESIS, continues=predecessor, founders=(), parameters=msgspec.UNSET
    )

    assert read_genesis(encode_struct(successor)) == successor
    assert compute_network_id(successor) != compute_network_id(GENESIS)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"\xff", Reason.MALFORMED),
        (b'{"name":"\xff"}', Reason.MALFORMED),
        (b"[" * 100_000, Reason.MALFORMED),
        (b" " + RAW, Reason.NOT_CANONICAL),
        (RAW + b"\n", Reason.NOT_CANONICAL),
        (RAW[:-1] + b',"zzz":1}', Reason.MALFORMED),
        (b'{"continues":null,' + RAW[1:], Reason.NOT_CANONICAL),
        (b" " * (GENESIS_BYTES_MAX + 1), Reason.TOO_LARGE),
        (change(rules=99), Reason.UNKNOWN_TYPE),
        (change(founders=()), Reason.MALFORMED),
        (change(orderer=WEAK), Reason.WEAK_KEY),
        (change_second(signing_key=WEAK), Reason.WEAK_KEY),
        (change_second(signing_key=GENESIS.founders[0].signing_key), Reason.KEY_ALREADY_USED),
        (change_second(administrators=GENESIS.founders[0].administrators), Reason.KEY_ALREADY_USED),
        (change_second(member=GENESIS.founders[0].member), Reason.MEMBER_ALREADY_EXISTS),
        (change_second(administrators=()), Reason.MALFORMED),
        (change(orderer=msgspec.UNSET), Reason.MALFORMED),
        (change(validators=(validate("hospital-a"),)), Reason.MALFORMED),
        (change_order("hospital-b", "hospital-a"), Reason.NOT_CANONICAL),
        (change_order("hospital-a", "hospital-a"), Reason.NOT_CANONICAL),
        (change_order("nobody"), Reason.UNKNOWN_MEMBER),
        (change_order("hospital-a", power=0), Reason.PARAMETER_OUT_OF_RANGE),
        (change_order("hospital-a", power=1001), Reason.PARAMETER_OUT_OF_RANGE),
    ],
)
def test_a_genesis_that_breaks_a_rule_is_refused(raw: bytes, reason: Reason) -> None:
    """LED-GEN-1, LED-GEN-2, LED-GEN-4, LED-GEN-5, LED-GEN-7."""
    assert refusal(raw) is reason


def test_one_person_cannot_administer_two_founders() -> None:
    """LED-GEN-5: the second entry would overwrite the first, and leave its key without a person."""
    (theirs,) = GENESIS.founders[1].administrators
    double = msgspec.structs.replace(theirs, person=GENESIS.founders[0].administrators[0].person)

    assert refusal(change_second(administrators=(double,))) is Reason.PERSON_ALREADY_EXISTS


def test_the_orderer_may_be_a_member() -> None:
    """LED-GEN-4."""
    check_genesis(msgspec.structs.replace(GENESIS, orderer=GENESIS.founders[0].signing_key))


@pytest.mark.parametrize(
    "changes",
    [
        {"quorum_numerator": 1, "quorum_denominator": 3},
        {"quorum_numerator": 2, "quorum_denominator": 2},
        {"quorum_numerator": 0},
        {"quorum_denominator": 101, "quorum_numerator": 60},
        {"emergency_ms_max": 59_999},
        {"emergency_ms_max": 86_400_001},
        {"emergencies_open_max": 0},
        {"emergencies_open_max": 4},
        {"review_ms_max": 3_599_999},
        {"confirm_days": 367},
        {"proposal_days_max": 0},
        {"invitation_days_max": 0},
    ],
)
def test_a_parameter_out_of_its_range_is_refused(changes: dict[str, int]) -> None:
    """LED-GEN-3."""
    assert refusal(change_parameters(**changes)) is Reason.PARAMETER_OUT_OF_RANGE


@pytest.mark.parametrize("policy", list(ImplicitPolicy))
def test_every_policy_can_be_agreed_on(policy: ImplicitPolicy) -> None:
    parameters = read_genesis(change_parameters(policy=policy)).parameters

    assert parameters == msgspec.structs.replace(DEFAULT_PARAMETERS, policy=policy)


def test_the_first_map_holds_founders_administrators_keys_and_the_roll() -> None:
    """LED-GEN-6."""
    state = LedgerState(GENESIS).entries
    roll = ROLLS.find(state, "current")

    assert len(compute_first_entries(GENESIS)) == 2 + 4 * len(GENESIS.founders)
    assert roll is not None
    assert roll.active == tuple(sorted(founder.member for founder in GENESIS.founders))
    for founder in GENESIS.founders:
        member, (administrator,) = MEMBERS.find(state, founder.member), founder.administrators
        person, owner = PERSONS.find(state, administrator.person), KEYS.find(state, administrator.key)
        assert member is not None
        assert person is not None
        assert owner is not None
        assert member.status is MemberStatus.ACTIVE
        assert (person.member, person.roles) == (founder.member, (Role.ADMINISTRATOR,))
        assert owner.owner == administrator.person


def test_two_networks_of_the_same_founders_differ_by_their_instant() -> None:
    later: Genesis = msgspec.structs.replace(GENESIS, created_ms=GENESIS.created_ms + 1)

    assert compute_network_id(later) != compute_network_id(GENESIS)
