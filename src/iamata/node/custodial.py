"""Consents that a custodian signs for a patient without a key: given, narrowed, confirmed or lapsed."""

import os
from pathlib import Path

from iamata.consent.terms import Terms
from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.ledger.tables import CONSENTS
from iamata.ledger.transactions.consents import StaffApproval
from iamata.model.ids import Commitment, ConsentId, PatientId
from iamata.model.instants import Day
from iamata.model.reasons import Reason, require
from iamata.node.home import Home
from iamata.node.identities import sign_as
from iamata.node.places import Place
from iamata.stores.outboxes import load_outbox
from iamata.stores.wallets import load_wallet
from iamata.vault.openings import Opening, keep_opening
from iamata.workflows import consents, wallets
from iamata.workflows.office import Office
from iamata.workflows.outbox import ConfirmAct
from iamata.workflows.wallets import KeptTerms, SaltedTerms

EVIDENCE = "evidence"
"""Kind of the commitment to what two of the staff have seen: a signed form, a note of a call."""


def grant(  # noqa: PLR0913  who, for whom, what, and on whose word
    home: Home,
    *,
    member: str,
    patient: PatientId,
    staff: tuple[Path, Path],
    terms: Terms,
    evidence: bytes,
    until_day: Day,
) -> ConsentId:
    """Grant for a patient without a key, on the word of two of the staff."""
    office = home.get_office(member)
    holder = home.author(office.derive_custodial_key(patient))
    salted, consent = wallets.salt_terms(terms, holder), ConsentId(holder.make_id())
    grant_ = wallets.sign_grant(
        holder, salted, consent=consent, patient=patient, custodian=office.member, until_day=until_day
    )
    seen = keep_evidence(office, patient, evidence)
    approvals = [
        sign_as(home, load_wallet(folder), member)[1].state(
            StaffApproval,
            consent=consent,
            patient=patient,
            terms=salted.commit(),
            until_day=until_day,
            evidence=seen,
        )
        for folder in staff
    ]
    consents.grant_for_patient(
        office, grant_.text, salted, approvals=(approvals[0], approvals[1]), evidence=seen
    )
    return consent


def restrict(  # noqa: PLR0913  as above
    home: Home, *, member: str, patient: PatientId, consent: ConsentId, terms: Terms, evidence: bytes
) -> None:
    """Narrow a consent on the patient's behalf; only the patient undoes it."""
    office = home.get_office(member)
    salted = wallets.salt_terms(terms, office.author)
    seen = keep_evidence(office, patient, evidence)
    consents.restrict_for_patient(office, patient, consent, salted, evidence=seen)


def list_unconfirmed(place: Place, folder: Path, *, member: str) -> list[KeptTerms]:
    """List what the custodian signed for a patient who has a key now, each held against the ledger."""
    identity, _ = sign_as(place, load_wallet(folder), member)
    view, patient = place.engine.snapshot(), PatientId(identity.id)
    acts = [one.act for one in load_outbox(folder).waiting if not one.refused]
    decided = [act.kept.consent for act in acts if isinstance(act, ConfirmAct)]
    waiting = []
    for kept in place.get_desk(member).list_unconfirmed(patient):
        entry = CONSENTS.find(view, kept.consent)
        said = (SaltedTerms(terms=kept.terms, salt=kept.salt).commit(), kept.patient, kept.until_day)
        is_same = entry is not None and said == (entry.terms, patient, entry.until_day)
        require(is_same, Reason.CANNOT_OPEN, f"the terms of {kept.consent}")
        if kept.consent not in decided:
            waiting.append(kept)
    return waiting


def keep_evidence(office: Office, patient: PatientId, evidence: bytes) -> Commitment:
    """Keep evidence with the custodian, and return what the ledger is told of it."""
    salt = os.urandom(SALT_BYTES)
    commitment = commit(EVIDENCE, salt, evidence)
    keep_opening(
        office.custody,
        Opening(name=commitment, patient=patient, kind=EVIDENCE, salt=salt, payload=evidence),
    )
    return commitment
