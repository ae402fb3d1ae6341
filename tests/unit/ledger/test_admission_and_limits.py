"""What does not even reach a block (LED-ENV-15), and how many consents a patient may have (LED-CON-21)."""

import dataclasses

import pytest

from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.ledger.entries import CONSENTS_MAX
from iamata.ledger.envelope import read_transaction
from iamata.ledger.transactions.consents import GrantConsent, WithdrawConsent
from iamata.ledger.transactions.members import LeaveNetwork, RotateSealingKey
from iamata.ledger.transactions.records import EraseRecords
from iamata.model.reasons import Refused
from iamata.testing.engine import MemoryEngine
from iamata.testing.world import World


def test_who_has_left_cannot_fill_the_log_with_refusals() -> None:
    """LED-ENV-15."""
    world = World.found()
    left = world.node("hospital-c").author
    left.submit(LeaveNetwork)
    size = world.engine.snapshot().log_size

    for number in range(5):
        with pytest.raises(Refused, match="MEMBER_NOT_ACTIVE"):
            left.submit(RotateSealingKey, sealing_key=world.derive_sealing_key(str(number)))

    assert world.engine.snapshot().log_size == size


def test_an_erased_patients_key_cannot_fill_the_log() -> None:
    """LED-ENV-15."""
    world = World.found()
    anna = world.enrol_patient("anna", custodian="hospital-a")
    consent = world.grant("c1", anna)
    world.node("hospital-a").author.submit(
        EraseRecords, patient=anna.id, statement=world.derive_commitment("erased"), count=0
    )
    size = world.engine.snapshot().log_size

    with pytest.raises(Refused, match="PATIENT_ERASED"):
        anna.author.submit(WithdrawConsent, consent=consent)

    assert world.engine.snapshot().log_size == size


def test_a_patient_has_so_many_consents_on_file_and_no_more_until_one_ends() -> None:
    """LED-CON-21."""
    world = World.found()
    anna = world.enrol_patient("anna", custodian="hospital-a")
    first = world.grant("c0", anna)
    for number in range(1, CONSENTS_MAX):
        world.grant(f"c{number}", anna)
    one_more = world.state_grant("one more", anna)

    with pytest.raises(Refused, match="TOO_LARGE"):
        world.node("hospital-a").author.submit(GrantConsent, grant=one_more)
    anna.author.submit(WithdrawConsent, consent=first)
    world.node("hospital-a").author.submit(GrantConsent, grant=one_more)


def test_consents_that_have_expired_make_room() -> None:
    """LED-CON-21."""
    world = World.found()
    anna = world.enrol_patient("anna", custodian="hospital-a")
    for number in range(CONSENTS_MAX):
        world.grant(f"short {number}", anna, days=0)
    world.clock.advance(24 * 60 * 60 * 1000)

    assert world.grant("later", anna)


def test_strangers_who_ask_and_ask_are_not_remembered() -> None:
    world = World.found()
    engine = world.engine
    assert isinstance(engine, MemoryEngine)
    admission = engine.state.make_admission()
    known = world.node("hospital-a").author
    for number in range(3):
        stranger = dataclasses.replace(known, key=SigningKey.from_seed(bytes([number]) * SEED_BYTES))
        raw = stranger.write(LeaveNetwork)
        with pytest.raises(Refused, match="UNKNOWN_SIGNER"):
            admission.check(engine.state.place(world.clock()), read_transaction(raw))
    admission.check(engine.state.place(world.clock()), read_transaction(known.write(LeaveNetwork)))

    assert list(admission._signers) == [known.key.key_id]  # noqa: SLF001  what it costs is what it keeps
