"""Cases of late emergencies: declared without the ledger, posted by the custodian, answered for as any."""

from typing import Any

import msgspec

from iamata.ledger.bases import EmergencyBasis
from iamata.ledger.entries import OwnerKind, ReviewOutcome, Role
from iamata.ledger.envelope import read_statement, sign_statement
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.emergencies import DeclareEmergency, ReviewEmergency
from iamata.ledger.transactions.late_emergencies import LateDeclaration, PostLateEmergency
from iamata.ledger.transactions.persons import AddPersonKey, RemovePersonKey, RevokePerson, SetRoles
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from ledger_access import disclose
from ledger_emergencies import declare, prepare, review, reviewer
from ledger_members import suspend
from ledger_patients import erase

CASES = Cases("late-emergencies", rules=2)


def state(world: World, patient: Party, person: Party, /, **changes: Any) -> Signed[LateDeclaration]:
    """Let a person declare a late emergency, an hour ago unless told otherwise."""
    declared_ms = world.clock() - MS_PER_HOUR
    fields: dict[str, Any] = {
        "emergency": world.derive_id("late"),
        "custodian": patient.custodian,
        "patient": patient.id,
        "commitment": world.derive_commitment("reason", "late"),
        "declared_ms": Instant(declared_ms),
        "until_ms": Instant(declared_ms + MS_PER_HOUR),
    }
    return person.author.state(LateDeclaration, **(fields | changes))


def post(
    world: World, declaration: Signed[LateDeclaration], *, name: str = "access", by: str = "hospital-a"
) -> bytes:
    """Write that records left under a declaration."""
    return world.node(by).author.write(
        PostLateEmergency,
        declaration=declaration,
        access=world.derive_id(name),
        commitment=world.derive_commitment("disclosure", name),
    )


def posted(world: World) -> tuple[Party, Party, Signed[LateDeclaration]]:
    """Have one access posted for Anna, whom Emil of hospital B declared a late emergency for."""
    anna, emil = prepare(world)
    declaration = state(world, anna, emil)
    world.memory.order([post(world, declaration)])
    return anna, emil, declaration


@CASES.add(
    "emergency.posted-late",
    "LED-LATE-1",
    "LED-LATE-6",
    why="What left in an outage comes to the ledger, marked late.",
)
def accepts_emergency_post_late(world: World) -> bytes:
    return post(world, state(world, *prepare(world)))


@CASES.add("emergency.posted-late", "LED-LATE-6", why="One declaration, several disclosures.")
def post_a_second_access(world: World) -> bytes:
    _, _, declaration = posted(world)
    return post(world, declaration, name="second")


@CASES.add("emergency.posted-late", "LED-LATE-2", why="Who lost the role since did break the glass.")
def post_of_a_person_without_the_role(world: World) -> bytes:
    anna, emil = prepare(world)
    declaration = state(world, anna, emil)
    world.node("hospital-b").author.submit(SetRoles, person=emil.id, roles=(Role.CLINICIAN,))
    return post(world, declaration)


@CASES.add("emergency.posted-late", "LED-LATE-2", why="Who was revoked since did break the glass.")
def post_of_a_revoked_person(world: World) -> bytes:
    anna, emil = prepare(world)
    declaration = state(world, anna, emil)
    world.node("hospital-b").author.submit(RevokePerson, person=emil.id)
    return post(world, declaration)


@CASES.add("emergency.posted-late", "LED-LATE-2", why="A key that was replaced since did sign.")
def post_with_a_retired_key(world: World) -> bytes:
    anna, emil = prepare(world)
    declaration, node = state(world, anna, emil), world.node("hospital-b").author
    possession = world.stranger("next").prove_possession(OwnerKind.PERSON, emil.id, member=emil.custodian)
    node.submit(AddPersonKey, person=emil.id, possession=possession)
    node.submit(RemovePersonKey, person=emil.id, key=emil.author.key.key_id)
    return post(world, declaration)


@CASES.add("emergency.posted-late", "LED-LATE-2", why="The declarer's member may be suspended since.")
def post_of_a_suspended_members_person(world: World) -> bytes:
    declaration = state(world, *prepare(world))
    suspend(world, "hospital-b")
    return post(world, declaration)


@CASES.add("emergency.posted-late", "LED-LATE-1", why="An erasure does not make undone what left before.")
def post_about_an_erased_patient(world: World) -> bytes:
    anna, emil = prepare(world)
    declaration = state(world, anna, emil)
    erase(world, anna)
    return post(world, declaration)


@CASES.add("emergency.posted-late", "LED-LATE-7", why="A fourth is recorded all the same: it happened.")
def post_beyond_the_open_ones(world: World) -> bytes:
    anna, emil = prepare(world)
    for name in ("first", "second", "third"):
        emil.author.submit(DeclareEmergency, **declare(world, anna, name=name))
    return post(world, state(world, anna, emil))


