"""Cases of emergencies: declared by the privileged, capped, reviewed by the independent."""

from typing import Any

from iamata.ledger.entries import ReviewOutcome, Role
from iamata.ledger.transactions.emergencies import DeclareEmergency, ReviewEmergency
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from ledger_patients import erase

CASES = Cases("emergencies")


def prepare(world: World, *, member: str = "hospital-b") -> tuple[Party, Party]:
    """Enrol Anna at hospital A; give Emil of another member the privilege."""
    anna = world.enrol_patient("anna", custodian="hospital-a")
    return anna, world.register_person("emil", member=member, roles=(Role.EMERGENCY,))


def declare(world: World, patient: Party, *, name: str = "emergency", hours: int = 1) -> dict[str, Any]:
    """Describe an emergency."""
    return {
        "emergency": world.derive_id(name),
        "patient": patient.id,
        "commitment": world.derive_commitment("reason", name),
        "until_ms": world.clock() + hours * MS_PER_HOUR,
    }


def break_glass(world: World, *, member: str = "hospital-b") -> tuple[Party, Party, dict[str, Any]]:
    """Let Emil declare an emergency for Anna."""
    anna, emil = prepare(world, member=member)
    fields = declare(world, anna)
    emil.author.submit(DeclareEmergency, **fields)
    return anna, emil, fields


def review(
    world: World, outcome: ReviewOutcome = ReviewOutcome.JUSTIFIED, *, name: str = "emergency"
) -> dict[str, Any]:
    """Describe a review."""
    return {
        "emergency": world.derive_id(name),
        "outcome": outcome,
        "commitment": world.derive_commitment("grounds"),
    }


def reviewer(world: World, *, member: str = "hospital-a") -> Party:
    """Give Rita the reviewer's role."""
    return world.register_person("rita", member=member, roles=(Role.REVIEWER,))


@CASES.add("emergency.declared", "LED-EMG-1", why="A privileged person breaks the glass in the open.")
def accepts_emergency_declare(world: World) -> bytes:
    anna, emil = prepare(world)
    return emil.author.write(DeclareEmergency, **declare(world, anna))


@CASES.add(
    Reason.NOT_THE_PERSON,
    "LED-EMG-1",
    "LED-PER-6",
    why="A node cannot break the glass: somebody answers for it.",
)
def declare_by_a_node(world: World) -> bytes:
    anna, _ = prepare(world)
    return world.node("hospital-b").author.write(DeclareEmergency, **declare(world, anna))


@CASES.add(Reason.ROLE_MISSING, "LED-EMG-1", "LED-PER-6", why="Not every clinician may break the glass.")
def declare_without_the_privilege(world: World) -> bytes:
    anna, _ = prepare(world)
    clara = world.register_person("clara", member="hospital-b")
    return clara.author.write(DeclareEmergency, **declare(world, anna))


@CASES.add(
    Reason.PRIVILEGE_SUSPENDED,
    "LED-EMG-2",
    "LED-EMG-10",
    why="An unjustified emergency costs the privilege.",
)
def declare_after_an_unjustified_one(world: World) -> bytes:
    anna, emil, _ = break_glass(world)
    reviewer(world).author.submit(ReviewEmergency, **review(world, ReviewOutcome.UNJUSTIFIED))
    return emil.author.write(DeclareEmergency, **declare(world, anna, name="second"))


@CASES.add(
    Reason.PRIVILEGE_SUSPENDED,
    "LED-EMG-3",
    "LED-TIME-5",
    why="An overdue review suspends by rule, without a tick.",
)
def declare_while_a_review_is_overdue(world: World) -> bytes:
    anna, emil, _ = break_glass(world)
    world.clock.advance(4 * MS_PER_DAY)
    return emil.author.write(DeclareEmergency, **declare(world, anna, name="second"))


