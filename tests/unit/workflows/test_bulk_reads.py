"""Reading many: decided for each patient, journalled before anything is opened, and never too much."""

import json
from typing import Any

import pytest

from iamata.consent.terms import Ruling
from iamata.model.ids import PersonId
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.vault.bulk_opening import open_rows
from iamata.vault.journal import JournalKind, read_entries
from iamata.vault.record import decode_header
from iamata.workflows.bulk_reads import BulkReading, read_many
from iamata.workflows.messages import ReadDetails, read_details

REFS = ["Observation/plain", "Observation/private", "Observation/mind", "Observation/alcohol"]


@pytest.fixture
def ada(scene: Scene) -> Party:
    """Introduce a clinician of the custodian's own."""
    return scene.world.register_person("ada", member="hospital-a")


def read(scene: Scene, person: Party, **changes: Any) -> list[str]:
    asked = {"person": PersonId(person.id), "purpose": "TREAT", "resource_type": "Observation"}
    found: list[str] = []
    for rows in read_many(scene.a, BulkReading(**(asked | changes))):
        refs = [decode_header(one.header).facts.record for one in rows.rows]
        bodies = [json.loads(body) for body in open_rows(rows)]
        assert refs == [f"{body['resourceType']}/{body['id']}" for body in bodies]
        found += refs
    return found


def list_reads(scene: Scene) -> list[ReadDetails]:
    entries = read_entries(scene.a.custody, scene.anna.id)
    return [
        read_details(one.payload, ReadDetails) for one in entries if one.header.kind is JournalKind.READ
    ]


def test_all_that_is_permitted_is_opened_and_just_that_is_journalled(scene: Scene, ada: Party) -> None:
    opened = read(scene, ada)

    assert sorted(opened) == sorted(REFS)
    (entry,) = list_reads(scene)
    assert (entry.person, entry.purpose, list(entry.records)) == (ada.id, "TREAT", opened)
    assert scene.stores.records.bodies_read == len(REFS)


def test_what_a_patient_denies_is_left_out_without_a_word(scene: Scene, ada: Party) -> None:
    scene.grant(decision=Ruling.DENY, recipients=(), purposes=(), labels=("PSY",))

    left = [ref for ref in REFS if ref != "Observation/mind"]
    assert sorted(read(scene, ada)) == sorted(left)
    (entry,) = list_reads(scene)
    assert sorted(entry.records) == sorted(left)
    assert scene.stores.records.bodies_read == len(left)


def test_a_journal_that_refuses_keeps_every_record_closed(scene: Scene, ada: Party) -> None:
    scene.stores.journal.is_full = True

    with pytest.raises(Refused) as refused:
        read(scene, ada)

    assert refused.value.reason is Reason.STORAGE_FULL
    assert scene.stores.records.bodies_read == 0


def test_other_types_and_purposes_give_nothing_and_are_not_journalled(scene: Scene, ada: Party) -> None:
    assert read(scene, ada, resource_type="Condition") == []
    assert read(scene, ada, purpose="HRESCH") == []
    assert read(scene, ada, purpose="BTG") == []

    assert list_reads(scene) == []
    assert scene.stores.records.bodies_read == 0


def test_who_is_not_of_the_staff_is_refused(scene: Scene) -> None:
    stranger = scene.world.register_person("eve", member="hospital-b")

    for person in (stranger, scene.anna):
        with pytest.raises(Refused) as refused:
            read(scene, person)
        assert refused.value.reason is Reason.NOT_FOUND
    assert scene.stores.records.bodies_read == 0


def test_a_record_of_two_patients_is_shown_once_and_told_to_both(scene: Scene, ada: Party) -> None:
    ben = scene.world.enrol_patient("ben", custodian="hospital-a")
    shared = offices.write_record(scene.anna.id, "shared", ("N",), ben.id)
    offices.keep(scene.a, shared)

    assert sorted(read(scene, ada)) == sorted([*REFS, "Observation/shared"])
    for patient in (scene.anna.id, ben.id):
        entries = read_entries(scene.a.custody, patient)
        told = [
            ref
            for one in entries
            if one.header.kind is JournalKind.READ
            for ref in read_details(one.payload, ReadDetails).records
        ]
        assert told.count("Observation/shared") == 1