@CASES.add(
    Reason.TOO_MANY_OPEN_EMERGENCIES, "LED-LATE-7", "LED-EMG-4", why="A late one awaits its review, too."
)
def declare_beside_late_ones(world: World) -> bytes:
    anna, emil = prepare(world)
    for name in ("first", "second", "third"):
        declaration = state(world, anna, emil, emergency=world.derive_id(name))
        world.memory.order([post(world, declaration, name=name)])
    return emil.author.write(DeclareEmergency, **declare(world, anna))


@CASES.add(Reason.TOO_MANY_OPEN_EMERGENCIES, "LED-LATE-7", why="Every list has an end.")
def post_the_hundred_and_first(world: World) -> bytes:
    anna, emil = prepare(world)
    names = [str(number) for number in range(101)]
    *raws, last = [
        post(world, state(world, anna, emil, emergency=world.derive_id(name)), name=name) for name in names
    ]
    world.memory.order(raws)
    return last


@CASES.add(Reason.PRIVILEGE_SUSPENDED, "LED-LATE-8", "LED-EMG-10", why="A bad one costs the privilege.")
def declare_after_an_unjustified_late_one(world: World) -> bytes:
    anna, emil, _ = posted(world)
    reviewer(world).author.submit(ReviewEmergency, **review(world, ReviewOutcome.UNJUSTIFIED, name="late"))
    return emil.author.write(DeclareEmergency, **declare(world, anna))


@CASES.add("emergency.reviewed", "LED-LATE-6", "LED-LATE-8", why="The review is due from the posting on.")
def review_a_late_emergency(world: World) -> bytes:
    posted(world)
    return reviewer(world).author.write(ReviewEmergency, **review(world, name="late"))


@CASES.add(Reason.BASIS_NOT_ACTIVE, "LED-LATE-8", why="The late door does not lead to the ordinary one.")
def disclose_in_a_late_emergency(world: World) -> bytes:
    anna, emil = prepare(world)
    declaration = state(world, anna, emil, until_ms=Instant(world.clock() + MS_PER_HOUR))
    world.memory.order([post(world, declaration, name="first")])
    return disclose(world, anna, EmergencyBasis(declaration.payload.emergency))


@CASES.add(Reason.NOT_A_MEMBER, "LED-LATE-1", why="The custodian posts, not the person.")
def post_by_the_person(world: World) -> bytes:
    anna, emil = prepare(world)
    fields = {"access": world.derive_id("access"), "commitment": world.derive_commitment("disclosure")}
    return emil.author.write(PostLateEmergency, declaration=state(world, anna, emil), **fields)


@CASES.add(Reason.MEMBER_NOT_ACTIVE, "LED-LATE-1", why="A suspended custodian posts when it is back.")
def post_by_a_suspended_custodian(world: World) -> bytes:
    declaration = state(world, *prepare(world))
    suspend(world, "hospital-a")
    return post(world, declaration)


@CASES.add(Reason.NOT_THE_CUSTODIAN, "LED-LATE-1", why="A declaration serves the custodian that it names.")
def post_by_another_custodian(world: World) -> bytes:
    return post(world, state(world, *prepare(world)), by="hospital-c")


@CASES.add(Reason.NOT_THE_CUSTODIAN, "LED-LATE-1", why="Nobody posts about another's patient.")
def post_about_anothers_patient(world: World) -> bytes:
    anna, emil = prepare(world)
    return post(world, state(world, anna, emil, custodian="hospital-c"), by="hospital-c")


@CASES.add(Reason.UNKNOWN_PATIENT, "LED-LATE-1", why="Nobody by this pseudonym.")
def post_about_nobody(world: World) -> bytes:
    anna, emil = prepare(world)
    return post(world, state(world, anna, emil, patient=world.derive_id("nobody")))


@CASES.add(Reason.UNKNOWN_KEY, "LED-LATE-2", why="A stranger breaks no glass.")
def post_by_a_strangers_word(world: World) -> bytes:
    anna, emil = prepare(world)
    stranger = Party(emil.id, emil.custodian, world.stranger("forger"))
    return post(world, state(world, anna, stranger))


@CASES.add(Reason.NOT_THE_PERSON, "LED-LATE-2", why="A node cannot break the glass, the custodian's least.")
def post_by_a_nodes_word(world: World) -> bytes:
    anna, _ = prepare(world)
    return post(world, state(world, anna, world.node("hospital-a")))


