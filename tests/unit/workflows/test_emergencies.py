"""Breaking the glass: one exact match or nothing, always journalled, over in time, reviewed by others."""

from typing import Any

import msgspec
import pytest

from iamata.consent.terms import Ruling
from iamata.fhir.demographics import DEMOGRAPHICS_SYSTEM
from iamata.ledger.entries import OwnerKind, ReviewOutcome, Role
from iamata.ledger.envelope import read_statement
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.transactions.patients import EnrolPatient
from iamata.model.ids import AccessId, MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_HOUR, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused
from iamata.ports import NO_PATIENT
from iamata.testing import offices
from iamata.testing.scenes import LABELS, Scene
from iamata.testing.vault_samples import open_all
from iamata.testing.world import Party
from iamata.vault.journal import JournalKind, read_entries
from iamata.vault.openings import list_openings
from iamata.vault.record import Identifier
from iamata.vault.verification import verify_journal, verify_openings
from iamata.workflows import emergencies, erasures, reads

WHO = "doe|jane|1970-01-01"
REASON = "Unconscious after a fall"


@pytest.fixture
def emil(scene: Scene) -> Party:
    """Introduce a clinician elsewhere who may break the glass."""
    return scene.privileged("emil")


def enrol(scene: Scene, ref: str, *spellings: str) -> Party:
    """Import a patient who is found by these demographics."""
    known = [Identifier("Patient", DEMOGRAPHICS_SYSTEM, one) for one in spellings]
    patient = offices.keep_patient_resource(scene.a, ref, *known)
    author = scene.world.stranger(ref)
    possession = author.prove_possession(OwnerKind.PATIENT, patient, member=scene.a.member)
    scene.a.author.submit(EnrolPatient, patient=patient, possession=possession)
    return Party(patient, scene.a.member, author)


def search(scene: Scene, searcher: Party, /, **changes: Any) -> PatientId:
    said: dict[str, Any] = {
        "custodian": scene.a.member,
        "person": PersonId(searcher.id),
        "demographics": WHO,
        "reason": REASON,
        "expires_ms": Instant(scene.world.clock() + 5 * MS_PER_MINUTE),
    }
    signed = searcher.author.state(emergencies.EmergencySearch, **(said | changes))
    return emergencies.find_in_emergency(scene.a, signed.text)


def count_searches(scene: Scene, patient: str) -> int:
    entries = read_entries(scene.a.custody, PatientId(patient))
    return sum(one.header.kind is JournalKind.EMERGENCY for one in entries)


def read(scene: Scene, person: Party, emergency: AccessId, **changes: Any) -> list[str]:
    request = offices.ask_in_emergency(scene.b, person, scene.anna, emergency, **changes)
    return sorted(
        record.read_header().facts.record.partition("/")[2]
        for release in scene.answer(request)
        for record in scene.receive(release, person=person).records
    )


def test_one_exact_match_is_found_and_the_patient_sees_who_searched(scene: Scene, emil: Party) -> None:
    jane = enrol(scene, "Patient/1", WHO)
    enrol(scene, "Patient/2", "doe|john|1970-01-01")

    assert search(scene, emil) == jane.id

    scene.anna = jane
    reads.anchor_reads(scene.a)
    (shown,) = scene.looked()
    assert (shown.kind, shown.recipient, shown.person) == ("emergency", "hospital-b", emil.id)
    assert (shown.records, shown.is_released, shown.is_proven) == (0, False, True)


@pytest.mark.parametrize("spellings", [[], [WHO, WHO]], ids=["nobody", "two of them"])
def test_anything_but_one_match_is_nothing_and_journalled(
    scene: Scene, emil: Party, spellings: list[str]
) -> None:
    for number, spelling in enumerate(spellings):
        enrol(scene, f"Patient/{number}", spelling)

    with pytest.raises(Refused) as refused:
        search(scene, emil)

    assert (refused.value.reason, refused.value.detail) == (Reason.NOT_FOUND, "")
    assert count_searches(scene, NO_PATIENT) == 1


def test_a_journal_that_refuses_finds_nobody(scene: Scene, emil: Party) -> None:
    enrol(scene, "Patient/1", WHO)
    scene.stores.journal.is_full = True

    with pytest.raises(Refused) as refused:
        search(scene, emil)

    assert refused.value.reason is Reason.STORAGE_FULL


def test_who_could_not_declare_may_not_search(scene: Scene, emil: Party) -> None:
    enrol(scene, "Patient/1", WHO)
    gone = scene.privileged("gone")
    scene.revoke(gone)
    cases: list[tuple[Reason, Party, dict[str, Any]]] = [
        (Reason.ROLE_MISSING, scene.ben, {}),
        (Reason.NOT_THE_PERSON, scene.ben, {"person": emil.id}),
        (Reason.ROLE_MISSING, gone, {}),
        (Reason.NOT_THE_CUSTODIAN, emil, {"custodian": MemberId("hospital-c")}),
        (Reason.EXPIRED, emil, {"expires_ms": Instant(scene.world.clock() - 1)}),
        (Reason.EXPIRED, emil, {"expires_ms": Instant(scene.world.clock() + 2 * MS_PER_HOUR)}),
        (Reason.INPUT_INVALID, emil, {"reason": "help"}),
    ]

    for reason, person, changes in cases:
        with pytest.raises(Refused) as refused:
            search(scene, person, **changes)
        assert refused.value.reason is reason

    scene.suspend("hospital-b")
    with pytest.raises(Refused) as refused:
        search(scene, emil)
    assert refused.value.reason is Reason.MEMBER_NOT_ACTIVE
    assert count_searches(scene, NO_PATIENT) == 0


