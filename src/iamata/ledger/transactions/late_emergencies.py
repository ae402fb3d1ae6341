"""Late emergencies: a glass that was broken while the ledger gave no finality, posted by the custodian.

What is posted has happened, so the person's role, privilege and open reviews are not asked about here: the
custodian asked them of its last final state before anything left. Here is checked that the person did
declare it, to this custodian, for its patient, not long ago and not for long; and that it is answered for.
"""

from typing import ClassVar, Final

import msgspec

from iamata.ledger.context import Context
from iamata.ledger.entries import Access, Emergency, OwnerKind, Person
from iamata.ledger.events import EmergencyPostedLate
from iamata.ledger.parameters import EMERGENCY_MS_MAX
from iamata.ledger.transaction import Signed, Statement, Transaction
from iamata.model.ids import AccessId, Commitment, MemberId, PatientId, PersonId
from iamata.model.instants import MS_PER_DAY, MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, require

LATE_MS_MAX: Final = 30 * MS_PER_DAY
"""How long after its declaration a late emergency can be posted: the longest outage to answer for."""
CLOCKS_MS_MAX: Final = 5 * MS_PER_MINUTE
"""How far the declarer's clock may be ahead of a block's."""
AWAITING_MAX: Final = 100
"""Emergencies of one person that await review. What happened is recorded beyond the agreed number."""


class LateDeclaration(Statement):
    """Break the glass at one custodian without the ledger; the person signs, and answers for it later."""

    typ: ClassVar[str] = "iamata-late-emergency+jwt"

    emergency: AccessId
    custodian: MemberId
    patient: PatientId
    commitment: Commitment
    declared_ms: Instant
    until_ms: Instant


class PostLateEmergency(Transaction, tag="emergency.post-late"):
    """Tell the ledger of one disclosure in a late emergency; the first one records the emergency, too."""

    declaration: Signed[LateDeclaration]
    access: AccessId
    commitment: Commitment
    """As that of any disclosure: recipient, purpose and the list of records."""


def post_late_emergency(tx: PostLateEmergency, ctx: Context) -> EmergencyPostedLate:
    """Record what left in an emergency that its person declared without the ledger."""
    person_id, person = check_posting(tx, ctx)

    declared = tx.declaration.payload
    if declared.emergency not in ctx.state.emergencies:
        ctx.state.emergencies[declared.emergency] = Emergency(
            person=person_id,
            member=person.member,
            custodian=declared.custodian,
            patient=declared.patient,
            commitment=declared.commitment,
            until_ms=declared.until_ms,
            review_until_ms=Instant(ctx.time_ms + ctx.state.parameters.review_ms_max),
            declared_ms=declared.declared_ms,
        )
        awaiting = (*person.emergencies, declared.emergency)
        ctx.state.persons[person_id] = msgspec.structs.replace(person, emergencies=awaiting)
    ctx.state.accesses[tx.access] = write_access(tx)

    return EmergencyPostedLate(
        emergency=declared.emergency,
        access=tx.access,
        person=person_id,
        patient=declared.patient,
        custodian=declared.custodian,
        declared_ms=declared.declared_ms,
        until_ms=declared.until_ms,
    )


def check_posting(tx: PostLateEmergency, ctx: Context) -> tuple[PersonId, Person]:
    """Return who declared, or refuse what this custodian cannot post, or not now, or not twice."""
    custodian, declared = ctx.member, tx.declaration.payload
    require(declared.custodian == custodian, Reason.NOT_THE_CUSTODIAN)
    owner = ctx.state.keys[tx.declaration.key]
    require(owner.kind is OwnerKind.PERSON, Reason.NOT_THE_PERSON)
    patient = ctx.state.patients[declared.patient]
    require(patient.custodian == custodian, Reason.NOT_THE_CUSTODIAN)
    check_times(declared, time_ms=ctx.time_ms)
    require(tx.access not in ctx.state.accesses, Reason.ACCESS_ALREADY_EXISTS)
    person_id, person = PersonId(owner.owner), ctx.state.persons[owner.owner]
    known = ctx.state.emergencies.find(declared.emergency)
    if known is None:
        require(len(person.emergencies) < AWAITING_MAX, Reason.TOO_MANY_OPEN_EMERGENCIES)
    else:
        require(is_posted(known, declared, person=person_id), Reason.EMERGENCY_ALREADY_EXISTS)
        # What was judged was judged whole: nothing is slipped in behind the reviewer's back.
        require(known.outcome is None, Reason.EMERGENCY_OVER)
    return person_id, person


def write_access(tx: PostLateEmergency) -> Access:
    """Write the entry of a disclosure that the ledger was told of afterwards."""
    declared = tx.declaration.payload
    return Access(
        custodian=declared.custodian,
        patient=declared.patient,
        basis=f"emergency/{declared.emergency}",
        commitment=tx.commitment,
        is_late=True,
    )


def check_times(declared: LateDeclaration, *, time_ms: int) -> None:
    """Refuse a declaration from the future, from long ago, or for longer than any vote could allow.

    Not longer than the vote of the day allows: that one may have come between declaring and posting.
    """
    require(declared.declared_ms <= time_ms + CLOCKS_MS_MAX, Reason.EMERGENCY_TOO_LONG)
    longest_ms = declared.declared_ms + EMERGENCY_MS_MAX
    require(declared.declared_ms < declared.until_ms <= longest_ms, Reason.EMERGENCY_TOO_LONG)
    require(time_ms <= declared.declared_ms + LATE_MS_MAX, Reason.EXPIRED)


def is_posted(entry: Emergency, declared: LateDeclaration, *, person: PersonId) -> bool:
    """Tell whether what the ledger holds is just what was declared, by just this person."""
    held = (entry.person, entry.custodian, entry.patient, entry.commitment)
    times = (entry.declared_ms, entry.until_ms)
    said = (person, declared.custodian, declared.patient, declared.commitment)
    return (held, times) == (said, (declared.declared_ms, declared.until_ms))
