"""What nodes and patients tell each other about records: signed, and no more than needed."""

from typing import Annotated, Any, ClassVar, Final, TypeVar

import msgspec

from iamata.consent.permits import Obligation
from iamata.crypto import hpke
from iamata.crypto.commitments import commit
from iamata.crypto.jws import verify_jws
from iamata.crypto.merkle import hash_leaf
from iamata.ledger.envelope import read_statement
from iamata.ledger.transaction import Signed, Statement
from iamata.ledger.transactions.late_emergencies import LateDeclaration
from iamata.model.canonical import encode_struct
from iamata.model.ids import (
    AccessId,
    Commitment,
    Digest,
    MemberId,
    NetworkId,
    Nonce,
    PatientId,
    PersonId,
    SealingKey,
    encode_digest,
)
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.vault.envelopes import compress, decompress
from iamata.vault.journal import PAYLOAD_BYTES_MAX
from iamata.vault.sharing import ReleaseContext

PURPOSE_LENGTH_MAX: Final = 128
SHARE_CODE_LENGTH_MAX: Final = 4_096
DECLARATION_LENGTH_MAX: Final = 4_096
PLAN_BYTES_MAX: Final = PAYLOAD_BYTES_MAX

Purpose = Annotated[str, msgspec.Meta(min_length=1, max_length=PURPOSE_LENGTH_MAX)]


class ShareCode(Statement):
    """A patient's pointer for one recipient: who keeps my records, under which pseudonym. Used once."""

    typ: ClassVar[str] = "iamata-share+jwt"

    custodian: MemberId
    patient: PatientId
    recipient: MemberId
    nonce: Nonce
    until_ms: Instant


class RecordRequest(Statement):
    """A node asks for a patient's records on behalf of a person of its staff."""

    typ: ClassVar[str] = "iamata-request+jwt"

    access: AccessId
    custodian: MemberId
    person: PersonId
    purpose: Purpose
    expires_ms: Instant
    share: Annotated[str, msgspec.Meta(max_length=SHARE_CODE_LENGTH_MAX)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    """The patient's share code; or, instead, the emergency that the person has declared."""
    emergency: AccessId | msgspec.UnsetType = msgspec.UNSET
    declaration: Annotated[str, msgspec.Meta(max_length=DECLARATION_LENGTH_MAX)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    """Or, where the ledger gives no finality, what the person has signed instead."""


class ReleaseNote(Statement):
    """A custodian's node says what it releases: the ledger's access, the list, the exact ciphertexts."""

    typ: ClassVar[str] = "iamata-release+jwt"

    access: AccessId
    recipient: MemberId
    list_root: Digest
    ciphertext: Digest
    """Of the records."""
    plan: Digest
    """Of what opens the ledger's commitment, sealed like the records."""
    request: Digest | msgspec.UnsetType = msgspec.UNSET
    """Of a late release, the request that it answers, with the declaration in it: so both have signed."""


class ReceiptNote(Statement):
    """A recipient's node confirms that it has opened a release."""

    typ: ClassVar[str] = "iamata-receipt+jwt"

    access: AccessId
    ciphertext: Digest


class AccessListRequest(Statement):
    """A patient asks a custodian who looked."""

    typ: ClassVar[str] = "iamata-access-list+jwt"

    custodian: MemberId
    patient: PatientId
    nonce: Nonce
    expires_ms: Instant


StatementT = TypeVar("StatementT", bound=Statement)
DetailsT = TypeVar("DetailsT", bound=msgspec.Struct)


def read_message(text: str, kind: type[StatementT], *, network: NetworkId) -> Signed[Any]:
    """Read a signed message of this network, or refuse it; whose key signed is for the caller to ask."""
    message = read_statement(text, kind)
    require(verify_jws(message.jws), Reason.BAD_SIGNATURE)
    require(message.payload.network == network, Reason.FOREIGN_NETWORK)
    return message


def read_declaration(request: Signed[RecordRequest]) -> Signed[LateDeclaration]:
    """Read what the person has signed inside a late request, or refuse a request without it."""
    text = request.payload.declaration
    if not isinstance(text, str):
        raise Refused(Reason.MALFORMED)
    return read_statement(text, LateDeclaration)


class AccessDetails(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What the ledger's commitment to an access binds; patient, custodian and recipient hold it."""

    access: AccessId
    custodian: MemberId
    patient: PatientId
    recipient: MemberId
    person: PersonId
    purpose: str
    basis: str
    list_root: Digest
    records: tuple[str, ...]
    at_ms: Instant
    obligations: tuple[Obligation, ...] = ()
    """What must accompany some records: the consent, its scope in words, the notice (42 CFR 2.32)."""


ACCESS: Final = "access"
"""Kind of the commitment to the details of an access."""


class Planned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A disclosure that was decided on, as the journal keeps it, with the salt of its commitment."""

    details: AccessDetails
    salt: bytes
    versions: tuple[int, ...]

    def commit(self) -> Commitment:
        """Compute what the ledger is told."""
        return commit(ACCESS, self.salt, encode_struct(self.details))


class ReadDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a journal entry about a read says: who, for what, and which records."""

    person: PersonId
    purpose: str
    basis: str
    records: tuple[str, ...]
    recipient: MemberId | msgspec.UnsetType = msgspec.UNSET
    """To which other member the records went with another patient's, whose records they are too."""


class SearchDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a journal entry about a search in an emergency says: who searched, not for whom or why.

    A journal outlives an erasure. The signed search, with name, birthday and reason, is an opening of the
    patient who was found, under the entry's id, and erased with the patient; of a search that finds nobody
    only the commitment is kept.
    """

    member: MemberId
    person: PersonId
    commitment: Commitment


class LateDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a journal entry about a late release says: what the asking node signed, and what we did.

    The person's declaration is in the request, and the request's digest in the note.
    """

    request: str
    note: str


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One disclosure on its way: the signed note and what it speaks of, sealed to the recipient's node."""

    note: str
    ciphertext: bytes
    plan: bytes
    height: int = 0
    """Where the ledger was told of it, as far as the recipient's own copy has to have come."""


def read_details(payload: bytes, kind: type[DetailsT]) -> DetailsT:
    """Read what a journal entry says, or refuse what is none."""
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.CANNOT_OPEN, "a journal entry") from error


def name_request(text: str) -> Digest:
    """Name a signed request by its hash."""
    return Digest(encode_digest(hash_leaf(text.encode("ascii"))))


def read_plan(payload: bytes) -> Planned:
    """Read a disclosure that a journal holds."""
    return read_details(payload, Planned)


def seal_plan(plan: Planned, *, context: ReleaseContext, key: SealingKey) -> bytes:
    """Seal what opens the ledger's commitment to the recipient's node."""
    return hpke.seal(key, compress(msgspec.json.encode(plan)), info=_bind_plan(context))


def open_plan(private_key: bytes, sealed: bytes, *, context: ReleaseContext) -> Planned:
    """Open a plan at its recipient, or refuse what is none."""
    packed = hpke.open_sealed(private_key, sealed, info=_bind_plan(context))
    return read_plan(decompress(packed, size_bytes_max=PLAN_BYTES_MAX))


def _bind_plan(context: ReleaseContext) -> bytes:
    return b"plan\x00" + encode_struct(context)
