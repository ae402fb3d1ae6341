"""What a light client believes, and checkpoints that validators vouch for."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.ledger.light.blocks import LightBlock, LightValidator, read_light_block
from iamata.ledger.light.encoding import write_bytes, write_fixed, write_number, write_varint
from iamata.ledger.light.verifying import (
    DRIFT_MS,
    TRUST_MS,
    Trust,
    check_clock,
    check_light_block,
    count_faulty,
    is_fresh,
    trust_genesis,
)
from iamata.ledger.receipts import (
    Checkpoint,
    Receipt,
    check_checkpoint,
    check_growth,
    check_receipt,
    check_state_proof,
)
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused
from iamata.testing.entropy import derive_key
from iamata.testing.lights import make_light, sign_light, spell_light, trust_light
from iamata.testing.world import FOUNDERS, World

WORLD = World.found("light", validators=sorted(FOUNDERS))
ANNA = WORLD.enrol_patient("anna", custodian="hospital-a")
WORLD.grant("c1", ANNA)
VIEW = WORLD.engine.snapshot()
GENESIS = WORLD.engine.genesis
ROOT = trust_genesis(GENESIS)
KEYS = {
    key.key_id: key for key in (derive_key("light", "validator", member) for member in sorted(FOUNDERS))
}
VOTERS = [KEYS[one.key] for one in ROOT.validators]
STRANGERS = [derive_key("light", "stranger", str(number)) for number in range(4)]
OTHERS = tuple(LightValidator(key=key.key_id, power=1) for key in STRANGERS)


def show(checkpoint: Checkpoint, light: LightBlock, *steps: LightBlock) -> Checkpoint:
    """Let validators vouch for what a view has shown, instead of one signer."""
    return msgspec.structs.replace(
        checkpoint, header=spell_light(light), steps=tuple(spell_light(one) for one in steps)
    )


def vouch(trust: Trust = ROOT) -> LightBlock:
    return make_light(trust, ROOT.validators, VOTERS, height=VIEW.height + 1, app_hash=VIEW.app_hash)


def test_receipts_and_proofs_hold_by_the_votes_of_validators() -> None:
    """LED-LIGHT-9."""
    receipt, state = VIEW.prove_leaf(0), VIEW.prove_entry(b"patient/nobody")

    check_receipt(msgspec.structs.replace(receipt, checkpoint=show(receipt.checkpoint, vouch())), GENESIS)
    shown = msgspec.structs.replace(state, checkpoint=show(state.checkpoint, vouch()))
    assert check_state_proof(shown, GENESIS) is None
    standing = check_checkpoint(shown.checkpoint, GENESIS)
    assert (standing.height, standing.app_hash) == (VIEW.height, VIEW.app_hash)


def test_growth_holds_by_the_votes_of_validators() -> None:
    growth = VIEW.prove_growth(VIEW.log_size)
    checkpoint = show(growth.checkpoint, vouch())

    check_growth(msgspec.structs.replace(growth, checkpoint=checkpoint), checkpoint, GENESIS)


def test_a_header_signed_by_one_is_none_where_validators_order() -> None:
    with pytest.raises(Refused) as refused:
        check_receipt(VIEW.prove_leaf(0), GENESIS)
    assert refused.value.reason is Reason.MALFORMED


def test_votes_are_none_where_one_signer_orders() -> None:
    alone = World.found("alone")
    alone.enrol_patient("anna", custodian="hospital-a")
    receipt = alone.engine.snapshot().prove_leaf(0)
    checkpoint = show(receipt.checkpoint, vouch())

    with pytest.raises(Refused):
        check_receipt(msgspec.structs.replace(receipt, checkpoint=checkpoint), alone.engine.genesis)


def test_votes_for_another_app_hash_prove_nothing() -> None:
    receipt = VIEW.prove_leaf(0)
    light = make_light(ROOT, ROOT.validators, VOTERS, height=5)
    forged = msgspec.structs.replace(receipt, checkpoint=show(receipt.checkpoint, light))

    with pytest.raises(Refused, match="the app hash of a checkpoint"):
        check_receipt(forged, GENESIS)


def test_steps_lead_to_validators_whom_the_genesis_does_not_know() -> None:
    """LED-LIGHT-6."""
    receipt = VIEW.prove_leaf(0)
    step = make_light(ROOT, ROOT.validators, VOTERS, next_validators=OTHERS)
    last = make_light(trust_light(step), OTHERS, STRANGERS, height=2, app_hash=VIEW.app_hash)

    def check(*steps: LightBlock) -> None:
        shown = show(receipt.checkpoint, last, *steps)
        check_receipt(msgspec.structs.replace(receipt, checkpoint=shown), GENESIS)

    check(step)
    with pytest.raises(Refused, match="too few"):
        check()


def test_a_later_trusted_block_vouches_instead_of_the_genesis() -> None:
    """LED-LIGHT-8."""
    step = make_light(ROOT, ROOT.validators, VOTERS, next_validators=OTHERS)
    trust = check_light_block(step, ROOT)
    last = make_light(trust, OTHERS, STRANGERS, app_hash=VIEW.app_hash)
    checkpoint = show(VIEW.prove_leaf(0).checkpoint, last)

    assert check_checkpoint(checkpoint, GENESIS, trust).height == 1
    with pytest.raises(Refused):
        check_checkpoint(checkpoint, GENESIS)


def test_the_next_block_has_the_validators_that_were_announced() -> None:
    """LED-LIGHT-5."""
    with pytest.raises(Refused, match="other validators than the one before announced"):
        check_light_block(make_light(ROOT, OTHERS, STRANGERS), ROOT)


def test_the_next_block_follows_the_one_that_is_trusted() -> None:
    """LED-LIGHT-5."""
    first = check_light_block(make_light(ROOT, ROOT.validators, VOTERS), ROOT)
    fork = check_light_block(make_light(ROOT, ROOT.validators, VOTERS, app_hash=VIEW.app_hash), ROOT)
    second = make_light(fork, ROOT.validators, VOTERS)

    assert check_light_block(second, fork).height == 2
    with pytest.raises(Refused, match="does not follow"):
        check_light_block(second, first)


def test_the_same_height_is_the_same_block() -> None:
    """LED-LIGHT-7."""
    first = make_light(ROOT, ROOT.validators, VOTERS)
    fork = make_light(ROOT, ROOT.validators, VOTERS, app_hash=VIEW.app_hash)

    assert check_light_block(first, trust_light(first)) == trust_light(first)
    with pytest.raises(Refused, match="not the one that is trusted"):
        check_light_block(fork, trust_light(first))


def test_nothing_follows_into_the_past() -> None:
    """LED-LIGHT-7."""
    later = trust_light(make_light(ROOT, ROOT.validators, VOTERS, height=9))

    with pytest.raises(Refused, match="lies before"):
        check_light_block(make_light(ROOT, ROOT.validators, VOTERS, height=8), later)
    slow = msgspec.structs.replace(
        (light := make_light(ROOT, ROOT.validators, VOTERS, height=10)),
        header=msgspec.structs.replace(light.header, time=later.time),
    )
    with pytest.raises(Refused, match="not later"):
        check_light_block(sign_light(slow, VOTERS), later)


def test_another_network_is_refused() -> None:
    """LED-LIGHT-2."""
    other = trust_genesis(World.found("elsewhere", validators=sorted(FOUNDERS)).engine.genesis)

    with pytest.raises(Refused) as refused:
        check_light_block(make_light(other, ROOT.validators, VOTERS), ROOT)
    assert refused.value.reason is Reason.FOREIGN_NETWORK


def test_votes_for_no_block_count_for_none() -> None:
    """LED-LIGHT-4."""
    one_nil = make_light(ROOT, ROOT.validators, VOTERS, nil=[0])
    two_nil = make_light(ROOT, ROOT.validators, VOTERS, nil=[0, 1])

    assert check_light_block(one_nil, ROOT).height == 1
    with pytest.raises(Refused, match="no more than two thirds"):
        check_light_block(two_nil, ROOT)


def test_a_validator_named_twice_counts_once_among_the_trusted() -> None:
    doubled = (ROOT.validators[0],) * 4
    light = make_light(ROOT, doubled, [VOTERS[0]] * 4, height=7)

    with pytest.raises(Refused, match="too few"):
        check_light_block(light, ROOT)


def test_trust_ends() -> None:
    begun_ms = ROOT.time.ms

    assert is_fresh(begun_ms, now_ms=begun_ms + TRUST_MS - 1)
    assert not is_fresh(begun_ms, now_ms=begun_ms + TRUST_MS)


def test_a_header_from_the_future_is_refused() -> None:
    light = make_light(ROOT, ROOT.validators, VOTERS)

    check_clock(light, now_ms=light.header.time.ms)
    check_clock(light, now_ms=light.header.time.ms - DRIFT_MS)
    with pytest.raises(Refused, match="from the future"):
        check_clock(light, now_ms=light.header.time.ms - DRIFT_MS - 1)


@given(powers=st.lists(st.integers(1, 1_000), min_size=1, max_size=20), choice=st.randoms())
def test_so_many_may_fail_whoever_they_are(powers: list[int], choice: random.Random) -> None:
    validators = [LightValidator(key=ROOT.validators[0].key, power=power) for power in powers]
    failing = choice.sample(powers, count_faulty(validators))

    assert 3 * sum(failing) < sum(powers)


@given(value=st.integers(0, 2**63 - 1))
def test_a_varint_is_read_back(value: int) -> None:
    raw = write_varint(value)

    assert sum((byte & 0x7F) << 7 * at for at, byte in enumerate(raw)) == value
    assert all(byte & 0x80 for byte in raw[:-1])
    assert not raw[-1] & 0x80


def test_what_is_zero_is_not_written() -> None:
    assert write_number(1, 0) == write_fixed(2, 0) == write_bytes(3, b"") == b""
    assert write_number(1, -1) == b"\x08" + b"\xff" * 9 + b"\x01"


def test_a_light_block_in_another_spelling_is_refused() -> None:
    """LED-LIGHT-1."""
    raw = encode_struct(make_light(ROOT, ROOT.validators, VOTERS))

    assert read_light_block(raw).header.height == 1
    for changed in (raw + b" ", raw.replace(b'"round":0', b'"round": 0'), b"{}", b"\xff", b"[" * 9_000):
        with pytest.raises(Refused):
            read_light_block(changed)


def test_receipts_of_one_signer_are_spelled_as_before() -> None:
    alone = World.found("alone")
    alone.enrol_patient("anna", custodian="hospital-a")
    receipt = alone.engine.snapshot().prove_leaf(0)

    assert b"steps" not in encode_struct(receipt)
    assert msgspec.json.decode(encode_struct(receipt), type=Receipt) == receipt
