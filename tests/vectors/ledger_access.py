"""Cases of access: disclosures and what they rest on, anchors over reads."""

from typing import Any

import msgspec

from iamata.ledger.bases import ConsentBasis, EmergencyBasis, PolicyBasis
from iamata.ledger.entries import ImplicitPolicy, Role
from iamata.ledger.parameters import DEFAULT_PARAMETERS
from iamata.ledger.transactions.access import AnchorReads, Disclose
from iamata.ledger.transactions.consents import ReplaceConsent, WithdrawConsent
from iamata.ledger.transactions.emergencies import ReviewEmergency
from iamata.ledger.transactions.persons import RevokePerson, SetRoles
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from ledger_consents import settle_custodial, take_over
from ledger_emergencies import break_glass, review, reviewer
from ledger_members import suspend
from ledger_patients import erase

CASES = Cases("access")
OPEN_POLICY = msgspec.structs.replace(DEFAULT_PARAMETERS, policy=ImplicitPolicy.BASIC_NORMAL)


def disclose(world: World, patient: Party, basis: Any, *, by: str = "hospital-a") -> bytes:
    """Write a disclosure."""
    return world.node(by).author.write(
        Disclose,
        access=world.derive_id("access"),
        patient=patient.id,
        basis=basis,
        commitment=world.derive_commitment("disclosure"),
    )


def consented(world: World) -> tuple[Party, ConsentBasis]:
    """Let Anna consent at hospital A."""
    anna = world.enrol_patient("anna", custodian="hospital-a")
    return anna, ConsentBasis(world.grant("c1", anna))


@CASES.add("access.disclosed", "LED-ACC-1", "LED-ACC-2", why="A consent in force opens the way.")
def accepts_access_disclose(world: World) -> bytes:
    return disclose(world, *consented(world))


@CASES.add(Reason.ACCESS_ALREADY_EXISTS, "LED-ACC-1", why="One access, one entry: a retry adds none.")
def disclose_twice(world: World) -> bytes:
    anna, basis = consented(world)
    world.memory.order([disclose(world, anna, basis)])
    return disclose(world, anna, basis)


@CASES.add(Reason.NOT_THE_CUSTODIAN, "LED-ACC-1", why="Nobody discloses what another holds.")
def disclose_anothers_records(world: World) -> bytes:
    return disclose(world, *consented(world), by="hospital-b")


@CASES.add(
    Reason.MEMBER_NOT_ACTIVE, "LED-ACC-1", "LED-MEM-2", why="A suspended custodian releases nothing."
)
def disclose_while_suspended(world: World) -> bytes:
    anna, basis = consented(world)
    suspend(world, "hospital-a")
    return disclose(world, anna, basis)


@CASES.add(Reason.UNKNOWN_PATIENT, "LED-ACC-1", why="Nobody by this pseudonym.")
def disclose_records_of_nobody(world: World) -> bytes:
    anna, basis = consented(world)
    nobody = Party(id=world.derive_id("nobody"), custodian=anna.custodian, author=anna.author)
    return disclose(world, nobody, basis)


@CASES.add(Reason.PATIENT_ERASED, "LED-ACC-1", "LED-REC-4", why="Nothing is left to disclose.")
def disclose_after_erasure(world: World) -> bytes:
    anna, basis = consented(world)
    erase(world, anna)
    return disclose(world, anna, basis)


@CASES.add(Reason.UNKNOWN_CONSENT, "LED-ACC-2", why="A consent that the ledger does not know is none.")
def disclose_on_an_unknown_consent(world: World) -> bytes:
    anna, _ = consented(world)
    return disclose(world, anna, ConsentBasis(world.derive_id("nothing")))


@CASES.add(
    Reason.CONSENT_OF_ANOTHER_PATIENT,
    "LED-ACC-2",
    why="One patient's consent opens only that patient's records.",
)
def disclose_on_anothers_consent(world: World) -> bytes:
    _, basis = consented(world)
    return disclose(world, world.enrol_patient("bert", custodian="hospital-a"), basis)


@CASES.add(
    Reason.BASIS_NOT_ACTIVE, "LED-ACC-2", "LED-CON-17", why="A withdrawal counts from its own block."
)
def disclose_after_withdrawal(world: World) -> bytes:
    anna, basis = consented(world)
    anna.author.submit(WithdrawConsent, consent=basis.consent)
    return disclose(world, anna, basis)


@CASES.add(Reason.BASIS_NOT_ACTIVE, "LED-ACC-2", "LED-CON-9", why="Replaced terms permit nothing.")
def disclose_on_replaced_terms(world: World) -> bytes:
    anna, basis = consented(world)
    grant = world.state_grant("c2", anna, replaces=basis.consent)
    world.node("hospital-a").author.submit(ReplaceConsent, grant=grant)
    return disclose(world, anna, basis)


@CASES.add(
    Reason.BASIS_NOT_ACTIVE,
    "LED-CON-18",
    "LED-TIME-5",
    why="A consent ends with its last day, without a tick.",
)
def disclose_after_expiry(world: World) -> bytes:
    anna, basis = consented(world)
    world.clock.advance(366 * MS_PER_DAY)
    return disclose(world, anna, basis)


@CASES.add("access.disclosed", "LED-CON-18", "LED-TIME-4", why="The last day still counts.")
def disclose_on_the_last_day(world: World) -> bytes:
    anna, basis = consented(world)
    world.clock.advance(365 * MS_PER_DAY)
    return disclose(world, anna, basis)


