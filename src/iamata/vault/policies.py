"""What governs a patient's records: the ledger says what is in force, and our openings what it says."""

from collections.abc import Sequence
from typing import Final

import msgspec

from iamata.consent.policy import ConsentOnFile, Policy, list_statements
from iamata.consent.profiles import STRICT, ImplicitPolicy, Profile
from iamata.consent.purposes import EMERGENCIES, TREATMENT
from iamata.consent.requests import Request
from iamata.consent.terms import Rule, Ruling, Terms, decode_terms, inherit
from iamata.ledger.bases import is_in_force
from iamata.ledger.entries import Consent, Patient
from iamata.ledger.tables import CONSENTS, CURRENT, PARAMETERS, PATIENTS
from iamata.model.ids import Commitment, ConsentId, PatientId
from iamata.model.reasons import Reason, Refused
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.vault.opening import ListedRecord
from iamata.vault.openings import Opening, find_opening

TERMS: Final = "terms"
"""Kind of the commitment to the terms of a consent or a restriction."""
CARE: Final = (TREATMENT, *EMERGENCIES)
"""All that a consent may serve which the custodian signed for a patient without a key."""


def read_policy(  # noqa: PLR0913  all that it rests on
    view: LedgerView,
    custody: Custody,
    patient_id: PatientId,
    patient: Patient,
    *,
    day: int,
    profile: Profile = STRICT,
    is_own_staff: bool = False,
) -> Policy:
    """Gather all that a decision about a patient rests on."""
    parameters = PARAMETERS.find(view, CURRENT)
    if parameters is None:
        raise Refused(Reason.HOME_CORRUPT, "the ledger has no parameters")
    consents = []
    for consent_id in patient.consents:
        consent = CONSENTS.find(view, consent_id)
        if consent is None or not is_in_force(consent, patient, day=day):
            continue
        on_file = _read_consent(custody, consent_id, consent)
        if consent.is_custodial and not consent.is_confirmed:
            consents += _keep_to_care(on_file)
        else:
            consents.append(on_file)
    return Policy(
        patient=patient_id,
        profile=profile,
        implicit=ImplicitPolicy(parameters.policy),
        consents=tuple(consents),
        has_decided=patient.has_decided,
        is_own_staff=is_own_staff,
    )


def read_shared_policies(
    view: LedgerView,
    custody: Custody,
    listed: Sequence[ListedRecord],
    *,
    day: int,
    is_own_staff: bool = False,
) -> dict[str, tuple[Policy, ...]]:
    """Gather, for each record that is others' too, what governs it for them.

    Whoever was erased has no say left and can never agree again: outside the custodian that is a no.
    """
    policies: dict[PatientId, Policy] = {}
    for other in dict.fromkeys(other for one in listed for other in one.others):
        entry = PATIENTS.find(view, other)
        if entry is None or entry.is_erased:
            policies[other] = Policy(
                patient=other,
                profile=STRICT,
                implicit=ImplicitPolicy.DENY,
                has_decided=True,
                is_own_staff=is_own_staff,
            )
        else:
            policies[other] = read_policy(view, custody, other, entry, day=day, is_own_staff=is_own_staff)
    return {
        one.facts.record: tuple(policies[other] for other in one.others) for one in listed if one.others
    }


def may_permit(policy: Policy, request: Request, *, day: int) -> bool:
    """Tell whether anything on file says yes to a request at all, before a single record is looked at."""
    if policy.is_opening_missing:
        return False
    statements, _ = list_statements(policy, request, day=day)
    return any(
        sieve.is_permit
        for statement in statements
        if not statement.is_narrowing
        for sieve in statement.sieves
    )


def _read_consent(custody: Custody, consent_id: ConsentId, consent: Consent) -> ConsentOnFile:
    return ConsentOnFile(
        consent=consent_id,
        terms=read_terms(find_opening(custody, consent_id), consent.terms),
        restrictions=tuple(
            read_terms(find_opening(custody, restriction.terms), restriction.terms)
            for restriction in consent.restrictions
        ),
        until_day=consent.until_day,
    )


def read_terms(opening: Opening | None, commitment: Commitment) -> Terms | None:
    """Return the terms that an opening holds, None where it does not open what the ledger commits to."""
    if opening is None or opening.kind != TERMS or opening.commitment != commitment:
        return None
    return decode_terms(opening.payload)


def _keep_to_care(on_file: ConsentOnFile) -> list[ConsentOnFile]:
    """Take from a consent that the custodian signed what serves more than care; what it denies stays."""
    terms = on_file.terms
    if terms is None:
        return [on_file]
    if terms.decision is Ruling.PERMIT and not _serves_care(terms):
        return []
    exceptions = tuple(
        rule
        for rule in terms.exceptions
        if rule.decision is Ruling.DENY or _serves_care(inherit(rule, terms))
    )
    kept = msgspec.structs.replace(terms, exceptions=exceptions)
    return [msgspec.structs.replace(on_file, terms=kept)]


def _serves_care(rule: Rule) -> bool:
    return bool(rule.purposes) and all(purpose in CARE for purpose in rule.purposes)
