"""Rows and records: how one becomes the other, bound to its place so that none can stand in for another."""

import functools
import struct
from typing import Final

import msgspec

from iamata.crypto import aead
from iamata.model.ids import Commitment, MemberId, encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.ports import RecordRow
from iamata.vault.custody import Custody
from iamata.vault.envelopes import decompress, open_envelope
from iamata.vault.record import (
    BODY_BYTES_MAX,
    OpenedRecord,
    SealedFacts,
    commit_record,
    decode_header,
)

FACTS: Final = b"iamata/1/record-facts"
BODY: Final = b"iamata/1/record-body"

_PLACE: Final = struct.Struct(">QQ")
_SEQUENCE_MAX: Final = 2**63 - 1
_FACTS: Final = msgspec.msgpack.Decoder(SealedFacts)


def bind_row(member: MemberId, row: RecordRow) -> bytes:
    """Spell what a row's envelopes are bound to: all but the commitment, which is computed anew."""
    place = _PLACE.pack(row.sequence & _SEQUENCE_MAX, row.version & _SEQUENCE_MAX)
    return b"\x00" + place + row.lookup + row.fingerprint + _spell_owner(member, row.patient)


@functools.lru_cache(maxsize=1_024)
def _spell_owner(member: MemberId, patient: str) -> bytes:
    return f"{member}\x00{patient}\x00".encode("utf-8", "replace")


def open_facts(custody: Custody, row: RecordRow) -> SealedFacts:
    """Open what the vault knows of a record beside its body, or refuse a row that was changed."""
    return open_bound_facts(row, custody.get_data_key(row.patient), bind_row(custody.member, row))


def open_row(custody: Custody, row: RecordRow, sealed_body: bytes) -> OpenedRecord:
    """Open a whole record, or refuse a row that was changed or is not what was committed to."""
    return open_row_with(custody.get_data_key(row.patient), custody.member, row, sealed_body)


def open_row_with(key: aead.Key, member: MemberId, row: RecordRow, sealed_body: bytes) -> OpenedRecord:
    """Open a whole record of a member with its patient's data key, or refuse as `open_row` does."""
    place = bind_row(member, row)
    facts = open_bound_facts(row, key, place)
    return OpenedRecord(
        header=decode_header(facts.header),
        body=open_body(key, make_sealed_body(row, place, facts, sealed_body)),
        salt=facts.salt,
        commitment=Commitment(encode_digest(row.commitment)),
        sequence=row.sequence,
        tokens=facts.tokens,
        others=facts.others,
    )


class SealedBody(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A body as it is stored, with all that opening it takes but the key."""

    sequence: int
    place: bytes
    """What it is bound to."""
    salt: bytes
    header: bytes
    commitment: bytes
    sealed: bytes


def make_sealed_body(row: RecordRow, place: bytes, facts: SealedFacts, sealed: bytes) -> SealedBody:
    """Put together what opening the body of a row takes, once its facts are open."""
    return SealedBody(row.sequence, place, facts.salt, facts.header, row.commitment, sealed)


def open_body(key: aead.Key, asked: SealedBody) -> bytes:
    """Open a body, or refuse as `open_row` does."""
    try:
        packed = open_envelope(key, asked.sealed, associated=BODY + asked.place)
        body = decompress(packed, size_bytes_max=BODY_BYTES_MAX)
    except Refused as error:
        raise Refused(Reason.CANNOT_OPEN, f"record row {asked.sequence}") from error
    if commit_record(asked.salt, asked.header, body) != asked.commitment:
        raise Refused(Reason.CANNOT_OPEN, f"the commitment of record row {asked.sequence}")
    return body


def open_bound_facts(row: RecordRow, key: aead.Key, place: bytes) -> SealedFacts:
    """Open the facts of a row that is bound to a place, or refuse a row that was changed."""
    try:
        return _FACTS.decode(open_envelope(key, row.facts, associated=FACTS + place))
    except (Refused, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(Reason.CANNOT_OPEN, f"record row {row.sequence}") from error
