"""Without finality nothing ordinary leaves; what does is signed for by three, and posted before all."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from iamata.ledger.entries import ReviewOutcome, Role
from iamata.ledger.events import AccessDisclosed, EmergencyPostedLate
from iamata.ledger.tables import ACCESSES, EMERGENCIES, PERSONS
from iamata.ledger.transactions.emergencies import DeclareEmergency
from iamata.ledger.transactions.persons import SetRoles
from iamata.model.ids import AccessId, MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.vault.journal import JournalKind, read_entries
from iamata.workflows import emergencies, receiving
from iamata.workflows.erasures import erase_patient
from iamata.workflows.late_declarations import list_pending
from iamata.workflows.late_posting import finish_late_emergencies, post_pending
from iamata.workflows.messages import RecordRequest, Release

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


def by_somebody_without_the_role(scene: Scene) -> str:
    return scene.ask_late(scene.ben)


def by_somebody_who_lost_the_role(scene: Scene) -> str:
    emil = scene.privileged("emil")
    scene.world.node("hospital-b").author.submit(SetRoles, person=emil.id, roles=(Role.CLINICIAN,))
    return scene.ask_late(emil)


def by_somebody_revoked(scene: Scene) -> str:
    emil = scene.privileged("emil")
    request = scene.ask_late(emil)
    scene.revoke(emil)
    return request


def by_a_suspended_member(scene: Scene) -> str:
    emil = scene.privileged("emil")
    request = scene.ask_late(emil)
    scene.suspend("hospital-b")
    return request


def by_a_strangers_signature(scene: Scene) -> str:
    emil = scene.privileged("emil")
    forger = Party(emil.id, emil.custodian, scene.world.stranger("forger"))
    return scene.ask_late(emil, scene.declare_late(forger))


def by_a_nodes_signature(scene: Scene) -> str:
    emil = scene.privileged("emil")
    return scene.ask_late(emil, scene.declare_late(Party(emil.id, emil.custodian, scene.b.author)))


def by_a_colleagues_signature(scene: Scene) -> str:
    emil, other = scene.privileged("emil"), scene.privileged("other")
    return scene.ask_late(emil, scene.declare_late(other))


def by_a_forged_signature(scene: Scene) -> str:
    emil = scene.privileged("emil")
    true, other = (scene.declare_late(emil).split(".") for _ in range(2))
    return scene.ask_late(emil, ".".join((*true[:2], other[2])))


def with_no_declaration_at_all(scene: Scene) -> str:
    emil = scene.privileged("emil")
    text = scene.ask_late(emil)
    said = offices.read_request(scene.world, text)
    return write_request(scene, said, declaration="nonsense")


def for_treatment(scene: Scene) -> str:
    scene.grant(purposes=("TREAT", "ETREAT"))
    return scene.ask_late(scene.privileged("emil"), purpose="TREAT")


def beside_a_share_code(scene: Scene) -> str:
    scene.grant(purposes=("TREAT", "ETREAT"))
    said = offices.read_request(scene.world, scene.ask_late(scene.privileged("emil"), purpose="TREAT"))
    return write_request(scene, said, share=offices.share_code(scene.anna))


def beside_a_declared_emergency(scene: Scene) -> str:
    emil = scene.privileged("emil")
    emergency = scene.declare(emil)
    return write_request(
        scene, offices.read_request(scene.world, scene.ask_late(emil)), emergency=emergency
    )


def to_another_custodian(scene: Scene) -> str:
    emil = scene.privileged("emil")
    said = offices.read_request(
        scene.world, scene.ask_late(emil, scene.declare_late(emil, custodian="hospital-c"))
    )
    return write_request(scene, said, custodian=scene.a.member)


def about_another_custodians_patient(scene: Scene) -> str:
    carl, emil = scene.world.enrol_patient("carl", custodian="hospital-c"), scene.privileged("emil")
    return scene.ask_late(emil, scene.declare_late(emil, patient=carl.id))


def about_nobody(scene: Scene) -> str:
    emil = scene.privileged("emil")
    return scene.ask_late(emil, scene.declare_late(emil, patient=scene.world.derive_id("x")))


def about_an_erased_patient(scene: Scene) -> str:
    erase_patient(scene.a, scene.anna.id)
    return scene.ask_late(scene.privileged("emil"))


def for_too_long(scene: Scene) -> str:
    emil, now_ms = scene.privileged("emil"), scene.world.clock()
    return scene.ask_late(emil, scene.declare_late(emil, until_ms=Instant(now_ms + 4 * MS_PER_HOUR + 1)))


def from_the_future(scene: Scene) -> str:
    emil, now_ms = scene.privileged("emil"), scene.world.clock()
    return scene.ask_late(emil, scene.declare_late(emil, declared_ms=now_ms + 6 * MS_PER_MINUTE))


def when_it_is_over(scene: Scene) -> str:
    emil = scene.privileged("emil")
    declaration = scene.declare_late(emil)
    scene.world.clock.advance(MS_PER_HOUR + 1)
    return scene.ask_late(emil, declaration)


def when_it_was_reviewed(scene: Scene) -> str:
    emil, rita = (
        scene.privileged("emil"),
        scene.world.register_person("rita", member="hospital-a", roles=(Role.REVIEWER,)),
    )
    declaration = scene.declare_late(emil)
    scene.answer(scene.ask_late(emil, declaration))
    person = PERSONS.find(scene.a.take_view(), emil.id)
    assert person is not None
    emergency = AccessId(person.emergencies[0])
    emergencies.review(rita.author, emergency, ReviewOutcome.JUSTIFIED, reason=REASON)
    return scene.ask_late(emil, declaration)


def after_an_unjustified_one(scene: Scene) -> str:
    emil, rita = (
        scene.privileged("emil"),
        scene.world.register_person("rita", member="hospital-a", roles=(Role.REVIEWER,)),
    )
    emergencies.review(rita.author, scene.declare(emil), ReviewOutcome.UNJUSTIFIED, reason=REASON)
    return scene.ask_late(emil)


def while_a_review_is_overdue(scene: Scene) -> str:
    emil = scene.privileged("emil")
    scene.declare(emil)
    scene.world.clock.advance(4 * MS_PER_DAY)
    return scene.ask_late(emil)


def beyond_three_on_the_ledger(scene: Scene) -> str:
    emil = scene.privileged("emil")
    for _ in range(3):
        scene.declare(emil)
    return scene.ask_late(emil)


def beyond_three_that_wait(scene: Scene) -> str:
    emil = scene.privileged("emil")
    scene.declare(emil)
    scene.engine.stops_before = True
    for _ in range(2):
        scene.answer(scene.ask_late(emil))
    scene.engine.stops_before = False
    return scene.ask_late(emil)


def under_the_id_of_a_declared_one(scene: Scene) -> str:
    emil = scene.privileged("emil")
    return scene.ask_late(emil, scene.declare_late(emil, emergency=scene.declare(emil)))


REFUSED: list[Callable[[Scene], str]] = [
    by_somebody_without_the_role,
    by_somebody_who_lost_the_role,
    by_somebody_revoked,
    by_a_suspended_member,
    by_a_strangers_signature,
    by_a_nodes_signature,
    by_a_colleagues_signature,
    by_a_forged_signature,
    with_no_declaration_at_all,
    for_treatment,
    beside_a_share_code,
    beside_a_declared_emergency,
    to_another_custodian,
    about_another_custodians_patient,
    about_nobody,
    about_an_erased_patient,
    for_too_long,
    from_the_future,
    when_it_is_over,
    when_it_was_reviewed,
    after_an_unjustified_one,
    while_a_review_is_overdue,
    beyond_three_on_the_ledger,
    beyond_three_that_wait,
    under_the_id_of_a_declared_one,
]


@pytest.mark.parametrize("is_silent", [True, False], ids=["silent", "answering"])
@pytest.mark.parametrize("prepare", REFUSED, ids=lambda one: one.__name__)
def test_whatever_could_not_be_declared_gets_the_answer_that_says_nothing(
    scene: Scene, prepare: Callable[[Scene], str], *, is_silent: bool
) -> None:
    request = prepare(scene)
    scene.engine.stops_before = is_silent
    before, told = scene.stores.count(), list_told(scene)

    assert refuse(scene, request) is Reason.NOT_FOUND
    assert scene.stores.count()[1:] == before[1:]
    assert list_told(scene) == told


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


def write_request(scene: Scene, said: RecordRequest, **changes: Any) -> str:
    """Let B's node sign a request with other fields."""
    fields = {name: getattr(said, name) for name in said.__struct_fields__ if name != "network"}
    return scene.b.author.state(RecordRequest, **(fields | changes)).text
