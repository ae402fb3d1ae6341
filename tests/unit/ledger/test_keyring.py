"""A key is strong, proved, registered once, and retired for ever (LED-KEY)."""

import pytest

from iamata.ledger.entries import KEYS_MAX, OwnerKind
from iamata.ledger.keyring import check_removal, check_room
from iamata.ledger.tables import KEYS
from iamata.ledger.transactions.patients import TakeOver
from iamata.ledger.transactions.persons import RevokePerson
from iamata.model.ids import KeyId
from iamata.model.reasons import Refused
from iamata.testing.world import World


def test_a_ninth_key_has_no_room() -> None:
    keys = tuple(KeyId(str(number)) for number in range(KEYS_MAX))
    check_room(keys[:-1])

    with pytest.raises(Refused, match="TOO_MANY_KEYS"):
        check_room(keys)


def test_removing_returns_the_others_in_order() -> None:
    assert check_removal(KeyId("b"), (KeyId("a"), KeyId("b"), KeyId("c"))) == ("a", "c")


def test_revoking_a_person_retires_its_keys() -> None:
    """LED-PER-7."""
    world = World.found()
    clara = world.register_person("clara", member="hospital-a")
    world.node("hospital-a").author.submit(RevokePerson, person=clara.id)
    owner = KEYS.find(world.memory.state.entries, clara.author.key.key_id)

    assert owner is not None
    assert (owner.kind, owner.owner, owner.is_retired) == (OwnerKind.PERSON, clara.id, True)


def test_a_take_over_retires_the_custodians_key() -> None:
    """LED-PAT-7."""
    world = World.found()
    anna = world.enrol_patient("anna", custodian="hospital-a", is_custodial=True)
    own = world.stranger("anna").prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    world.node("hospital-a").author.submit(TakeOver, patient=anna.id, possession=own)
    old, new = (KEYS.find(world.memory.state.entries, key) for key in (anna.author.key.key_id, own.key))

    assert old is not None
    assert new is not None
    assert (old.is_retired, new.is_retired) == (True, False)