@CASES.add(
    Reason.BAD_SIGNATURE, "LED-LATE-2", "LED-ENV-11", why="A declaration changed afterwards is forged."
)
def post_a_forged_declaration(world: World) -> bytes:
    anna, emil = prepare(world)
    true, other = state(world, anna, emil), state(world, anna, emil, patient=world.derive_id("x"))
    forged = ".".join((*true.text.split(".")[:2], other.text.split(".")[2]))
    return post(world, read_statement(forged, LateDeclaration))


@CASES.add(Reason.FOREIGN_NETWORK, "LED-LATE-2", "LED-ENV-10", why="Another network's outage is not ours.")
def post_a_foreign_declaration(world: World) -> bytes:
    anna, emil = prepare(world)
    foreign = msgspec.structs.replace(
        state(world, anna, emil).payload, network=world.derive_commitment("another network")
    )
    return post(world, sign_statement(foreign, emil.author.key))


@CASES.add("emergency.posted-late", "LED-LATE-3", why="Clocks differ by a few minutes.")
def post_from_a_clock_ahead(world: World) -> bytes:
    return post(world, from_ahead(world, 5 * MS_PER_MINUTE))


@CASES.add(Reason.EMERGENCY_TOO_LONG, "LED-LATE-3", why="Nobody breaks the glass ahead of time.")
def post_from_the_future(world: World) -> bytes:
    return post(world, from_ahead(world, 6 * MS_PER_MINUTE))


def from_ahead(world: World, ahead_ms: int) -> Signed[LateDeclaration]:
    """Declare with a clock that runs ahead."""
    anna, emil = prepare(world)
    declared_ms = world.clock() + ahead_ms
    return state(
        world, anna, emil, declared_ms=Instant(declared_ms), until_ms=Instant(declared_ms + MS_PER_HOUR)
    )


@CASES.add(Reason.EMERGENCY_TOO_LONG, "LED-LATE-3", why="Not even a vote could allow two days.")
def post_one_that_lasts_too_long(world: World) -> bytes:
    anna, emil = prepare(world)
    return post(world, state(world, anna, emil, until_ms=Instant(world.clock() + MS_PER_DAY)))


@CASES.add(Reason.EMERGENCY_TOO_LONG, "LED-LATE-3", why="What ends before it begins is none.")
def post_one_without_duration(world: World) -> bytes:
    anna, emil = prepare(world)
    return post(world, state(world, anna, emil, until_ms=Instant(world.clock() - MS_PER_HOUR)))


@CASES.add(
    "emergency.posted-late",
    "LED-LATE-3",
    why="A vote for shorter ones came in between: this one was within what was agreed then.",
    parameters=msgspec.structs.replace(DEFAULT_PARAMETERS, emergency_ms_max=MS_PER_MINUTE),
)
def post_after_a_vote_for_shorter_ones(world: World) -> bytes:
    return post(world, state(world, *prepare(world)))


@CASES.add("emergency.posted-late", "LED-LATE-4", why="An outage can last for weeks.")
def post_on_the_last_day(world: World) -> bytes:
    declaration = state(world, *prepare(world))
    world.clock.advance(30 * MS_PER_DAY - MS_PER_HOUR)
    return post(world, declaration)


@CASES.add(Reason.EXPIRED, "LED-LATE-4", why="After a month nobody remembers, and anybody could claim it.")
def post_what_is_long_past(world: World) -> bytes:
    declaration = state(world, *prepare(world))
    world.clock.advance(30 * MS_PER_DAY)
    return post(world, declaration)


@CASES.add(Reason.ACCESS_ALREADY_EXISTS, "LED-LATE-5", why="One access, one entry: a retry adds none.")
def post_twice(world: World) -> bytes:
    _, _, declaration = posted(world)
    return post(world, declaration)


@CASES.add(Reason.EMERGENCY_ALREADY_EXISTS, "LED-LATE-6", why="An id is one emergency's.")
def post_under_a_declared_emergencys_id(world: World) -> bytes:
    anna, emil = prepare(world)
    emil.author.submit(DeclareEmergency, **declare(world, anna, name="late"))
    return post(world, state(world, anna, emil))


@CASES.add(Reason.EMERGENCY_ALREADY_EXISTS, "LED-LATE-6", why="A second declaration has an id of its own.")
def post_another_declaration_under_the_id(world: World) -> bytes:
    anna, emil, _ = posted(world)
    other = state(world, anna, emil, commitment=world.derive_commitment("another reason"))
    return post(world, other, name="second")


@CASES.add(Reason.EMERGENCY_OVER, "LED-LATE-6", why="Nothing is slipped in behind the reviewer's back.")
def post_after_the_review(world: World) -> bytes:
    _, _, declaration = posted(world)
    reviewer(world).author.submit(ReviewEmergency, **review(world, name="late"))
    return post(world, declaration, name="second")
