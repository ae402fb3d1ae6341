"""Without finality nothing ordinary leaves; what does is signed for by three, and posted before all."""

from typing import Any

import msgspec
import pytest

from iamata.ledger.envelope import read_transaction
from iamata.ledger.events import AccessDisclosed, EmergencyPostedLate
from iamata.ledger.tables import ACCESSES, EMERGENCIES, PERSONS
from iamata.ledger.transactions.emergencies import DeclareEmergency
from iamata.model.ids import MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_HOUR, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.vault.journal import JournalKind, read_entries
from iamata.workflows import emergencies, receiving
from iamata.workflows.erasures import erase_patient
from iamata.workflows.late_declarations import list_pending, read_late_request
from iamata.workflows.late_posting import SLOT_MS, finish_late_emergencies, post_pending, write_post
from iamata.workflows.messages import Release, read_declaration
from iamata.workflows.planning import find_plan

EVERYTHING = ["plain", "private", "alcohol", "mind"]
REASON = "Unconscious after a fall"


@pytest.fixture
def emil(scene: Scene) -> Party:
    """Introduce a clinician at B who may break the glass."""
    return scene.privileged("emil")


def list_told(scene: Scene) -> list[type]:
    """Name, in order, what the ledger was told about disclosures."""
    kinds = (AccessDisclosed, EmergencyPostedLate)
    return [type(leaf.event) for _, leaf in scene.engine.events(0) if isinstance(leaf.event, kinds)]


def list_kinds(scene: Scene) -> list[JournalKind]:
    return [entry.header.kind for entry in read_entries(scene.a.custody, scene.anna.id)]


def refuse(scene: Scene, request: str) -> Reason:
    with pytest.raises(Refused) as refused:
        scene.answer(request)
    return refused.value.reason


def test_an_emergency_is_served_while_the_ledger_is_silent(scene: Scene, emil: Party) -> None:
    scene.engine.stops_before = True

    assert scene.read(scene.ask_late(emil), person=emil) == EVERYTHING
    assert list_told(scene) == []


def test_nothing_ordinary_leaves_while_the_ledger_is_silent(scene: Scene, emil: Party) -> None:
    scene.grant(labels=("N", "R"))
    declared = scene.declare(emil)
    scene.engine.stops_before = True

    assert refuse(scene, scene.ask()) is Reason.ENGINE_STOPPED
    assert (
        refuse(scene, offices.ask_in_emergency(scene.b, emil, scene.anna, declared))
        is Reason.ENGINE_STOPPED
    )
    assert scene.stores.records.bodies_read == 0


def test_the_journal_holds_it_before_the_first_byte_leaves(scene: Scene, emil: Party) -> None:
    scene.engine.stops_before = True
    request = scene.ask_late(emil)

    scene.answer(request)
    assert list_kinds(scene) == [JournalKind.DISCLOSURE, JournalKind.LATE, JournalKind.RELEASE]

    scene.stores.journal.is_full = True
    assert refuse(scene, scene.ask_late(emil)) is Reason.STORAGE_FULL


def test_asked_again_it_gives_the_same_list_and_one_trace(scene: Scene, emil: Party) -> None:
    scene.engine.stops_before = True
    request = scene.ask_late(emil)

    assert scene.read(request, person=emil) == scene.read(request, person=emil) == EVERYTHING
    assert list_kinds(scene).count(JournalKind.LATE) == 1
    assert len(list_pending(scene.a, scene.a.take_view())) == 1


def test_recovery_posts_it_marked_late_and_once(scene: Scene, emil: Party) -> None:
    scene.engine.stops_before = True
    scene.answer(scene.ask_late(emil))
    scene.engine.stops_before = False

    (posted,) = finish_late_emergencies(scene.a, scene.b)

    view = scene.a.take_view()
    access = ACCESSES.find(view, posted)
    person = PERSONS.find(view, emil.id)
    assert access is not None
    assert person is not None
    (awaiting,) = person.emergencies
    emergency = EMERGENCIES.find(view, awaiting)
    assert emergency is not None
    assert (access.is_late, access.basis) == (True, f"emergency/{awaiting}")
    assert emergency.declared_ms is not None
    assert emergency.review_until_ms > view.time_ms
    assert finish_late_emergencies(scene.a, scene.b) == []
    assert list_told(scene) == [EmergencyPostedLate]


def test_it_is_posted_before_any_other_disclosure_is_announced(scene: Scene, emil: Party) -> None:
    scene.grant()
    scene.engine.stops_before = True
    scene.answer(scene.ask_late(emil))
    scene.engine.stops_before = False

    scene.answer()

    assert list_told(scene) == [EmergencyPostedLate, AccessDisclosed]