@CASES.add(
    Reason.TOO_MANY_OPEN_EMERGENCIES, "LED-EMG-4", why="Three await their review; the fourth must too."
)
def declare_a_fourth(world: World) -> bytes:
    anna, emil = prepare(world)
    for name in ("first", "second", "third"):
        emil.author.submit(DeclareEmergency, **declare(world, anna, name=name))
    return emil.author.write(DeclareEmergency, **declare(world, anna, name="fourth"))


@CASES.add(Reason.EMERGENCY_TOO_LONG, "LED-EMG-5", why="An emergency is hours, not days.")
def declare_for_too_long(world: World) -> bytes:
    anna, emil = prepare(world)
    return emil.author.write(DeclareEmergency, **declare(world, anna, hours=5))


@CASES.add(Reason.EMERGENCY_TOO_LONG, "LED-EMG-5", why="An emergency in the past is none.")
def declare_what_is_over(world: World) -> bytes:
    anna, emil = prepare(world)
    return emil.author.write(DeclareEmergency, **declare(world, anna, hours=-1))


@CASES.add(Reason.EMERGENCY_ALREADY_EXISTS, "LED-EMG-6", why="An emergency's id is used once.")
def declare_twice(world: World) -> bytes:
    anna, emil, fields = break_glass(world)
    return emil.author.write(DeclareEmergency, **(fields | {"patient": anna.id}))


@CASES.add(Reason.UNKNOWN_PATIENT, "LED-EMG-7", why="Nobody by this pseudonym.")
def declare_for_nobody(world: World) -> bytes:
    anna, emil = prepare(world)
    return emil.author.write(
        DeclareEmergency, **(declare(world, anna) | {"patient": world.derive_id("nobody")})
    )


@CASES.add(Reason.PATIENT_ERASED, "LED-EMG-7", why="There is nothing left to read.")
def declare_for_an_erased_patient(world: World) -> bytes:
    anna, emil = prepare(world)
    erase(world, anna)
    return emil.author.write(DeclareEmergency, **declare(world, anna))


@CASES.add("emergency.reviewed", "LED-EMG-8", "LED-EMG-10", why="The custodian answers for its patient.")
def accepts_emergency_review(world: World) -> bytes:
    break_glass(world)
    return reviewer(world).author.write(ReviewEmergency, **review(world))


@CASES.add(
    "emergency.reviewed", "LED-EMG-9", why="Where the custodian itself declared, the regulator judges."
)
def review_by_the_regulator(world: World) -> bytes:
    break_glass(world, member="hospital-a")
    return reviewer(world, member="regulator").author.write(ReviewEmergency, **review(world))


@CASES.add(
    "emergency.reviewed", "LED-EMG-9", why="A custodian that never reviews disables nobody for ever."
)
def review_by_the_regulator_when_the_custodian_is_late(world: World) -> bytes:
    break_glass(world)
    world.clock.advance(4 * MS_PER_DAY)
    return reviewer(world, member="regulator").author.write(ReviewEmergency, **review(world))


@CASES.add(Reason.UNKNOWN_EMERGENCY, "LED-EMG-8", why="There is nothing to judge.")
def review_nothing(world: World) -> bytes:
    return reviewer(world).author.write(ReviewEmergency, **review(world))


@CASES.add(Reason.ALREADY_REVIEWED, "LED-EMG-8", why="A judgement stands.")
def review_twice(world: World) -> bytes:
    break_glass(world)
    rita = reviewer(world)
    rita.author.submit(ReviewEmergency, **review(world))
    return rita.author.write(ReviewEmergency, **review(world, ReviewOutcome.UNJUSTIFIED))


@CASES.add(Reason.REVIEWER_NOT_INDEPENDENT, "LED-EMG-9", why="Nobody judges a colleague.")
def review_by_the_declarers_member(world: World) -> bytes:
    break_glass(world)
    return reviewer(world, member="hospital-b").author.write(ReviewEmergency, **review(world))


@CASES.add(Reason.REVIEWER_NOT_INDEPENDENT, "LED-EMG-9", why="A third hospital has no part in it.")
def review_by_a_bystander(world: World) -> bytes:
    break_glass(world)
    return reviewer(world, member="hospital-c").author.write(ReviewEmergency, **review(world))
