"""What goes in comes out, once, and whole or not at all."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.consent.requests import RecordFacts
from iamata.model.ids import PatientId
from iamata.model.reasons import Reason, Refused
from iamata.stores.memory.home import make_member_stores
from iamata.testing.entropy import SeededEntropy
from iamata.testing.vault_samples import (
    ANNA,
    BORIS,
    MEMBER,
    SECRET_WORDS,
    make_custody,
    make_record,
    open_all,
    permit_all,
)
from iamata.vault.custody import Custody
from iamata.vault.opening import find_refs, list_facts, list_versions, open_records
from iamata.vault.record import BODY_BYTES_MAX, Identifier, PreparedRecord
from iamata.vault.sealing import RECORDS_PER_BATCH_MAX, seal
from iamata.vault.shredding import shred
from iamata.vault.verification import verify_records
from iamata.workers.mapping import InlineWorkers


def test_a_sealed_record_opens_to_the_same_bytes(custody: Custody) -> None:
    record = make_record("1")
    seal(custody, [[record]])

    listed = list_facts(custody, ANNA)
    opened = list(open_records(custody, permit_all(listed), listed))

    assert [one.body for one in opened] == [record.body]
    assert opened[0].header.facts == record.facts


def test_the_same_content_again_adds_nothing(custody: Custody) -> None:
    seal(custody, [[make_record("1"), make_record("2")]])

    batch = seal(custody, [[make_record("1"), make_record("2")]])

    assert (batch.rows, batch.added, batch.unchanged) == ((), 0, 2)


def test_changed_content_is_a_new_version_and_the_old_one_stays(custody: Custody) -> None:
    seal(custody, [[make_record("1", text=b"first")]])
    seal(custody, [[make_record("1", text=b"second")]])

    assert [one.version for one in list_facts(custody, ANNA)] == [2]
    assert [one.version for one in list_versions(custody, ANNA)] == [1, 2]


def test_what_a_record_once_said_adds_nothing_however_often_it_is_read(custody: Custody) -> None:
    for text in (b"first", b"second", b"first", b"second"):
        seal(custody, [[make_record("1", text=text)]])

    assert [one.version for one in list_versions(custody, ANNA)] == [1, 2]


def test_a_record_does_not_change_its_patient_until_it_is_erased(custody: Custody) -> None:
    seal(custody, [[make_record("1", text=b"first")]])
    moved = make_record("1", patient=BORIS, text=b"second")

    for units in ([[moved]], [[make_record("2")], [make_record("2", patient=BORIS, text=b"of Boris")]]):
        with pytest.raises(Refused, match="PATIENT_UNCLEAR"):
            seal(custody, units)
    shred(custody, ANNA)
    seal(custody, [[moved]])

    assert list_facts(custody, ANNA) == []
    assert [one.version for one in list_facts(custody, BORIS)] == [1]


def test_two_versions_in_one_batch_are_kept_in_order(custody: Custody) -> None:
    batch = seal(custody, [[make_record("1", text=b"first"), make_record("1", text=b"second")]])

    assert [row.version for row in batch.rows] == [1, 2]


def test_an_identifier_finds_the_record_whose_newest_version_carries_it(custody: Custody) -> None:
    record = make_record("1")
    seal(custody, [[record]])
    seal(custody, [[msgspec.structs.replace(record, body=b"{}", identifiers=())]])
    seal(custody, [[make_record("2")]])

    assert find_refs(custody, Identifier("Observation", "urn:lab", "2")) == ["Observation/2"]
    assert find_refs(custody, Identifier("Observation", "urn:lab", "1")) == []
    assert find_refs(custody, Identifier("Patient", "urn:lab", "2")) == []


def test_nothing_in_the_stores_names_a_record_or_what_it_says(custody: Custody) -> None:
    record = make_record("very-telling-name", labels=("N", "PSY"))
    seal(custody, [[record]])

    row, body = next(custody.records.store.read_all())

    stored = b"|".join((row.facts, body, row.lookup, row.fingerprint, row.commitment))
    for word in (SECRET_WORDS, b"Observation", b"very-telling-name", b"PSY", b"urn:lab"):
        assert word not in stored


def test_equal_bodies_of_two_records_are_not_seen_to_be_equal(custody: Custody) -> None:
    first, second = make_record("1"), make_record("2", patient=BORIS)
    seal(custody, [[first, msgspec.structs.replace(second, body=first.body)]])

    rows = [row for row, _ in custody.records.store.read_all()]

    assert rows[0].fingerprint != rows[1].fingerprint
    assert rows[0].commitment != rows[1].commitment


def test_another_key_holder_opens_nothing(custody: Custody) -> None:
    seal(custody, [[make_record("1")]])
    stores = make_member_stores()
    stores.keys.add(dict(custody.keys.store.read_all()), head=b"")
    stranger = make_custody(stores, SeededEntropy("x"), kek=bytes(32))

    with pytest.raises(Refused, match="CANNOT_OPEN"):
        stranger.get_data_key(ANNA)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (make_record("1 2"), Reason.RESOURCE_INVALID),
        (make_record("1/2"), Reason.RESOURCE_INVALID),
        (msgspec.structs.replace(make_record("1"), body=bytes(BODY_BYTES_MAX + 1)), Reason.INPUT_TOO_LARGE),
    ],
)
def test_what_the_vault_cannot_keep_is_refused_with_its_whole_batch(
    custody: Custody, record: PreparedRecord, reason: Reason
) -> None:
    with pytest.raises(Refused) as refusal:
        seal(custody, [[make_record("good")], [record]])

    assert refusal.value.reason is reason
    assert list(verify_records(custody, InlineWorkers())) == []


def test_too_many_records_in_a_batch_are_refused(custody: Custody) -> None:
    with pytest.raises(Refused, match="INPUT_TOO_LARGE"):
        seal(custody, [[make_record("1")] * (RECORDS_PER_BATCH_MAX + 1)])


def test_no_key_shows_in_the_text_of_a_custody(custody: Custody) -> None:
    key = custody.index_key

    assert MEMBER in repr(custody)
    assert repr(key) not in repr(custody) + repr(custody.records)


@settings(max_examples=50, deadline=None)
@given(
    bodies=st.lists(st.binary(max_size=4_000), max_size=8),
    labels=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    codes=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=3).map(tuple),
)
def test_any_bytes_and_any_facts_survive(
    bodies: list[bytes], labels: tuple[str, ...], codes: tuple[tuple[str, str], ...]
) -> None:
    custody = make_custody(make_member_stores(), SeededEntropy("property"))
    records = [
        PreparedRecord(
            patients=(ANNA,),
            facts=RecordFacts(record=f"Basic/{number}", resource_type="Basic", labels=labels, codes=codes),
            body=body,
        )
        for number, body in enumerate(bodies)
    ]
    seal(custody, [records])

    opened = open_all(custody)

    assert [(one.header.facts, one.body) for one in opened] == [(one.facts, one.body) for one in records]


def test_a_record_of_two_patients_is_sealed_under_the_key_of_each(custody: Custody) -> None:
    record = make_record("1", others=(BORIS,))

    batch = seal(custody, [[record]])

    assert ([row.patient for row in batch.rows], batch.added) == ([ANNA, BORIS], 1)
    assert len({row.commitment for row in batch.rows}) == 2
    for patient, other in ((ANNA, BORIS), (BORIS, ANNA)):
        (listed,) = list_facts(custody, patient)
        assert (listed.facts, listed.patient, listed.others) == (record.facts, patient, (other,))
    assert [one.body for one in open_all(custody)] == [record.body] * 2
    assert find_refs(custody, record.identifiers[0]) == ["Observation/1"]


def test_copies_are_counted_once_and_share_their_versions(custody: Custody) -> None:
    first, second = (make_record("1", others=(BORIS,), text=text) for text in (b"first", b"second"))
    swapped = msgspec.structs.replace(second, patients=(BORIS, ANNA))

    batches = [seal(custody, [unit]) for unit in ([first], [first, second], [swapped])]

    assert [(batch.added, batch.unchanged) for batch in batches] == [(1, 0), (1, 1), (0, 1)]
    for patient in (ANNA, BORIS):
        assert [one.version for one in list_versions(custody, patient)] == [1, 2]


@pytest.mark.parametrize("owners", [(ANNA,), (BORIS,)])
def test_a_record_neither_gains_nor_loses_a_patient_until_one_is_erased(
    custody: Custody, owners: tuple[PatientId, ...]
) -> None:
    (alone,) = owners
    seal(custody, [[make_record("1", others=(BORIS,), text=b"of both")]])
    seal(custody, [[make_record("2", text=b"of Anna")]])

    for record in (make_record("1", patient=alone), make_record("2", others=(BORIS,))):
        with pytest.raises(Refused, match="PATIENT_UNCLEAR"):
            seal(custody, [[record]])
    shred(custody, BORIS if alone == ANNA else ANNA)

    assert seal(custody, [[make_record("1", patient=alone, text=b"alone")]]).added == 1
    assert [one.version for one in list_versions(custody, alone) if one.facts.record[-1] == "1"] == [1, 2]


def test_a_permit_of_one_patient_does_not_open_a_record_that_is_anothers_too(custody: Custody) -> None:
    seal(custody, [[make_record("1", others=(BORIS,))]])
    listed = list_facts(custody, ANNA)
    permit = permit_all(listed)

    for claimed in (listed, [msgspec.structs.replace(listed[0], others=())]):
        with pytest.raises(Refused, match="PERMIT_DOES_NOT_COVER"):
            list(open_records(custody, permit, claimed))
