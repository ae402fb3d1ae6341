"""A record about two patients: a copy each, shown where both permit it, and told to both."""

import msgspec
import pytest

from iamata.consent.terms import Ruling
from iamata.ledger.tables import ACCESSES
from iamata.model.ids import AccessId, PatientId, PersonId
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.vault.journal import JournalEntry, JournalKind, append_entries
from iamata.vault.opening import list_facts
from iamata.vault.sealing import seal
from iamata.workers.mapping import INLINE
from iamata.workflows import accesses, disclosures, reads
from iamata.workflows.accesses import CheckedAccess
from iamata.workflows.erasures import erase_patient
from iamata.workflows.messages import ReadDetails
from iamata.workflows.replayed import History, Replayed
from iamata.workflows.verification import MemberReport, verify_member

VISIT = "Observation/visit"


@pytest.fixture
def carl(scene: Scene) -> Party:
    """Introduce a second patient of A, who was seen together with Anna."""
    carl = scene.world.enrol_patient("carl", custodian="hospital-a")
    visit = offices.write_record(PatientId(scene.anna.id), "visit", ("N",), PatientId(carl.id))
    seal(scene.a.custody, [[visit]])
    return carl


def list_refs(scene: Scene, patient: Party) -> list[str]:
    return [one.facts.record for one in list_facts(scene.a.custody, PatientId(patient.id))]


def looked(scene: Scene, patient: Party) -> list[CheckedAccess]:
    patient_id = PatientId(patient.id)
    return list(
        accesses.check_accesses(
            offices.list_accesses(scene.a, patient),
            scene.engine.genesis,
            custodian=scene.a.member,
            patient=patient_id,
            disclosed=accesses.list_disclosed(scene.engine, patient_id),
        )
    )


def read_visit(scene: Scene, patient: Party) -> int:
    ada = scene.world.register_person(f"ada-{patient.id[:4]}", member="hospital-a")
    about = PatientId(patient.id)
    person = PersonId(ada.id)
    return len(reads.read_records(scene.a, [VISIT], person=person, patient=about, purpose="TREAT"))


def test_each_patient_has_a_copy(scene: Scene, carl: Party) -> None:
    assert VISIT in list_refs(scene, scene.anna)
    assert list_refs(scene, carl) == [VISIT]


def test_it_leaves_only_when_both_have_consented(scene: Scene, carl: Party) -> None:
    scene.grant()
    assert scene.read() == ["plain"]

    scene.grant(patient=carl)
    assert sorted(scene.read()) == ["plain", "visit"]


def test_a_denial_of_either_keeps_it_in(scene: Scene, carl: Party) -> None:
    scene.grant()
    scene.grant(patient=carl)
    scene.grant(patient=carl, decision=Ruling.DENY, purposes=(), labels=())

    assert scene.read() == ["plain"]


def test_asked_again_after_the_other_withdrew_the_whole_release_is_refused(
    scene: Scene, carl: Party
) -> None:
    scene.grant()
    scene.grant(patient=carl)
    request = scene.ask()
    assert sorted(scene.read(request)) == ["plain", "visit"]

    scene.grant(patient=carl, decision=Ruling.DENY, purposes=(), labels=())

    assert scene.read(request) == []


def test_a_recipient_is_not_told_the_pseudonym_of_the_other(scene: Scene, carl: Party) -> None:
    scene.grant()
    scene.grant(patient=carl)

    (released,) = scene.answer()
    received = scene.receive(released)

    told = b"".join(record.header + record.body for record in received.records)
    assert scene.anna.id.encode() in told
    assert carl.id.encode() not in told


def test_both_see_that_it_left_and_the_ledger_is_told_of_one(scene: Scene, carl: Party) -> None:
    scene.grant()
    consent = scene.grant(patient=carl)
    scene.read()
    reads.anchor_reads(scene.a)

    (annas,), (carls,) = looked(scene, scene.anna), looked(scene, carl)

    assert (annas.kind, annas.records) == ("disclosure", 2)
    assert (carls.kind, carls.recipient, carls.person) == ("read", "hospital-b", scene.ben.id)
    assert (carls.basis, carls.records, carls.is_proven) == (f"consent/{consent}", 1, True)
    assert ACCESSES.find(scene.engine.snapshot(), carls.access) is None


def test_own_staff_may_treat_either_and_both_see_it(scene: Scene, carl: Party) -> None:
    assert read_visit(scene, scene.anna) == 1

    (annas,), (carls,) = looked(scene, scene.anna), looked(scene, carl)
    assert (annas.person, annas.basis, annas.records) == (carls.person, carls.basis, carls.records)
    assert carls.basis == "policy/own-care"


def test_a_denial_of_either_binds_own_staff_too(scene: Scene, carl: Party) -> None:
    scene.grant(patient=carl, decision=Ruling.DENY, recipients=(), purposes=(), labels=())

    for patient in (scene.anna, carl):
        with pytest.raises(Refused) as refused:
            read_visit(scene, patient)
        assert refused.value.reason is Reason.NOT_FOUND
    assert looked(scene, scene.anna) == []


def test_erasing_one_leaves_the_copy_of_the_other_to_own_staff_alone(scene: Scene, carl: Party) -> None:
    scene.grant()
    scene.grant(patient=carl)
    erased = erase_patient(scene.a, PatientId(carl.id))

    assert erased.shredded.records == 1
    assert VISIT in list_refs(scene, scene.anna)
    assert read_visit(scene, scene.anna) == 1
    assert scene.read() == ["plain"]
    assert [entry.patient for entry in scene.stores.journal.read_of_patient(carl.id)] == []


def verify(scene: Scene) -> MemberReport:
    history = History()
    for leaf in scene.engine.leaves:
        history.take(leaf)
    return verify_member(scene.a.custody, Replayed(scene.engine.state, history), INLINE)


def test_what_left_of_two_is_verified_for_both_and_after_an_erasure(scene: Scene, carl: Party) -> None:
    scene.grant()
    scene.grant(patient=carl)
    scene.read()

    report = verify(scene)
    assert (report.records, report.disclosures, report.disclosures_decided_again) == (6, 1, 1)
    erase_patient(scene.a, PatientId(carl.id))
    assert verify(scene).records == 5


def test_a_journal_that_is_silent_to_the_other_is_found(
    scene: Scene, carl: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disclosures, "tell_others", lambda *_: [])
    scene.grant()
    scene.grant(patient=carl)
    scene.read()

    with pytest.raises(Refused, match=f"the journal is silent to {carl.id}"):
        verify(scene)


def test_a_consent_of_somebody_else_in_the_others_journal_is_found(scene: Scene, carl: Party) -> None:
    consent = scene.grant()
    details = ReadDetails(
        person=PersonId(scene.ben.id),
        purpose="TREAT",
        basis=f"consent/{consent}",
        records=(VISIT,),
        recipient=scene.b.member,
    )
    entry = JournalEntry(
        kind=JournalKind.READ,
        patient=PatientId(carl.id),
        id=AccessId(scene.a.author.make_id()),
        time_ms=scene.a.tell_time(scene.a.take_view()),
        payload=msgspec.json.encode(details),
    )
    append_entries(scene.a.custody, [entry])

    with pytest.raises(Refused, match="its consent is not the patient's"):
        verify(scene)
