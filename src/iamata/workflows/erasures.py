"""A patient's records are destroyed: the ledger is told of exactly what, and then the key goes."""

from typing import ClassVar, Final

import msgspec

from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.ledger.events import RecordsErased
from iamata.ledger.transaction import Signed, Statement
from iamata.ledger.transactions.records import EraseRecords
from iamata.model.canonical import encode_struct
from iamata.model.ids import Commitment, MemberId, PatientId, encode_digest
from iamata.model.reasons import Reason, require
from iamata.ports import NO_PATIENT, Finality
from iamata.vault.opening import list_versions
from iamata.vault.openings import PAYLOAD_BYTES_MAX, Opening, keep_opening
from iamata.vault.shredding import Shredded, replay_erasures, shred
from iamata.workflows.office import Office

ERASURE: Final = "erasure"
"""Kind of the commitment to the statement of what was erased."""


class ErasureStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is destroyed: the commitments that stay on the ledger and mean nothing any more."""

    patient: PatientId
    commitments: tuple[Commitment, ...]


class ErasureReceipt(Statement):
    """The custodian's word to the patient that this was destroyed."""

    typ: ClassVar[str] = "iamata-erasure+jwt"

    patient: PatientId
    count: int
    statement: Commitment
    salt: str


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure, done."""

    receipt: str
    finality: Finality
    shredded: Shredded


def erase_patient(office: Office, patient: PatientId) -> Erased:
    """Erase a patient: on the ledger first, so that a crash in between is finished and never hidden."""
    require(office.find_own_patient(office.take_view(), patient) is not None, Reason.UNKNOWN_PATIENT)
    commitments = tuple(one.commitment for one in list_versions(office.custody, patient))
    statement = ErasureStatement(patient=patient, commitments=commitments)
    salt = office.custody.entropy(SALT_BYTES)
    commitment = commit(ERASURE, salt, encode_struct(statement))
    _keep_statement(office, statement, salt=salt, commitment=commitment)
    finality = office.author.submit(
        EraseRecords, patient=patient, statement=commitment, count=len(commitments)
    )
    shredded = shred(office.custody, patient)
    receipt: Signed[ErasureReceipt] = office.author.state(
        ErasureReceipt,
        patient=patient,
        count=len(commitments),
        statement=commitment,
        salt=encode_digest(salt),
    )
    return Erased(receipt=receipt.text, finality=finality, shredded=shredded)


def _keep_statement(
    office: Office, statement: ErasureStatement, *, salt: bytes, commitment: Commitment
) -> None:
    """Keep what opens the commitment, for a verifier; it outlives the patient's own openings."""
    payload = encode_struct(statement)
    if len(payload) <= PAYLOAD_BYTES_MAX:  # else a verifier can only count what was erased
        opening = Opening(name=commitment, patient=NO_PATIENT, kind=ERASURE, salt=salt, payload=payload)
        keep_opening(office.custody, opening)


def finish_erasures(*offices: Office) -> list[Shredded]:
    """Shred again whom the ledger says is erased, after a crash or a restored backup; before serving.

    Offices of one ledger read its log once for all of them.
    """
    erased: dict[MemberId, list[PatientId]] = {}
    for _, leaf in offices[0].author.engine.events(0) if offices else ():
        if isinstance(leaf.event, RecordsErased):
            erased.setdefault(leaf.event.custodian, []).append(leaf.event.patient)
    return [
        shredded
        for office in offices
        for shredded in replay_erasures(office.custody, erased.get(office.member, []))
    ]
