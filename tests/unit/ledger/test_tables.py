"""What a refused transaction wrote is forgotten; what an accepted one wrote is read at once (LED-MAP)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.authmap import AuthMap
from iamata.ledger.bases import ConsentBasis
from iamata.ledger.entries import Entry, KeyOwner, OwnerKind, Patient
from iamata.ledger.tables import SPECS, Scratch, Tables
from iamata.ledger.transactions.access import Disclose
from iamata.model.canonical import encode_canonical
from iamata.model.ids import KeyId, MemberId
from iamata.model.reasons import Refused
from iamata.testing.world import World

OWNER = KeyOwner(kind=OwnerKind.PATIENT, owner="somebody")
OTHER = KeyOwner(kind=OwnerKind.PERSON, owner="somebody else")


def test_no_two_tables_share_a_prefix() -> None:
    prefixes = [spec.prefix for spec in SPECS]

    assert not any(one != two and one.startswith(two) for one in prefixes for two in prefixes)
    assert len(dict.fromkeys(prefixes)) == len(prefixes)


def test_a_missing_entry_is_a_refusal_of_its_table() -> None:
    with pytest.raises(Refused, match="UNKNOWN_CONSENT"):
        Tables(Scratch(AuthMap())).consents["nothing"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([OWNER, OTHER]), st.booleans())))
def test_a_scratch_keeps_what_was_kept_and_drops_what_was_dropped(
    steps: list[tuple[str, KeyOwner, bool]],
) -> None:
    scratch = Scratch(AuthMap())
    tables, model = Tables(scratch), dict[str, Entry]()
    for name, entry, is_kept in steps:
        tables.keys[name] = entry
        assert tables.keys[name] == entry
        if is_kept:
            scratch.keep()
            model[name] = entry
        else:
            scratch.drop()

    for name in "abc":
        assert tables.keys.find(name) == model.get(name)
    assert set(scratch.compute_changes()) == {f"key/{name}".encode() for name in model}


def test_an_entry_is_canonical_json_without_its_defaults() -> None:
    """LED-MAP-1."""
    scratch = Scratch(AuthMap())
    Tables(scratch).patients["p"] = Patient(custodian=MemberId("hospital-a"), keys=(KeyId("k"),))
    scratch.keep()

    assert scratch.compute_changes() == {
        b"patient/p": encode_canonical({"custodian": "hospital-a", "keys": ["k"]})
    }


def test_a_disclosure_names_no_recipient_purpose_or_record() -> None:
    """LED-ACC-5."""
    world = World.found()
    anna = world.enrol_patient("anna", custodian="hospital-a")
    consent = world.grant("c1", anna)
    access, commitment = world.derive_id("access"), world.derive_commitment("disclosure")
    world.node("hospital-a").author.submit(
        Disclose, access=access, patient=anna.id, basis=ConsentBasis(consent), commitment=commitment
    )

    assert world.engine.snapshot().get(f"access/{access}".encode()) == encode_canonical(
        {
            "basis": f"consent/{consent}",
            "commitment": commitment,
            "custodian": "hospital-a",
            "patient": anna.id,
        }
    )