def test_while_it_cannot_be_posted_nothing_else_is_announced(scene: Scene, emil: Party) -> None:
    scene.grant()
    scene.engine.stops_before = True
    scene.answer(scene.ask_late(emil))

    assert refuse(scene, scene.ask()) is Reason.ENGINE_STOPPED
    assert finish_late_emergencies(scene.a) == []
    with pytest.raises(Refused, match="ENGINE_STOPPED"):
        post_pending(scene.a)


def test_an_attempt_that_became_final_after_all_is_not_posted_twice(scene: Scene, emil: Party) -> None:
    scene.engine.stops_after = True
    assert scene.read(scene.ask_late(emil), person=emil) == EVERYTHING
    scene.engine.stops_after = False

    assert finish_late_emergencies(scene.a) == []
    assert list_told(scene) == [EmergencyPostedLate]


def test_an_outage_does_not_pile_up_attempts(scene: Scene, emil: Party) -> None:
    """Each attempt that reaches a ledger after all, but the first, would stand in its log as refused."""
    scene.answer(scene.ask_late(emil))
    (entry,) = [one for one in read_entries(scene.a.custody, scene.anna.id) if one.header.kind == "late"]
    plan, late = find_plan(scene.a, entry.header.id), read_late_request(entry)
    assert plan is not None

    def write() -> bytes:
        return write_post(scene.a, read_declaration(late), plan)

    first = write()
    assert write() == first
    scene.world.clock.advance(SLOT_MS)
    assert write() != first
    assert read_transaction(first).body.expires_ms > scene.world.clock()


def test_where_the_ledger_answers_it_knows_before_the_records_leave(scene: Scene, emil: Party) -> None:
    """The asking node may be cut off while the custodian is not: its word on it counts for nothing."""
    request = scene.ask_late(emil)

    (release,) = scene.answer(request)

    assert list_told(scene) == [EmergencyPostedLate]
    assert len(scene.receive(release, person=emil, request=request).records) == len(EVERYTHING)
    assert list_pending(scene.a, scene.a.take_view()) == []


def test_one_declaration_serves_for_several_requests(scene: Scene, emil: Party) -> None:
    declaration = scene.declare_late(emil)
    scene.engine.stops_before = True
    for _ in range(4):
        assert scene.read(scene.ask_late(emil, declaration), person=emil) == EVERYTHING
    scene.engine.stops_before = False

    assert len(finish_late_emergencies(scene.a)) == 4
    person = PERSONS.find(scene.a.take_view(), emil.id)
    assert person is not None
    assert len(person.emergencies) == 1


def test_it_is_posted_though_the_person_has_lost_everything_since(scene: Scene, emil: Party) -> None:
    scene.engine.stops_before = True
    scene.answer(scene.ask_late(emil))
    scene.engine.stops_before = False
    scene.revoke(emil)
    scene.suspend("hospital-b")
    erase_patient(scene.a, scene.anna.id)

    assert len(finish_late_emergencies(scene.a)) == 1


def test_a_restart_loses_nothing_of_it(scene: Scene, emil: Party) -> None:
    """The custodian dies after the entry was durable: whether bytes left, nobody knows; it is posted."""
    scene.engine.stops_before = True
    request = scene.ask_late(emil)
    scene.answer(request)
    scene.a = offices.open_office(scene.world, "hospital-a", stores=scene.stores)

    assert scene.read(request, person=emil) == EVERYTHING
    scene.engine.stops_before = False
    scene.a = offices.open_office(scene.world, "hospital-a", stores=scene.stores)
    assert len(finish_late_emergencies(scene.a)) == 1


def test_what_the_patient_denies_stays_sealed(scene: Scene, emil: Party) -> None:
    scene.grant(labels=("N", "R"), purposes=("ETREAT",), exceptions=(offices.deny("R"),))
    scene.engine.stops_before = True

    assert scene.read(scene.ask_late(emil), person=emil) == ["plain"]


class TestThePatientSees:
    def test_that_it_left_late_before_the_ledger_knows(self, scene: Scene, emil: Party) -> None:
        scene.engine.stops_before = True
        scene.read(scene.ask_late(emil), person=emil)

        (looked,) = scene.looked()

        assert (looked.is_late, looked.is_released, looked.is_proven) == (True, True, False)
        assert (looked.recipient, looked.purpose, looked.records) == ("hospital-b", "BTG", 4)

    def test_that_it_left_late_when_the_ledger_proves_it(self, scene: Scene, emil: Party) -> None:
        scene.engine.stops_before = True
        scene.read(scene.ask_late(emil), person=emil)
        scene.engine.stops_before = False
        finish_late_emergencies(scene.a)

        (looked,) = scene.looked()

        assert (looked.is_late, looked.is_released, looked.is_proven) == (True, True, True)

    def test_a_custodian_that_is_silent_about_it(self, scene: Scene, emil: Party) -> None:
        scene.answer(scene.ask_late(emil))

        with pytest.raises(Refused, match="silent"):
            scene.check(())

    def test_evidence_that_is_about_something_else(self, scene: Scene, emil: Party) -> None:
        scene.engine.stops_before = True
        for _ in range(2):
            scene.answer(scene.ask_late(emil))
        plan, late, _, other = offices.list_accesses(scene.a, scene.anna)
        moved = msgspec.structs.replace(late, payload=other.payload)

        assert len(scene.check((plan, late))) == 1
        with pytest.raises(Refused, match="FAULT_FOUND"):
            scene.check((plan, moved))


