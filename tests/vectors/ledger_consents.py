"""Cases of consents: granted, replaced, custodial, narrowed, lifted, withdrawn."""

from typing import Any

from iamata.ledger.entries import OwnerKind
from iamata.ledger.entries import RESTRICTIONS_MAX, Role
from iamata.ledger.transactions.consents import (
    ConfirmConsent,
    GrantConsent,
    GrantCustodialConsent,
    LiftRestriction,
    ReplaceConsent,
    RestrictConsent,
    RestrictForPatient,
    StaffApproval,
    WithdrawConsent,
)
from iamata.ledger.transactions.members import LeaveNetwork
from iamata.ledger.transactions.patients import TakeOver
from iamata.ledger.transactions.persons import RevokePerson
from iamata.model.ids import ConsentId
from iamata.model.instants import MS_PER_DAY, Day
from iamata.model.reasons import Reason
from iamata.testing.vectors import Cases
from iamata.testing.world import Party, World
from iamata.workflows.author import Author
from ledger_patients import erase

CASES = Cases("consents")


def enrol_anna(world: World, *, is_custodial: bool = False) -> Party:
    """Enrol the patient whom these cases are about."""
    return world.enrol_patient("anna", custodian="hospital-a", is_custodial=is_custodial)


def vouch(world: World, name: str, *, member: str = "hospital-a", **changes: Any) -> Any:
    """Let a registrar approve the consent `c1`."""
    registrar = world.register_person(name, member=member, roles=(Role.REGISTRAR,))
    return approve(world, registrar.author, **changes)


def approve(world: World, author: Author, **changes: Any) -> Any:
    """Let any key approve the consent `c1`."""
    fields = {
        "consent": world.derive_id("consent", "c1"),
        "patient": world.derive_id("patient", "hospital-a", "anna"),
        "terms": world.derive_commitment("terms", "c1"),
        "until_day": Day(world.today + 365),
        "evidence": world.derive_commitment("evidence"),
    }
    return author.state(StaffApproval, **(fields | changes))


def grant_custodial(world: World, anna: Party, first: Any, second: Any) -> dict[str, Any]:
    """Describe a custodial consent `c1`."""
    return {
        "grant": world.state_grant("c1", anna),
        "first": first,
        "second": second,
        "evidence": world.derive_commitment("evidence"),
    }


def settle_custodial(world: World) -> tuple[Party, ConsentId]:
    """Let the custodian sign for Anna, on the word of two."""
    anna = enrol_anna(world, is_custodial=True)
    fields = grant_custodial(world, anna, vouch(world, "rosa"), vouch(world, "rolf"))
    world.node("hospital-a").author.submit(GrantCustodialConsent, **fields)
    return anna, ConsentId(fields["grant"].payload.consent)


def take_over(world: World, anna: Party) -> Author:
    """Let Anna come and take over; return what signs for her now."""
    own = world.stranger("anna herself")
    world.node("hospital-a").author.submit(
        TakeOver, patient=anna.id, possession=own.prove_possession(OwnerKind.PATIENT, anna.id, member=anna.custodian)
    )
    return own


@CASES.add("consent.granted", "LED-CON-1", "LED-CON-2", why="Patient and custodian widen together.")
def accepts_consent_grant(world: World) -> bytes:
    grant = world.state_grant("c1", enrol_anna(world))
    return world.node("hospital-a").author.write(GrantConsent, grant=grant)


@CASES.add(Reason.NOT_THE_CUSTODIAN, "LED-CON-1", why="Who does not hold the opening cannot countersign.")
def grant_through_another_member(world: World) -> bytes:
    grant = world.state_grant("c1", enrol_anna(world))
    return world.node("hospital-b").author.write(GrantConsent, grant=grant)


@CASES.add(
    Reason.NOT_THE_CUSTODIAN, "LED-CON-3", why="A patient's word binds only who knows the pseudonym."
)
def grant_at_a_member_that_is_not_the_patients_custodian(world: World) -> bytes:
    grant = world.state_grant("c1", enrol_anna(world), custodian="hospital-b")
    return world.node("hospital-b").author.write(GrantConsent, grant=grant)


