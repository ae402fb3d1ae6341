"""Consents arrive at their custodian: what the patient signed is opened, kept, countersigned, submitted."""

from typing import Any

from iamata.consent.policy import is_narrowing
from iamata.consent.terms import decode_terms
from iamata.crypto.jws import verify_jws
from iamata.ledger.envelope import read_statement
from iamata.ledger.tables import CONSENTS
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.consents import (
    Grant,
    GrantConsent,
    GrantCustodialConsent,
    ReplaceConsent,
    RestrictForPatient,
    StaffApproval,
)
from iamata.model.canonical import encode_struct
from iamata.model.ids import Commitment, ConsentId, PatientId, decode_digest, encode_digest
from iamata.model.reasons import Reason, require
from iamata.ports import Finality
from iamata.vault.openings import Opening, keep_opening, list_openings
from iamata.vault.policies import TERMS
from iamata.workflows.office import Office
from iamata.workflows.wallets import KeptTerms, SaltedTerms


def accept_grant(office: Office, text: str, salted: SaltedTerms) -> Finality:
    """Countersign a patient's grant: from here on we can never say that we had no terms."""
    grant = _read_grant(office, text, salted)
    is_replacing = isinstance(grant.payload.replaces, str)
    keep_terms_of(office, grant.payload.patient, grant.payload.consent, salted)
    return office.author.submit(ReplaceConsent if is_replacing else GrantConsent, grant=grant)


def accept_restriction(office: Office, patient: PatientId, salted: SaltedTerms) -> None:
    """Keep the opening of a restriction that the patient put on the ledger; until then all is denied."""
    require(office.find_own_patient(office.take_view(), patient) is not None, Reason.NOT_FOUND)
    _check_narrowing(salted)
    keep_terms_of(office, patient, salted.commit(), salted)


def grant_for_patient(
    office: Office,
    text: str,
    salted: SaltedTerms,
    *,
    approvals: tuple[Signed[StaffApproval], Signed[StaffApproval]],
    evidence: Commitment,
) -> Finality:
    """Grant on behalf of a patient without a key: two of our staff vouch for the evidence."""
    grant = _read_grant(office, text, salted)
    keep_terms_of(office, grant.payload.patient, grant.payload.consent, salted)
    first, second = approvals
    return office.author.submit(
        GrantCustodialConsent, grant=grant, first=first, second=second, evidence=evidence
    )


def restrict_for_patient(
    office: Office, patient: PatientId, consent: ConsentId, salted: SaltedTerms, *, evidence: Commitment
) -> Finality:
    """Narrow a consent on the patient's behalf; only the patient undoes it."""
    _check_narrowing(salted)
    keep_terms_of(office, patient, salted.commit(), salted)
    return office.author.submit(
        RestrictForPatient, consent=consent, terms=salted.commit(), evidence=evidence
    )


def list_unconfirmed(office: Office, patient: PatientId) -> list[KeptTerms]:
    """List what we signed for a patient who has a key now and has not made it their own yet."""
    view, waiting = office.take_view(), []
    for opening in list_openings(office.custody, patient):
        entry = CONSENTS.find(view, opening.name) if opening.kind == TERMS else None
        if entry is None or not entry.is_custodial or entry.is_confirmed:
            continue
        require(opening.commitment == entry.terms, Reason.CANNOT_OPEN, f"the terms of {opening.name}")
        waiting.append(
            KeptTerms(
                consent=ConsentId(opening.name),
                patient=patient,
                terms=decode_terms(opening.payload),
                salt=encode_digest(opening.salt),
                until_day=entry.until_day,
            )
        )
    return waiting


def keep_terms_of(office: Office, patient: PatientId, name: str, salted: SaltedTerms) -> None:
    """Keep an opening under the name by which a decision will look for it."""
    keep_opening(
        office.custody,
        Opening(
            name=name,
            patient=patient,
            kind=TERMS,
            salt=decode_digest(salted.salt),
            payload=encode_struct(salted.terms),
        ),
    )


def _check_narrowing(salted: SaltedTerms) -> None:
    """Refuse terms that permit at their root: as a restriction they take nothing away."""
    require(is_narrowing(salted.terms), Reason.INPUT_INVALID, "a restriction whose terms deny nothing")


def _read_grant(office: Office, text: str, salted: SaltedTerms) -> Signed[Any]:
    """Read a grant, or refuse before anything is kept: no stranger fills our shelf with terms."""
    grant = read_statement(text, Grant)
    require(verify_jws(grant.jws), Reason.BAD_SIGNATURE, "the grant")
    require(grant.payload.network == office.author.engine.network, Reason.FOREIGN_NETWORK)
    require(grant.payload.custodian == office.member, Reason.NOT_THE_CUSTODIAN)
    patient = office.find_own_patient(office.take_view(), grant.payload.patient)
    require(patient is not None and grant.key in patient.keys, Reason.NOT_THE_PATIENT)
    require(
        grant.payload.terms == salted.commit(),
        Reason.CANNOT_OPEN,
        "these are not the terms that were signed",
    )
    return grant
