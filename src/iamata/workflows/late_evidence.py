"""What a journal says of a late release: three signatures, each over the one before it."""

import msgspec

from iamata.crypto.jws import verify_jws
from iamata.ledger.bases import EmergencyBasis, describe_basis
from iamata.ledger.envelope import read_statement
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.late_emergencies import LateDeclaration
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.messages import (
    AccessDetails,
    LateDetails,
    RecordRequest,
    ReleaseNote,
    name_request,
    read_declaration,
)


class LateEvidence(msgspec.Struct, frozen=True):
    """What the person, the asking node and the custodian's node have signed."""

    declaration: Signed[LateDeclaration]
    request: Signed[RecordRequest]
    note: Signed[ReleaseNote]


def check_evidence(late: LateDetails, details: AccessDetails) -> LateEvidence:
    """Return the three statements, or name what does not fit the disclosure that they are about.

    Whose keys signed them is for the ledger to say.
    """
    place = f"late disclosure {details.access}"
    try:
        request = read_statement(late.request, RecordRequest)
        evidence = LateEvidence(read_declaration(request), request, read_statement(late.note, ReleaseNote))
    except Refused as refused:
        raise Refused(Reason.FAULT_FOUND, f"{place}: a statement cannot be read") from refused
    signed = (evidence.declaration, evidence.request, evidence.note)
    is_signed = all(verify_jws(one.jws) for one in signed)
    require(is_signed, Reason.FAULT_FOUND, f"{place}: a signature does not hold")
    require(is_chained(late, evidence, details), Reason.FAULT_FOUND, f"{place}: it is about something else")
    return evidence


def is_chained(late: LateDetails, evidence: LateEvidence, details: AccessDetails) -> bool:
    """Tell whether release, request and declaration speak of each other, and all of one disclosure."""
    declared, asked, said = evidence.declaration.payload, evidence.request.payload, evidence.note.payload
    released = (said.request, said.access, said.recipient, said.list_root)
    wanted = (asked.custodian, asked.person, asked.purpose)
    broken = (declared.custodian, declared.patient, describe_basis(EmergencyBasis(declared.emergency)))
    is_released = released == (
        name_request(late.request),
        details.access,
        details.recipient,
        details.list_root,
    )
    is_wanted = wanted == (details.custodian, details.person, details.purpose)
    return is_released and is_wanted and broken == (details.custodian, details.patient, details.basis)