def test_three_open_emergencies_are_the_most(scene: Scene, emil: Party) -> None:
    enrol(scene, "Patient/1", WHO)
    for _ in range(3):
        scene.declare(emil)

    for attempt in (lambda: scene.declare(emil), lambda: search(scene, emil)):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.reason is Reason.TOO_MANY_OPEN_EMERGENCIES


def test_an_overdue_review_suspends_declaring_and_searching_by_rule(scene: Scene, emil: Party) -> None:
    enrol(scene, "Patient/1", WHO)
    scene.declare(emil)

    scene.world.clock.advance(DEFAULT_PARAMETERS.review_ms_max + MS_PER_MINUTE)

    for attempt in (lambda: scene.declare(emil), lambda: search(scene, emil)):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.reason is Reason.PRIVILEGE_SUSPENDED


def test_a_declared_emergency_sees_all_and_stands_on_the_ledger(scene: Scene, emil: Party) -> None:
    emergency = scene.declare(emil)

    assert read(scene, emil, emergency) == sorted(LABELS)

    (shown,) = scene.looked()
    assert (shown.basis, shown.purpose, shown.is_proven) == (f"emergency/{emergency}", "BTG", True)


def test_a_patient_may_refuse_even_emergencies(scene: Scene, emil: Party) -> None:
    scene.grant(decision=Ruling.DENY, recipients=(), purposes=("ETREAT",), labels=())

    with pytest.raises(Refused) as refused:
        read(scene, emil, scene.declare(emil))

    assert refused.value.reason is Reason.NOT_FOUND


def test_a_consent_that_speaks_of_treatment_leaves_the_glass_in_place(scene: Scene, emil: Party) -> None:
    scene.grant()

    assert read(scene, emil, scene.declare(emil)) == sorted(LABELS)


def test_it_is_over_when_its_time_is(scene: Scene, emil: Party) -> None:
    emergency = scene.declare(emil)
    request = offices.ask_in_emergency(scene.b, emil, scene.anna, emergency)
    assert scene.answer(request)
    scene.world.clock.advance(MS_PER_HOUR + MS_PER_MINUTE)

    for attempt in (request, offices.ask_in_emergency(scene.b, emil, scene.anna, emergency)):
        with pytest.raises(Refused) as refused:
            scene.answer(attempt)
        assert refused.value.reason is Reason.NOT_FOUND


def review(scene: Scene, emergency: AccessId, member: str, outcome: ReviewOutcome) -> None:
    reviewer = scene.world.register_person(f"reviewer at {member}", member=member, roles=(Role.REVIEWER,))
    emergencies.review(reviewer.author, emergency, outcome, reason="Asked the ward about it.")


def test_the_declarers_member_never_reviews(scene: Scene, emil: Party) -> None:
    emergency = scene.declare(emil)

    for member in ("hospital-b", "hospital-c"):
        with pytest.raises(Refused) as refused:
            review(scene, emergency, member, ReviewOutcome.JUSTIFIED)
        assert refused.value.reason is Reason.REVIEWER_NOT_INDEPENDENT

    review(scene, emergency, "hospital-a", ReviewOutcome.JUSTIFIED)


def test_a_glass_that_the_custodian_broke_is_for_the_regulator(scene: Scene) -> None:
    emergency = scene.declare(scene.privileged("egon", member="hospital-a"))

    with pytest.raises(Refused):
        review(scene, emergency, "hospital-a", ReviewOutcome.JUSTIFIED)

    review(scene, emergency, "regulator", ReviewOutcome.JUSTIFIED)


def test_an_unjustified_glass_suspends_the_privilege(scene: Scene, emil: Party) -> None:
    enrol(scene, "Patient/1", WHO)
    emergency = scene.declare(emil)

    review(scene, emergency, "hospital-a", ReviewOutcome.UNJUSTIFIED)

    for attempt in (lambda: scene.declare(emil), lambda: search(scene, emil)):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.reason is Reason.PRIVILEGE_SUSPENDED


def test_a_reason_is_a_sentence(scene: Scene, emil: Party) -> None:
    for reason in ("", "urgent", " " * 50, "x" * 2_001):
        with pytest.raises(Refused) as refused:
            emergencies.declare(emil.author, patient=scene.anna.id, reason=reason)
        assert refused.value.reason is Reason.INPUT_INVALID


def test_of_a_search_nothing_about_the_patient_outlives_an_erasure(scene: Scene, emil: Party) -> None:
    jane = enrol(scene, "Patient/1", WHO)
    search(scene, emil)
    with pytest.raises(Refused):
        search(scene, emil, demographics="doe|john|1970-01-01")
    (kept,) = list_openings(scene.a.custody, PatientId(jane.id))
    assert read_statement(kept.payload.decode(), emergencies.EmergencySearch).payload.reason == REASON

    erasures.erase_patient(scene.a, PatientId(jane.id))

    custody = scene.a.custody
    left = [entry.payload for entry in verify_journal(custody)]
    left += [opening.payload for opening in verify_openings(custody)]
    left += [record.body for record in open_all(custody)]
    assert sum(b"commitment" in one for one in left) >= 2
    for text in (kept.payload, *WHO.encode().split(b"|"), REASON.encode()):
        assert not any(text in one for one in left)
    for entry in verify_journal(custody):
        if entry.header.kind is JournalKind.EMERGENCY:
            assert set(msgspec.json.decode(entry.payload)) == {"member", "person", "commitment"}