@CASES.add(
    "access.disclosed", "LED-CON-18", why="A custodial consent holds while the patient may still confirm."
)
def disclose_on_a_custodial_consent_before_the_lapse(world: World) -> bytes:
    anna, consent = settle_custodial(world)
    take_over(world, anna)
    world.clock.advance(90 * MS_PER_DAY)
    return disclose(world, anna, ConsentBasis(consent))


@CASES.add(
    Reason.BASIS_NOT_ACTIVE,
    "LED-CON-18",
    why="A custodial consent that the patient never confirmed lapses.",
)
def disclose_on_a_lapsed_custodial_consent(world: World) -> bytes:
    anna, consent = settle_custodial(world)
    take_over(world, anna)
    world.clock.advance(91 * MS_PER_DAY)
    return disclose(world, anna, ConsentBasis(consent))


@CASES.add(
    "access.disclosed",
    "LED-ACC-3",
    why="Where the policy allows, silence is enough.",
    parameters=OPEN_POLICY,
)
def disclose_by_policy(world: World) -> bytes:
    return disclose(world, world.enrol_patient("anna", custodian="hospital-a"), PolicyBasis())


@CASES.add(
    Reason.CONSENT_ON_FILE,
    "LED-ACC-3",
    "LED-CON-19",
    why="Who withdrew has spoken.",
    parameters=OPEN_POLICY,
)
def disclose_by_policy_after_a_decision(world: World) -> bytes:
    anna, basis = consented(world)
    anna.author.submit(WithdrawConsent, consent=basis.consent)
    return disclose(world, anna, PolicyBasis())


@CASES.add(Reason.POLICY_FORBIDS, "LED-ACC-3", why="By default silence is no.")
def disclose_against_policy(world: World) -> bytes:
    return disclose(world, world.enrol_patient("anna", custodian="hospital-a"), PolicyBasis())


@CASES.add("access.disclosed", "LED-ACC-4", why="A glass broken in the open lets records out.")
def disclose_in_an_emergency(world: World) -> bytes:
    anna, _, basis = broken_glass(world)
    return disclose(world, anna, basis)


@CASES.add(Reason.UNKNOWN_EMERGENCY, "LED-ACC-4", why="An emergency that nobody declared is none.")
def disclose_in_an_unknown_emergency(world: World) -> bytes:
    anna = world.enrol_patient("anna", custodian="hospital-a")
    return disclose(world, anna, EmergencyBasis(world.derive_id("nothing")))


@CASES.add(Reason.BASIS_NOT_ACTIVE, "LED-ACC-4", why="One patient's emergency is not another's.")
def disclose_in_anothers_emergency(world: World) -> bytes:
    _, _, basis = broken_glass(world)
    return disclose(world, world.enrol_patient("bert", custodian="hospital-a"), basis)


@CASES.add(Reason.EMERGENCY_OVER, "LED-ACC-4", why="An emergency has an end.")
def disclose_after_the_emergency(world: World) -> bytes:
    anna, _, basis = broken_glass(world)
    world.clock.advance(2 * MS_PER_HOUR)
    return disclose(world, anna, basis)


@CASES.add(Reason.BASIS_NOT_ACTIVE, "LED-ACC-4", why="Who was revoked has no emergency any more.")
def disclose_in_the_emergency_of_a_revoked_person(world: World) -> bytes:
    anna, emil, basis = broken_glass(world)
    world.node("hospital-b").author.submit(RevokePerson, person=emil.id)
    return disclose(world, anna, basis)


@CASES.add(Reason.MEMBER_NOT_ACTIVE, "LED-ACC-4", why="A suspended member's staff receives nothing.")
def disclose_in_the_emergency_of_a_suspended_member(world: World) -> bytes:
    anna, _, basis = broken_glass(world)
    suspend(world, "hospital-b")
    return disclose(world, anna, basis)


@CASES.add(Reason.EMERGENCY_OVER, "LED-ACC-4", "LED-EMG-10", why="A review closes the emergency.")
def disclose_in_a_reviewed_emergency(world: World) -> bytes:
    anna, _, basis = broken_glass(world)
    reviewer(world).author.submit(ReviewEmergency, **review(world))
    return disclose(world, anna, basis)


@CASES.add(Reason.BASIS_NOT_ACTIVE, "LED-ACC-4", why="Who lost the role has no emergency any more.")
def disclose_in_the_emergency_of_a_person_without_the_role(world: World) -> bytes:
    anna, emil, basis = broken_glass(world)
    world.node("hospital-b").author.submit(SetRoles, person=emil.id, roles=(Role.CLINICIAN,))
    return disclose(world, anna, basis)


@CASES.add("access.anchored", "LED-ACC-6", why="Reads inside the custodian come in batches.")
def accepts_access_anchor(world: World) -> bytes:
    return world.node("hospital-a").author.write(AnchorReads, **reads(world))


@CASES.add(Reason.ANCHOR_ALREADY_EXISTS, "LED-ACC-6", why="An anchor's id is used once.")
def anchor_reads_twice(world: World) -> bytes:
    world.node("hospital-a").author.submit(AnchorReads, **reads(world))
    return world.node("hospital-a").author.write(AnchorReads, **reads(world))


def reads(world: World) -> dict[str, Any]:
    """Describe an anchor over reads."""
    return {"anchor": world.derive_id("anchor"), "root": world.derive_commitment("root"), "count": 4}


def broken_glass(world: World) -> tuple[Party, Party, EmergencyBasis]:
    """Let Emil of hospital B break the glass for Anna at hospital A."""
    anna, emil, fields = break_glass(world)
    return anna, emil, EmergencyBasis(fields["emergency"])