@CASES.add(Reason.NOT_A_MEMBER, "LED-CON-1", "LED-MEM-1", why="The patient alone cannot widen.")
def grant_by_the_patient_alone(world: World) -> bytes:
    anna = enrol_anna(world)
    return anna.author.write(GrantConsent, grant=world.state_grant("c1", anna))


@CASES.add(Reason.UNKNOWN_PATIENT, "LED-CON-3", why="Nobody by this pseudonym.")
def grant_of_nobody(world: World) -> bytes:
    grant = world.state_grant("c1", enrol_anna(world), patient=world.derive_id("nobody"))
    return world.node("hospital-a").author.write(GrantConsent, grant=grant)


@CASES.add(Reason.NOT_THE_PATIENT, "LED-CON-2", why="One patient's word does not bind another's records.")
def grant_signed_by_another_patient(world: World) -> bytes:
    anna, bert = enrol_anna(world), world.enrol_patient("bert", custodian="hospital-a")
    grant = world.state_grant("c1", bert, patient=anna.id)
    return world.node("hospital-a").author.write(GrantConsent, grant=grant)


@CASES.add(Reason.NOT_THE_PATIENT, "LED-CON-2", why="The custodian cannot write the patient's word itself.")
def grant_signed_by_the_custodian(world: World) -> bytes:
    anna = enrol_anna(world)
    forger = Party(id=anna.id, custodian=anna.custodian, author=world.node("hospital-a").author)
    return forger.author.write(GrantConsent, grant=world.state_grant("c1", forger))


@CASES.add(Reason.PATIENT_ERASED, "LED-CON-3", why="There are no records left to consent to.")
def grant_after_erasure(world: World) -> bytes:
    anna = enrol_anna(world)
    erase(world, anna)
    return world.node("hospital-a").author.write(GrantConsent, grant=world.state_grant("c1", anna))


@CASES.add(Reason.CONSENT_ALREADY_EXPIRED, "LED-CON-4", why="Yesterday's terms bind nobody.")
def grant_until_yesterday(world: World) -> bytes:
    grant = world.state_grant("c1", enrol_anna(world), days=-1)
    return world.node("hospital-a").author.write(GrantConsent, grant=grant)


@CASES.add(Reason.EXPIRED, "LED-CON-20", why="A patient's word does not lie in wait.")
def grant_posted_too_late(world: World) -> bytes:
    grant = world.state_grant("c1", enrol_anna(world), submit_until_day=Day(world.today - 1))
    return world.node("hospital-a").author.write(GrantConsent, grant=grant)


@CASES.add(
    Reason.CONSENT_ALREADY_EXISTS,
    "LED-CON-5",
    why="A grant is submitted once, though its envelope differs.",
)
def grant_twice(world: World) -> bytes:
    anna = enrol_anna(world)
    world.grant("c1", anna)
    return world.node("hospital-a").author.write(GrantConsent, grant=world.state_grant("c1", anna))


@CASES.add(Reason.PATIENT_CUSTODIAL, "LED-CON-6", why="A custodial key cannot pass as the patient's.")
def grant_by_a_custodial_key(world: World) -> bytes:
    grant = world.state_grant("c1", enrol_anna(world, is_custodial=True))
    return world.node("hospital-a").author.write(GrantConsent, grant=grant)


@CASES.add(
    Reason.MALFORMED, "LED-CON-7", why="A grant that replaces must not leave the old terms in force."
)
def grant_what_was_meant_to_replace(world: World) -> bytes:
    anna = enrol_anna(world)
    grant = world.state_grant("c2", anna, replaces=world.grant("c1", anna))
    return world.node("hospital-a").author.write(GrantConsent, grant=grant)


@CASES.add("consent.granted", "LED-CON-9", why="New terms take the place of the old in one instant.")
def accepts_consent_replace(world: World) -> bytes:
    anna = enrol_anna(world)
    grant = world.state_grant("c2", anna, replaces=world.grant("c1", anna))
    return world.node("hospital-a").author.write(ReplaceConsent, grant=grant)


@CASES.add(Reason.MALFORMED, "LED-CON-7", why="What replaces must say what it replaces.")
def replace_nothing(world: World) -> bytes:
    grant = world.state_grant("c1", enrol_anna(world))
    return world.node("hospital-a").author.write(ReplaceConsent, grant=grant)


