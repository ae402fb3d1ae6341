"""Whatever is declared, by whomever and whenever: what a custodian lets out late, the ledger takes in."""

from collections.abc import Callable
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.ledger.entries import Role
from iamata.ledger.tables import ACCESSES
from iamata.ledger.transactions.late_emergencies import CLOCKS_MS_MAX
from iamata.ledger.transactions.persons import SetRoles
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing.scenes import Scene
from iamata.testing.world import Party
from iamata.workflows.erasures import erase_patient
from iamata.workflows.late_declarations import list_pending
from iamata.workflows.late_posting import finish_late_emergencies

LONGEST_MS: Final = 4 * MS_PER_HOUR
OUTAGE_DAYS_MAX: Final = 29

NEAR = st.integers(-MS_PER_MINUTE, MS_PER_MINUTE)
DECLARED = st.one_of(
    st.integers(-5 * MS_PER_HOUR, 0), st.builds(lambda near: CLOCKS_MS_MAX + near, NEAR), NEAR
)
LASTING = st.one_of(st.integers(0, LONGEST_MS), st.builds(lambda near: LONGEST_MS + near, NEAR), NEAR)


def lose_the_role(scene: Scene, emil: Party) -> None:
    scene.world.node("hospital-b").author.submit(SetRoles, person=emil.id, roles=(Role.CLINICIAN,))


SINCE: Final[dict[str, Callable[[Scene, Party], object]]] = {
    "nothing": lambda scene, emil: None,
    "the role was lost": lose_the_role,
    "the person was revoked": lambda scene, emil: scene.revoke(emil),
    "the member was suspended": lambda scene, emil: scene.suspend("hospital-b"),
    "the patient was erased": lambda scene, emil: erase_patient(scene.a, scene.anna.id),
    "the person declared three": lambda scene, emil: [scene.declare(emil) for _ in range(3)],
}


@given(
    since_ms=DECLARED,
    lasting_ms=LASTING,
    who=st.sampled_from(["emil", "ben", "stranger", "node"]),
    whose=st.sampled_from(["anna", "anna", "carl", "nobody"]),
    where=st.sampled_from(["hospital-a", "hospital-a", "hospital-c"]),
    outage_days=st.integers(0, OUTAGE_DAYS_MAX),
    happened=st.sampled_from(sorted(SINCE)),
)
@settings(max_examples=60, deadline=None)
def test_what_leaves_late_could_be_declared_and_is_posted(  # noqa: PLR0913  all that a declaration says
    *,
    since_ms: int,
    lasting_ms: int,
    who: str,
    whose: str,
    where: str,
    outage_days: int,
    happened: str,
) -> None:
    scene = Scene.make()
    emil = scene.privileged("emil")
    now_ms = scene.a.tell_time(scene.a.take_view())
    declared_ms = now_ms + since_ms
    span = {"declared_ms": Instant(declared_ms), "until_ms": Instant(declared_ms + lasting_ms)}
    request = ask(scene, emil, who=who, whose=whose, custodian=where, **span)
    scene.engine.stops_before = True

    is_released = is_answered(scene, request)

    is_in_time = since_ms <= CLOCKS_MS_MAX and now_ms <= declared_ms + lasting_ms
    is_short = 0 < lasting_ms <= LONGEST_MS
    is_ours = (who, whose, where) == ("emil", "anna", "hospital-a")
    assert is_released is (is_in_time and is_short and is_ours)
    assert len(list_pending(scene.a, scene.a.take_view())) == is_released

    scene.engine.stops_before = False
    SINCE[happened](scene, emil)
    scene.world.clock.advance(outage_days * MS_PER_DAY)
    posted = finish_late_emergencies(scene.a)

    assert len(posted) == is_released
    assert all(ACCESSES.find(scene.a.take_view(), one) is not None for one in posted)


def ask(scene: Scene, emil: Party, *, who: str, whose: str, **said: Any) -> str:
    """Declare and ask, rightly or wrongly."""
    signers = {
        "emil": emil,
        "ben": scene.ben,
        "stranger": Party(emil.id, emil.custodian, scene.world.stranger("x")),
        "node": Party(emil.id, emil.custodian, scene.b.author),
    }
    carl = scene.world.enrol_patient("carl", custodian="hospital-c")
    patients = {"anna": scene.anna.id, "carl": carl.id, "nobody": scene.world.derive_id("x")}
    person = signers[who]
    return scene.ask_late(person, scene.declare_late(person, patient=patients[whose], **said))


def is_answered(scene: Scene, request: str) -> bool:
    try:
        return bool(scene.answer(request))
    except Refused as refused:
        assert refused.reason is Reason.NOT_FOUND
        return False
