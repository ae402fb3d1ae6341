"""A custodian's own staff: decided like any request, journalled durably, and only then opened."""

from typing import Any

import pytest

from iamata.consent.terms import Ruling
from iamata.ledger.entries import Role
from iamata.model.ids import PersonId
from iamata.model.instants import MS_PER_HOUR, MS_PER_MINUTE
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.vault.journal import JournalKind, read_entries
from iamata.vault.record import OpenedRecord
from iamata.workflows import reads
from iamata.workflows.messages import ReadDetails, read_details

REFS = ["Observation/plain", "Observation/mind"]


@pytest.fixture
def ada(scene: Scene) -> Party:
    """Introduce a clinician of the custodian's own."""
    return scene.world.register_person("ada", member="hospital-a")


def read(scene: Scene, person: Party, refs: list[str] | None = None, **changes: Any) -> list[OpenedRecord]:
    asked = {"person": PersonId(person.id), "patient": scene.anna.id, "purpose": "TREAT"}
    return reads.read_records(scene.a, REFS if refs is None else refs, **(asked | changes))


def list_reads(scene: Scene) -> list[ReadDetails]:
    entries = read_entries(scene.a.custody, scene.anna.id)
    return [
        read_details(one.payload, ReadDetails) for one in entries if one.header.kind is JournalKind.READ
    ]


def test_a_read_opens_just_what_was_asked_and_journals_just_that(scene: Scene, ada: Party) -> None:
    opened = read(scene, ada)

    assert [one.header.facts.record for one in opened] == REFS
    (entry,) = list_reads(scene)
    assert (entry.person, entry.purpose, list(entry.records)) == (ada.id, "TREAT", REFS)
    assert scene.stores.records.bodies_read == len(REFS)


def test_a_journal_that_refuses_keeps_every_record_closed(scene: Scene, ada: Party) -> None:
    scene.stores.journal.is_full = True

    with pytest.raises(Refused) as refused:
        read(scene, ada)

    assert refused.value.reason is Reason.STORAGE_FULL
    assert scene.stores.records.bodies_read == 0


def test_all_or_nothing_is_read_and_nothing_is_journalled_of_a_refusal(scene: Scene, ada: Party) -> None:
    scene.grant(decision=Ruling.DENY, recipients=(), purposes=(), labels=("PSY",))

    for refs in (REFS, [*REFS, "Observation/none"], ["Observation/none"], []):
        with pytest.raises(Refused) as refused:
            read(scene, ada, refs)
        assert (refused.value.reason, refused.value.detail) == (Reason.NOT_FOUND, "")
    assert list_reads(scene) == []
    assert len(read(scene, ada, ["Observation/plain"])) == 1


def test_two_bases_are_one_durable_step(scene: Scene, ada: Party) -> None:
    scene.grant(labels=("PSY",), recipients=("member:hospital-a",))
    before = scene.stores.journal.appended

    assert len(read(scene, ada)) == len(REFS)

    assert scene.stores.journal.appended == before + 2
    assert {entry.basis.partition("/")[0] for entry in list_reads(scene)} == {"consent", "policy"}


def test_the_list_of_records_is_a_read(scene: Scene, ada: Party) -> None:
    listed = reads.list_records(scene.a, person=ada.id, patient=scene.anna.id, purpose="TREAT")

    assert len(listed) == 4
    assert [len(entry.records) for entry in list_reads(scene)] == [4]


def test_whoever_may_not_read_learns_nothing_and_touches_nothing(scene: Scene, ada: Party) -> None:
    carl = scene.world.enrol_patient("carl", custodian="hospital-c")
    rolf = scene.world.register_person("rolf", member="hospital-a", roles=(Role.RESEARCHER,))
    gone = scene.world.register_person("gone", member="hospital-a")
    scene.revoke(gone)
    cases: list[tuple[Party, dict[str, Any]]] = [
        (rolf, {}),
        (rolf, {"purpose": "HRESCH"}),
        (ada, {"purpose": "HRESCH"}),
        (ada, {"purpose": "BTG"}),
        (ada, {"patient": carl.id}),
        (ada, {"patient": scene.world.derive_id("nobody")}),
        (ada, {"emergency": scene.world.derive_id("none"), "purpose": "BTG"}),
        (gone, {}),
        (scene.ben, {}),
    ]
    before = scene.stores.count()

    for person, changes in cases:
        with pytest.raises(Refused) as refused:
            read(scene, person, **changes)
        assert (refused.value.reason, refused.value.detail) == (Reason.NOT_FOUND, "")

    assert scene.stores.count() == before


def test_own_staff_reads_in_an_emergency_that_it_declared(scene: Scene) -> None:
    """Else whom the patient keeps from her records would only have to say that it is urgent."""
    emil = scene.privileged("emil", member="hospital-a")
    scene.grant(decision=Ruling.DENY, recipients=(), purposes=("TREAT",), labels=())
    with pytest.raises(Refused):
        read(scene, emil)
    with pytest.raises(Refused):
        read(scene, emil, purpose="BTG")

    emergency = scene.declare(emil)

    assert len(read(scene, emil, purpose="BTG", emergency=emergency)) == len(REFS)
    assert [entry.basis for entry in list_reads(scene)] == [f"emergency/{emergency}"]
    with pytest.raises(Refused):
        read(scene, emil, emergency=emergency)
    scene.world.clock.advance(MS_PER_HOUR + MS_PER_MINUTE)
    with pytest.raises(Refused):
        read(scene, emil, purpose="BTG", emergency=emergency)


def test_an_emergency_about_one_patient_opens_no_other(scene: Scene) -> None:
    emil = scene.privileged("emil", member="hospital-a")
    boris = scene.world.enrol_patient("boris", custodian="hospital-a")
    emergency = scene.declare(emil, patient=boris)

    with pytest.raises(Refused):
        read(scene, emil, purpose="BTG", emergency=emergency)


@pytest.mark.parametrize("trouble", ["stops_before", "stops_after"])
def test_an_anchor_that_a_crash_left_half_done_is_finished_under_its_id(
    scene: Scene, ada: Party, trouble: str
) -> None:
    read(scene, ada)
    setattr(scene.engine, trouble, True)
    with pytest.raises(Refused):
        reads.anchor_reads(scene.a)
    setattr(scene.engine, trouble, False)
    scene.a = offices.open_office(scene.world, "hospital-a", stores=scene.stores)
    planned = [anchor.id for anchor in scene.stores.journal.read_anchors()]
    read(scene, ada)

    anchored = reads.anchor_reads(scene.a)

    assert [anchor.id for anchor in anchored][:1] == planned
    assert [anchor.count for anchor in anchored] == [1, 1]
    assert [one.is_proven for one in scene.looked()] == [True, True]
    assert reads.anchor_reads(scene.a) == []