@CASES.add(Reason.UNKNOWN_CONSENT, "LED-CON-8", why="There is nothing to replace.")
def replace_an_unknown_consent(world: World) -> bytes:
    grant = world.state_grant("c2", enrol_anna(world), replaces=world.derive_id("consent", "c1"))
    return world.node("hospital-a").author.write(ReplaceConsent, grant=grant)


@CASES.add(Reason.CONSENT_OF_ANOTHER_PATIENT, "LED-CON-8", why="One patient cannot end another's consent.")
def replace_anothers_consent(world: World) -> bytes:
    anna, bert = enrol_anna(world), world.enrol_patient("bert", custodian="hospital-a")
    grant = world.state_grant("c2", bert, replaces=world.grant("c1", anna))
    return world.node("hospital-a").author.write(ReplaceConsent, grant=grant)


@CASES.add(Reason.CONSENT_NOT_ACTIVE, "LED-CON-8", why="What is over stays over.")
def replace_a_withdrawn_consent(world: World) -> bytes:
    anna = enrol_anna(world)
    consent = world.grant("c1", anna)
    anna.author.submit(WithdrawConsent, consent=consent)
    grant = world.state_grant("c2", anna, replaces=consent)
    return world.node("hospital-a").author.write(ReplaceConsent, grant=grant)


@CASES.add(
    "consent.granted", "LED-CON-10", "LED-CON-11", why="Two of the staff vouch for a patient without a key."
)
def accepts_consent_grant_custodial(world: World) -> bytes:
    anna = enrol_anna(world, is_custodial=True)
    fields = grant_custodial(world, anna, vouch(world, "rosa"), vouch(world, "rolf"))
    return world.node("hospital-a").author.write(GrantCustodialConsent, **fields)


@CASES.add(Reason.PATIENT_NOT_CUSTODIAL, "LED-CON-10", why="Who holds a key speaks for oneself.")
def grant_custodial_for_a_patient_with_a_key(world: World) -> bytes:
    fields = grant_custodial(world, enrol_anna(world), vouch(world, "rosa"), vouch(world, "rolf"))
    return world.node("hospital-a").author.write(GrantCustodialConsent, **fields)


@CASES.add(Reason.STAFF_SIGNATURES_MISSING, "LED-CON-11", why="One person is not two.")
def grant_custodial_with_one_person_twice(world: World) -> bytes:
    anna, rosa = enrol_anna(world, is_custodial=True), vouch(world, "rosa")
    fields = grant_custodial(world, anna, rosa, rosa)
    return world.node("hospital-a").author.write(GrantCustodialConsent, **fields)


@CASES.add(
    Reason.STAFF_SIGNATURES_MISSING, "LED-CON-11", why="Another member's staff has not seen the evidence."
)
def grant_custodial_with_anothers_staff(world: World) -> bytes:
    anna = enrol_anna(world, is_custodial=True)
    fields = grant_custodial(world, anna, vouch(world, "rosa"), vouch(world, "rolf", member="hospital-b"))
    return world.node("hospital-a").author.write(GrantCustodialConsent, **fields)


@CASES.add(
    Reason.STAFF_SIGNATURES_MISSING, "LED-CON-11", why="An approval is for these terms and this evidence."
)
def grant_custodial_with_an_approval_of_other_terms(world: World) -> bytes:
    anna = enrol_anna(world, is_custodial=True)
    other = vouch(world, "rolf", terms=world.derive_commitment("other terms"))
    fields = grant_custodial(world, anna, vouch(world, "rosa"), other)
    return world.node("hospital-a").author.write(GrantCustodialConsent, **fields)


@CASES.add(Reason.STAFF_SIGNATURES_MISSING, "LED-CON-11", why="The node is not a person.")
def grant_custodial_with_the_nodes_approval(world: World) -> bytes:
    anna = enrol_anna(world, is_custodial=True)
    fields = grant_custodial(
        world, anna, vouch(world, "rosa"), approve(world, world.node("hospital-a").author)
    )
    return world.node("hospital-a").author.write(GrantCustodialConsent, **fields)


