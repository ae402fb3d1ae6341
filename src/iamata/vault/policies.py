"""What governs a patient's records: the ledger says what is in force, and our openings what it says."""

from typing import Final

from iamata.consent.policy import ConsentOnFile, Policy
from iamata.consent.profiles import STRICT, ImplicitPolicy, Profile
from iamata.consent.purposes import EMERGENCIES, TREATMENT
from iamata.consent.terms import Terms, decode_terms
from iamata.ledger.bases import is_in_force
from iamata.ledger.entries import Consent, Patient
from iamata.ledger.tables import CONSENTS, CURRENT, PARAMETERS
from iamata.model.ids import Commitment, ConsentId, PatientId
from iamata.model.reasons import Reason, Refused
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.vault.openings import Opening, find_opening, list_openings

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
    for opening in list_openings(custody, patient_id):
        consent = CONSENTS.find(view, opening.name) if opening.kind == TERMS else None
        if consent is not None and is_in_force(consent, patient, day=day):
            on_file = _read_consent(custody, ConsentId(opening.name), consent, opening)
            if not _oversteps(consent, on_file.terms):
                consents.append(on_file)
    return Policy(
        patient=patient_id,
        profile=profile,
        implicit=ImplicitPolicy(parameters.policy),
        consents=tuple(consents),
        has_decided=patient.has_decided,
        is_own_staff=is_own_staff,
    )


def _read_consent(
    custody: Custody, consent_id: ConsentId, consent: Consent, opening: Opening
) -> ConsentOnFile:
    return ConsentOnFile(
        consent=consent_id,
        terms=_read_terms(opening, consent.terms),
        restrictions=tuple(
            _read_terms(find_opening(custody, restriction.terms), restriction.terms)
            for restriction in consent.restrictions
        ),
        until_day=consent.until_day,
    )


def _read_terms(opening: Opening | None, commitment: Commitment) -> Terms | None:
    """Return the terms that an opening holds, None where it does not open what the ledger commits to."""
    if opening is None or opening.kind != TERMS or opening.commitment != commitment:
        return None
    return decode_terms(opening.payload)


def _oversteps(consent: Consent, terms: Terms | None) -> bool:
    """Tell whether a custodial consent would serve more than care: then it is none."""
    if terms is None or not consent.is_custodial or consent.is_confirmed:
        return False
    rules = (terms, *terms.exceptions)
    return any(not rule.purposes or any(one not in CARE for one in rule.purposes) for rule in rules)
