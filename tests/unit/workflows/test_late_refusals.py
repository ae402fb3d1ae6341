"""Whatever could not be declared on the ledger cannot be declared without it: one answer, no trace."""

from collections.abc import Callable
from typing import Any

import pytest

from iamata.ledger.entries import ReviewOutcome, Role
from iamata.ledger.events import AccessDisclosed, EmergencyPostedLate
from iamata.ledger.tables import PERSONS
from iamata.ledger.transactions.persons import SetRoles
from iamata.model.ids import AccessId
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing import offices
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.workflows import emergencies
from iamata.workflows.erasures import erase_patient
from iamata.workflows.messages import RecordRequest

REASON = "Unconscious after a fall"


def list_told(scene: Scene) -> list[type]:
    """Name, in order, what the ledger was told about disclosures."""
    kinds = (AccessDisclosed, EmergencyPostedLate)
    return [type(leaf.event) for _, leaf in scene.engine.events(0) if isinstance(leaf.event, kinds)]


def refuse(scene: Scene, request: str) -> Reason:
    with pytest.raises(Refused) as refused:
        scene.answer(request)
    return refused.value.reason


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


def write_request(scene: Scene, said: RecordRequest, **changes: Any) -> str:
    """Let B's node sign a request with other fields."""
    fields = {name: getattr(said, name) for name in said.__struct_fields__ if name != "network"}
    return scene.b.author.state(RecordRequest, **(fields | changes)).text