class TestTheRecipient:
    def test_takes_in_only_what_answers_its_own_request(self, scene: Scene, emil: Party) -> None:
        scene.engine.stops_before = True
        (release,) = scene.answer(scene.ask_late(emil))

        for request in (None, scene.ask_late(emil)):
            with pytest.raises(Refused, match="UNKNOWN_ACCESS"):
                scene.receive(release, person=emil, request=request)

    def test_takes_in_nothing_ordinary_without_the_ledger(self, scene: Scene, emil: Party) -> None:
        """A note without the request that both have signed is an ordinary one: the ledger must know."""
        scene.engine.stops_before = True
        request = scene.ask_late(emil)
        (release,) = scene.answer(request)
        said = offices.read_note(release.note)
        fields = {
            name: getattr(said, name) for name in ("access", "recipient", "list_root", "ciphertext", "plan")
        }
        ordinary = scene.a.author.state(type(said), **fields).text

        with pytest.raises(Refused, match="UNKNOWN_ACCESS"):
            scene.receive(
                Release(note=ordinary, ciphertext=release.ciphertext, plan=release.plan),
                person=emil,
                request=request,
            )

    def test_serves_nobody_but_who_asked(self, scene: Scene, emil: Party) -> None:
        scene.engine.stops_before = True
        request = scene.ask_late(emil)
        (release,) = scene.answer(request)

        with pytest.raises(Refused, match="NOT_THE_PERSON"):
            scene.receive(release, request=request)

    def test_keeps_what_both_have_signed(self, scene: Scene, emil: Party) -> None:
        scene.engine.stops_before = True
        request = scene.ask_late(emil)
        (release,) = scene.answer(request)
        scene.receive(release, person=emil, request=request)

        (entry,) = read_entries(scene.b.custody, scene.anna.id)
        kept = msgspec.json.decode(entry.payload)
        assert (kept["request"], kept["note"]) == (request, release.note)


def test_a_search_counts_what_the_ledger_does_not_know_yet(scene: Scene, emil: Party) -> None:
    scene.engine.stops_before = True
    for _ in range(3):
        scene.answer(scene.ask_late(emil))
    said: dict[str, Any] = {
        "custodian": scene.a.member,
        "person": PersonId(emil.id),
        "demographics": "doe|jane|1970-01-01",
        "reason": REASON,
        "expires_ms": Instant(scene.world.clock() + MS_PER_MINUTE),
    }

    with pytest.raises(Refused, match="TOO_MANY_OPEN_EMERGENCIES"):
        emergencies.find_in_emergency(scene.a, emil.author.state(emergencies.EmergencySearch, **said).text)


def test_what_a_person_signs_is_taken_by_the_custodian(scene: Scene, emil: Party) -> None:
    declared = emergencies.declare_late(
        emil.author, custodian=MemberId("hospital-a"), patient=PatientId(scene.anna.id), reason=REASON
    )
    custodian, request = receiving.ask_late(
        scene.b, person=PersonId(emil.id), purpose="BTG", declaration=str(declared.declaration)
    )

    assert custodian == "hospital-a"
    assert scene.read(request, person=emil) == EVERYTHING


def test_an_id_that_was_taken_in_the_meantime_stays_in_the_journal(scene: Scene, emil: Party) -> None:
    """The ledger says no for good: the next disclosures go on, and `iamata verify` names this one."""
    scene.grant()
    emergency = scene.world.derive_id("taken")
    scene.engine.stops_before = True
    scene.answer(scene.ask_late(emil, scene.declare_late(emil, emergency=emergency)))
    scene.engine.stops_before = False
    emil.author.submit(
        DeclareEmergency,
        emergency=emergency,
        patient=scene.anna.id,
        commitment=scene.world.derive_commitment("x"),
        until_ms=Instant(scene.world.clock() + MS_PER_HOUR),
    )

    assert scene.read() == ["plain"]
    assert len(list_pending(scene.a, scene.a.take_view())) == 1