@CASES.add(Reason.STAFF_SIGNATURES_MISSING, "LED-CON-11", why="Who has left no longer vouches.")
def grant_custodial_with_a_revoked_person(world: World) -> bytes:
    anna = enrol_anna(world, is_custodial=True)
    fields = grant_custodial(world, anna, vouch(world, "rosa"), vouch(world, "rolf"))
    world.node("hospital-a").author.submit(RevokePerson, person=world.derive_id("person", "rolf"))
    return world.node("hospital-a").author.write(GrantCustodialConsent, **fields)


@CASES.add(Reason.UNKNOWN_KEY, "LED-CON-11", why="A key that the ledger never saw vouches for nothing.")
def grant_custodial_with_a_strangers_approval(world: World) -> bytes:
    anna = enrol_anna(world, is_custodial=True)
    fields = grant_custodial(world, anna, vouch(world, "rosa"), approve(world, world.stranger("x")))
    return world.node("hospital-a").author.write(GrantCustodialConsent, **fields)


@CASES.add("consent.confirmed", "LED-CON-12", why="The patient stands by what was signed before.")
def accepts_consent_confirm(world: World) -> bytes:
    anna, consent = settle_custodial(world)
    return take_over(world, anna).write(ConfirmConsent, consent=consent)


@CASES.add(Reason.CONSENT_NOT_CUSTODIAL, "LED-CON-12", why="One's own word needs no confirmation.")
def confirm_ones_own_consent(world: World) -> bytes:
    anna = enrol_anna(world)
    return anna.author.write(ConfirmConsent, consent=world.grant("c1", anna))


@CASES.add(Reason.CONSENT_ALREADY_EXPIRED, "LED-CON-12", "LED-CON-18", why="What lapsed needs a new grant.")
def confirm_after_the_lapse(world: World) -> bytes:
    anna, consent = settle_custodial(world)
    own = take_over(world, anna)
    world.clock.advance(91 * MS_PER_DAY)
    return own.write(ConfirmConsent, consent=consent)


@CASES.add(
    Reason.UNKNOWN_SIGNER, "LED-PAT-7", "LED-KEY-7", why="After the take-over the custodian's key is dead."
)
def confirm_with_the_custodial_key(world: World) -> bytes:
    anna, consent = settle_custodial(world)
    take_over(world, anna)
    return anna.author.write(ConfirmConsent, consent=consent)


@CASES.add("consent.narrowed", "LED-CON-13", why="The patient narrows alone.")
def accepts_consent_restrict(world: World) -> bytes:
    anna = enrol_anna(world)
    fields = {"consent": world.grant("c1", anna), "terms": world.derive_commitment("less")}
    return anna.author.write(RestrictConsent, **fields)


@CASES.add(Reason.UNKNOWN_CONSENT, "LED-CON-13", why="There is nothing to narrow.")
def restrict_an_unknown_consent(world: World) -> bytes:
    anna = enrol_anna(world)
    return anna.author.write(
        RestrictConsent, consent=world.derive_id("nothing"), terms=world.derive_commitment("less")
    )


@CASES.add(Reason.NOT_THE_PATIENT, "LED-CON-13", why="Nobody else narrows in the patient's name.")
def restrict_by_another_patient(world: World) -> bytes:
    anna, bert = enrol_anna(world), world.enrol_patient("bert", custodian="hospital-a")
    fields = {"consent": world.grant("c1", anna), "terms": world.derive_commitment("less")}
    return bert.author.write(RestrictConsent, **fields)


@CASES.add(Reason.CONSENT_ALREADY_EXISTS, "LED-CON-14", why="The same restriction twice says nothing new.")
def restrict_twice(world: World) -> bytes:
    anna = enrol_anna(world)
    fields = {"consent": world.grant("c1", anna), "terms": world.derive_commitment("less")}
    anna.author.submit(RestrictConsent, **fields)
    return anna.author.write(RestrictConsent, **fields)


@CASES.add(Reason.TOO_LARGE, "LED-CON-14", why="Every list has an end.")
def restrict_without_end(world: World) -> bytes:
    anna = enrol_anna(world)
    consent = world.grant("c1", anna)
    for number in range(RESTRICTIONS_MAX):
        terms = world.derive_commitment("less", str(number))
        anna.author.submit(RestrictConsent, consent=consent, terms=terms)
    return anna.author.write(RestrictConsent, consent=consent, terms=world.derive_commitment("more"))


