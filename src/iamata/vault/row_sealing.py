"""Seal rows of records away from their store, with the data keys that they need and no other.

A function of its question alone, randomness included, so that another process can answer it too.
"""

from typing import Final

import msgspec

from iamata.consent.requests import RecordFacts
from iamata.crypto import aead
from iamata.crypto.commitments import SALT_BYTES
from iamata.model.ids import MemberId, PatientId
from iamata.ports import RecordRow
from iamata.vault.envelopes import compress, seal_envelope
from iamata.vault.record import RecordHeader, SealedFacts, commit_record, encode_header
from iamata.vault.rows import BODY, FACTS, bind_row

CHANCE_BYTES: Final = SALT_BYTES + 2 * aead.NONCE_BYTES
"""What a row needs: a salt, and a nonce for each of its envelopes."""


class RowToSeal(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A row still without commitment and envelopes, and what goes into them."""

    row: RecordRow
    facts: RecordFacts
    body: bytes
    tokens: tuple[bytes, ...]
    others: tuple[PatientId, ...]
    chance: bytes
    """Never used before."""


class RowsToSeal(msgspec.Struct, frozen=True, array_like=True):
    """Some rows, and the data keys of their patients."""

    member: MemberId
    keys: dict[str, bytes]
    rows: list[RowToSeal]

    def __len__(self) -> int:
        return len(self.rows)


class SealedRow(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What makes a row whole, and its sealed body."""

    commitment: bytes
    facts: bytes
    body: bytes


def seal_rows(asked: RowsToSeal) -> list[SealedRow]:
    """Commit to every record, and seal its facts and its body to its place."""
    keys = {patient: aead.Key(key) for patient, key in asked.keys.items()}
    return [_seal(keys[one.row.patient], asked.member, one) for one in asked.rows]


def _seal(key: aead.Key, member: MemberId, one: RowToSeal) -> SealedRow:
    row, place = one.row, bind_row(member, one.row)
    salt, nonces = one.chance[:SALT_BYTES], one.chance[SALT_BYTES:]
    header = encode_header(RecordHeader(version=row.version, patient=row.patient, facts=one.facts))
    facts = SealedFacts(salt=salt, header=header, tokens=one.tokens, others=one.others)
    spelled = msgspec.msgpack.encode(facts)
    return SealedRow(
        commit_record(salt, header, one.body),
        seal_envelope(key, spelled, nonce=nonces[: aead.NONCE_BYTES], associated=FACTS + place),
        seal_envelope(key, compress(one.body), nonce=nonces[aead.NONCE_BYTES :], associated=BODY + place),
    )
