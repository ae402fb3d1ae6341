"""What a record is on its way into the vault and out of it, and how it is committed to."""

import re
from typing import Final

import msgspec

from iamata.consent.requests import RecordFacts
from iamata.crypto.commitments import compute_commitment
from iamata.crypto.mac import Mac
from iamata.model.canonical import encode_struct
from iamata.model.ids import Commitment, PatientId
from iamata.model.reasons import Reason, Refused, require

RECORD_KIND: Final = "record"
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
IDENTIFIERS_MAX: Final = 256
REFERENCE: Final = re.compile(r"[A-Z][A-Za-z]{0,63}/[A-Za-z0-9.-]{1,64}")
"""A resource's type and logical id (FHIR R4, 2.24.0.1)."""

_LOOKUP: Final = b"lookup\x00"
_FINGERPRINT: Final = b"fingerprint\x00"
_TOKEN: Final = b"token\x00"


class Identifier(msgspec.Struct, frozen=True, array_like=True):
    """A business identifier by which other records may refer to a record."""

    type: str
    """The type of the resource that carries it."""
    system: str
    value: str


class PreparedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record ready to be sealed: parsed, assigned to its patient and labelled."""

    patients: tuple[PatientId, ...]
    """Whose record it is: each gets a copy, sealed under the own key."""
    facts: RecordFacts
    body: bytes
    identifiers: tuple[Identifier, ...] = ()
    is_irregular: bool = False
    """Whether it is to be kept although its structure is not what FHIR R4 says."""


class RecordHeader(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """What a commitment binds beside the body: whose record this is, and what a decision may know of it."""

    version: int
    patient: str
    facts: RecordFacts


class SealedFacts(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """What the vault must know of a record without opening its body."""

    salt: bytes
    header: bytes
    tokens: tuple[bytes, ...]
    """Under these the record's identifiers are found."""
    others: tuple[PatientId, ...] = ()
    """Whose record it is too. It stays in the vault: a recipient is not told their pseudonyms."""


class OpenedRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A record in the clear, with the salt that opens its commitment."""

    header: RecordHeader
    body: bytes
    salt: bytes
    commitment: Commitment
    sequence: int
    tokens: tuple[bytes, ...]
    others: tuple[PatientId, ...]


def check_record(record: PreparedRecord) -> None:
    """Refuse what the vault cannot keep."""
    ref = record.facts.record
    require(REFERENCE.fullmatch(ref) is not None, Reason.RESOURCE_INVALID, "a record's type and id")
    require(len(record.body) <= BODY_BYTES_MAX, Reason.INPUT_TOO_LARGE, ref)
    require(len(record.identifiers) <= IDENTIFIERS_MAX, Reason.INPUT_TOO_LARGE, ref)


def encode_header(header: RecordHeader) -> bytes:
    """Spell a header; canonical JSON has no newline, so one can end it."""
    return encode_struct(header)


def decode_header(raw: bytes) -> RecordHeader:
    """Read a header, or refuse what is none."""
    try:
        return _HEADERS.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(Reason.CANNOT_OPEN, "a record's header") from error


def commit_record(salt: bytes, header: bytes, body: bytes) -> bytes:
    """Commit to a record: its header, a newline, and the exact bytes of its body."""
    return compute_commitment(RECORD_KIND, salt, header + b"\n" + body)


def compute_lookup(index: Mac, ref: str) -> bytes:
    """Compute under which name a record is found by whoever has the key."""
    return index.compute(_LOOKUP + ref.encode("utf-8"))


def compute_fingerprint(index: Mac, lookup: bytes, body: bytes) -> bytes:
    """Compute what tells whether a record's content is already there."""
    return index.compute(_FINGERPRINT + lookup + body)


def compute_token(index: Mac, identifier: Identifier) -> bytes:
    """Compute under which name an identifier is found by whoever has the key."""
    return index.compute(_TOKEN + msgspec.json.encode(identifier))


_HEADERS: Final = msgspec.json.Decoder(RecordHeader)
