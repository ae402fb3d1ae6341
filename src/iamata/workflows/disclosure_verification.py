"""Decide again about what left: the ledger was told just this, and the patient permitted just that."""

from collections.abc import Sequence

from iamata.consent.decide import decide
from iamata.consent.policy import ConsentOnFile, Policy
from iamata.consent.profiles import STRICT, ImplicitPolicy
from iamata.consent.requests import Request
from iamata.consent.terms import Terms, decode_terms
from iamata.ledger.entries import Access, Consent, Role
from iamata.ledger.tables import CONSENTS, PATIENTS, PERSONS
from iamata.model.ids import Commitment, ConsentId
from iamata.model.reasons import Reason, Refused
from iamata.vault.custody import Custody
from iamata.vault.opening import ListedRecord, list_versions
from iamata.vault.openings import find_opening
from iamata.vault.policies import TERMS
from iamata.vault.sharing import compute_list_root
from iamata.workflows.messages import AccessDetails, Planned
from iamata.workflows.replayed import Leave, Replayed


def check_disclosure(
    custody: Custody, ledger: Replayed, planned: Planned, access: Access
) -> tuple[list[ListedRecord], bool]:
    """Check a disclosure; return what it listed, and whether it was decided again from its consent.

    Of an erased patient nothing is left but that the ledger was told of it.
    """
    details = planned.details
    is_told = (planned.commit(), details.patient, details.basis) == (
        access.commitment,
        access.patient,
        access.basis,
    )
    expect(is_told, f"disclosure {details.access}: the ledger was told something else")
    patient = PATIENTS.find(ledger.state.entries, details.patient)
    if patient is None or patient.is_erased:
        return [], False
    listed = check_list(custody, ledger, planned)
    consent_id = details.basis.removeprefix("consent/")
    consent = None if consent_id == details.basis else CONSENTS.find(ledger.state.entries, consent_id)
    if consent is not None:
        is_permitted = decide_again(custody, ledger, details, consent, listed)
        expect(is_permitted, f"disclosure {details.access}: its consent does not permit what left")
    return listed, consent is not None


def check_list(custody: Custody, ledger: Replayed, planned: Planned) -> list[ListedRecord]:
    """Return the very records that a plan lists, nothing of an erased patient; refuse any other list."""
    details = planned.details
    patient = PATIENTS.find(ledger.state.entries, details.patient)
    if patient is None or patient.is_erased:
        return []
    listed = find_versions(custody, planned)
    is_the_list = compute_list_root(one.commitment for one in listed) == details.list_root
    expect(is_the_list, f"disclosure {details.access}: it lists other records than it names")
    return listed


def find_versions(custody: Custody, planned: Planned) -> list[ListedRecord]:
    """Find the very versions that left, in their order; what is not here any more is left out."""
    versions = {
        (one.facts.record, one.version): one for one in list_versions(custody, planned.details.patient)
    }
    wanted = zip(planned.details.records, planned.versions, strict=True)
    return [versions[key] for key in wanted if key in versions]


def decide_again(
    custody: Custody,
    ledger: Replayed,
    details: AccessDetails,
    consent: Consent,
    listed: Sequence[ListedRecord],
) -> bool:
    """Tell whether a consent, narrowed as it was when the records left, permits each of them.

    A restriction whose opening is not held denies everything, then as now.
    """
    leave = ledger.history.get_leave(details.access)
    known_ms = leave.find_known_ms(details.at_ms)
    on_file = ConsentOnFile(
        consent=ConsentId(details.basis.removeprefix("consent/")),
        terms=read_held_terms(custody, details.basis.removeprefix("consent/"), consent.terms),
        restrictions=list_restrictions(custody, leave, known_ms=known_ms),
        until_day=consent.until_day,
    )
    policy = Policy(
        patient=details.patient,
        profile=STRICT,
        implicit=ImplicitPolicy.DENY,
        consents=(on_file,),
        has_decided=True,
    )
    request = describe_request(ledger, details, known_ms=known_ms)
    return not decide(policy, request, [one.facts for one in listed], at_ms=details.at_ms).refusals


def list_restrictions(custody: Custody, leave: Leave, *, known_ms: int) -> tuple[Terms | None, ...]:
    """List what had narrowed a consent by the time of the decision and still did when the records left."""
    return tuple(
        read_held_terms(custody, one.terms, one.terms)
        for one in leave.narrowings
        if one.time_ms <= known_ms
    )


def read_held_terms(custody: Custody, name: str, commitment: Commitment) -> Terms | None:
    """Return the terms that an opening holds, None where it does not open what the ledger commits to."""
    opening = find_opening(custody, name)
    if opening is None or opening.kind != TERMS or opening.commitment != commitment:
        return None
    return decode_terms(opening.payload)


def describe_request(ledger: Replayed, details: AccessDetails, *, known_ms: int) -> Request:
    """Put the question as it was asked; where the asker's roles were changed since, with any of them."""
    person = PERSONS.find(ledger.state.entries, details.person)
    is_same = person is not None and not ledger.history.has_changed(details.person, since_ms=known_ms)
    roles = person.roles if person is not None and is_same else tuple(Role)
    capacities = (f"person:{details.person}", f"member:{details.recipient}")
    return Request(recipients=(*capacities, *(f"role:{role}" for role in roles)), purpose=details.purpose)


def expect(holds: bool, fault: str) -> None:  # noqa: FBT001  reads as a sentence
    """Refuse with the name of a fault unless something holds."""
    if not holds:
        raise Refused(Reason.FAULT_FOUND, fault)
