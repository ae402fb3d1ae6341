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
    return _open_facts(row, custody.get_data_key(row.patient), bind_row(custody.member, row))


def open_row(custody: Custody, row: RecordRow, sealed_body: bytes) -> OpenedRecord:
    """Open a whole record, or refuse a row that was changed or is not what was committed to."""
    return open_row_with(custody.get_data_key(row.patient), custody.member, row, sealed_body)


def open_row_with(key: aead.Key, member: MemberId, row: RecordRow, sealed_body: bytes) -> OpenedRecord:
    """Open a whole record of a member with its patient's data key, or refuse as `open_row` does."""
    facts = _open_facts(row, key, bind_row(member, row))
    return OpenedRecord(
        header=decode_header(facts.header),
        body=open_body(key, member, row, facts, sealed_body),
        salt=facts.salt,
        commitment=Commitment(encode_digest(row.commitment)),
        sequence=row.sequence,
        tokens=facts.tokens,
        others=facts.others,
    )


def open_body(
    key: aead.Key, member: MemberId, row: RecordRow, facts: SealedFacts, sealed_body: bytes
) -> bytes:
    """Open the body of a row whose facts are open already, or refuse as `open_row` does."""
    place = bind_row(member, row)
    try:
        packed = open_envelope(key, sealed_body, associated=BODY + place)
        body = decompress(packed, size_bytes_max=BODY_BYTES_MAX)
    except Refused as error:
        raise Refused(Reason.CANNOT_OPEN, f"record row {row.sequence}") from error
    if commit_record(facts.salt, facts.header, body) != row.commitment:
        raise Refused(Reason.CANNOT_OPEN, f"the commitment of record row {row.sequence}")
    return body


def _open_facts(row: RecordRow, key: aead.Key, place: bytes) -> SealedFacts:
    try:
        return _FACTS.decode(open_envelope(key, row.facts, associated=FACTS + place))
    except (Refused, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(Reason.CANNOT_OPEN, f"record row {row.sequence}") from error