@CASES.add("consent.narrowed", "LED-CON-15", why="The custodian narrows for the patient, with evidence.")
def accepts_consent_restrict_for(world: World) -> bytes:
    consent = world.grant("c1", enrol_anna(world))
    return world.node("hospital-a").author.write(RestrictForPatient, **narrow_for(world, consent))


@CASES.add(Reason.NOT_THE_CUSTODIAN, "LED-CON-15", why="Another member has no say over these records.")
def restrict_for_a_patient_of_another(world: World) -> bytes:
    consent = world.grant("c1", enrol_anna(world))
    return world.node("hospital-b").author.write(RestrictForPatient, **narrow_for(world, consent))


@CASES.add(Reason.CONSENT_NOT_ACTIVE, "LED-CON-15", why="What is over cannot be narrowed.")
def restrict_for_a_withdrawn_consent(world: World) -> bytes:
    anna = enrol_anna(world)
    consent = world.grant("c1", anna)
    anna.author.submit(WithdrawConsent, consent=consent)
    return world.node("hospital-a").author.write(RestrictForPatient, **narrow_for(world, consent))


@CASES.add("consent.lifted", "LED-CON-16", why="Only the patient undoes what the custodian narrowed.")
def accepts_consent_lift(world: World) -> bytes:
    anna = enrol_anna(world)
    fields = narrow_for(world, world.grant("c1", anna))
    world.node("hospital-a").author.submit(RestrictForPatient, **fields)
    return anna.author.write(LiftRestriction, consent=fields["consent"], terms=fields["terms"])


@CASES.add(
    Reason.NOTHING_TO_LIFT, "LED-CON-16", why="The patient's own restriction needs a new grant to go away."
)
def lift_ones_own_restriction(world: World) -> bytes:
    anna = enrol_anna(world)
    fields = {"consent": world.grant("c1", anna), "terms": world.derive_commitment("less")}
    anna.author.submit(RestrictConsent, **fields)
    return anna.author.write(LiftRestriction, **fields)


@CASES.add(Reason.NOT_THE_PATIENT, "LED-CON-16", why="The custodian cannot take its own restriction back.")
def lift_by_the_custodian(world: World) -> bytes:
    fields = narrow_for(world, world.grant("c1", enrol_anna(world)))
    node = world.node("hospital-a").author
    node.submit(RestrictForPatient, **fields)
    return node.write(LiftRestriction, consent=fields["consent"], terms=fields["terms"])


@CASES.add("consent.withdrawn", "LED-CON-17", why="The patient withdraws alone.")
def accepts_consent_withdraw(world: World) -> bytes:
    anna = enrol_anna(world)
    return anna.author.write(WithdrawConsent, consent=world.grant("c1", anna))


@CASES.add(
    "consent.withdrawn", "LED-CON-17", why="A withdrawal needs nobody, not even an active custodian."
)
def withdraw_from_a_member_that_left(world: World) -> bytes:
    anna = enrol_anna(world)
    consent = world.grant("c1", anna)
    world.node("hospital-a").author.submit(LeaveNetwork)
    return anna.author.write(WithdrawConsent, consent=consent)


@CASES.add(
    Reason.NOT_THE_PATIENT, "LED-CON-17", why="A custodian cannot end a consent in the patient's name."
)
def withdraw_by_the_custodian(world: World) -> bytes:
    consent = world.grant("c1", enrol_anna(world))
    return world.node("hospital-a").author.write(WithdrawConsent, consent=consent)


@CASES.add(Reason.CONSENT_NOT_ACTIVE, "LED-CON-17", why="A consent ends once.")
def withdraw_twice(world: World) -> bytes:
    anna = enrol_anna(world)
    consent = world.grant("c1", anna)
    anna.author.submit(WithdrawConsent, consent=consent)
    return anna.author.write(WithdrawConsent, consent=consent)


def narrow_for(world: World, consent: str) -> dict[str, Any]:
    """Describe a restriction by the custodian."""
    return {
        "consent": consent,
        "terms": world.derive_commitment("less"),
        "evidence": world.derive_commitment("evidence"),
    }
