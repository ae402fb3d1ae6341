"""Sealing: records go in, batch by batch, each unit of them whole or not at all."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from iamata.crypto import aead
from iamata.crypto.commitments import SALT_BYTES
from iamata.model.ids import decode_digest
from iamata.model.reasons import Reason, require
from iamata.ports import KnownRecord, RecordRow
from iamata.vault.custody import Custody
from iamata.vault.envelopes import compress, seal_envelope
from iamata.vault.record import (
    PreparedRecord,
    RecordHeader,
    SealedFacts,
    check_record,
    commit_record,
    compute_fingerprint,
    compute_lookup,
    compute_token,
    encode_header,
)
from iamata.vault.rows import BODY, FACTS, bind_row
from iamata.vault.shelf import Head, add_to_digest

RECORDS_PER_BATCH_MAX: Final = 65_536

_CHANCE_BYTES: Final = SALT_BYTES + 2 * aead.NONCE_BYTES


class SealedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch came to."""

    rows: tuple[RecordRow, ...]
    """What was added: a row for each patient of each record."""
    added: int
    """Records, each counted once however many patients it has."""
    unchanged: int


def seal(custody: Custody, units: Sequence[Sequence[PreparedRecord]]) -> SealedBatch:
    """Seal units of records in one durable transaction; what is already there adds nothing.

    Content is compared with every version of a record, so that one id that stands twice in a file, or in
    two, comes to the same vault however often they are read. The price: a correction that takes a record
    back to the very bytes of an earlier version adds nothing either; one more word makes it a version.
    """
    records = [record for unit in units for record in unit]
    copies = sum(len(record.patients) for record in records)
    require(copies <= RECORDS_PER_BATCH_MAX, Reason.INPUT_TOO_LARGE, "records in one batch")
    for record in records:
        check_record(record)
    with custody.records.lock:
        custody.make_data_keys(patient for record in records for patient in record.patients)
        head = custody.records.read_head()
        chosen = list(_choose_new(custody, records, after=head.last))
        sealed = _seal_all(custody, chosen)
        if chosen:
            custody.records.store.add(
                [(row, body) for row, body, _ in sealed],
                [(token, row.sequence) for row, _, tokens in sealed for token in tokens],
                head=custody.records.encode_head(_advance(head, [row for row, _, _ in sealed])),
            )
    rows = tuple(row for row, _, _ in sealed)
    added = len({(row.lookup, row.version) for row in rows})
    return SealedBatch(rows=rows, added=added, unchanged=len(records) - added)


def find_owners(custody: Custody, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return whose each record is, of those that are there."""
    lookups = {compute_lookup(custody.index_key, ref): ref for ref in refs}
    known = custody.records.store.read_known(list(lookups))
    return {lookups[lookup]: held.patients for lookup, held in known.items()}


def check_owners(record: PreparedRecord, owners: Sequence[str]) -> None:
    """Refuse a version of other patients' record: who loses it would take an older one for the newest."""
    require(
        record.patients == owners or sorted(record.patients) == sorted(owners),
        Reason.PATIENT_UNCLEAR,
        "a record that is kept as another's; erase it there, or give it another id",
    )


def _choose_new(
    custody: Custody, records: Sequence[PreparedRecord], *, after: int
) -> Iterator[tuple[PreparedRecord, RecordRow]]:
    """Pair each record that is new or has changed with its rows, one a patient, still without envelopes."""
    lookups = [compute_lookup(custody.index_key, record.facts.record) for record in records]
    known = custody.records.store.read_known(lookups)
    sequence = after
    for record, lookup in zip(records, lookups, strict=True):
        fingerprint = compute_fingerprint(custody.index_key, lookup, record.body)
        held = known.get(lookup, KnownRecord(record.patients, 0, ()))
        check_owners(record, held.patients)
        if fingerprint not in held.fingerprints:
            version = held.version + 1
            for patient in record.patients:
                sequence += 1
                yield record, RecordRow(sequence, patient, lookup, version, fingerprint, b"", b"")
            known[lookup] = KnownRecord(record.patients, version, (*held.fingerprints, fingerprint))


def _seal_all(
    custody: Custody, chosen: Sequence[tuple[PreparedRecord, RecordRow]]
) -> list[tuple[RecordRow, bytes, tuple[bytes, ...]]]:
    chance = custody.entropy(_CHANCE_BYTES * len(chosen))
    return [
        _seal_one(custody, record, row, chance[at * _CHANCE_BYTES : (at + 1) * _CHANCE_BYTES])
        for at, (record, row) in enumerate(chosen)
    ]


def _seal_one(
    custody: Custody, record: PreparedRecord, row: RecordRow, chance: bytes
) -> tuple[RecordRow, bytes, tuple[bytes, ...]]:
    """Return the whole row, the sealed body, and the tokens of the record's identifiers."""
    salt, nonces = chance[:SALT_BYTES], chance[SALT_BYTES:]
    key, place = custody.get_data_key(row.patient), bind_row(custody, row)
    header = encode_header(RecordHeader(version=row.version, patient=row.patient, facts=record.facts))
    others = tuple(patient for patient in record.patients if patient != row.patient)
    tokens = tuple(sorted({compute_token(custody.index_key, known) for known in record.identifiers}))
    facts = msgspec.msgpack.encode(SealedFacts(salt=salt, header=header, tokens=tokens, others=others))
    whole = RecordRow(
        row.sequence,
        row.patient,
        row.lookup,
        row.version,
        row.fingerprint,
        decode_digest(commit_record(salt, header, record.body)),
        seal_envelope(key, facts, nonce=nonces[: aead.NONCE_BYTES], associated=FACTS + place),
    )
    body = seal_envelope(
        key, compress(record.body), nonce=nonces[aead.NONCE_BYTES :], associated=BODY + place
    )
    return whole, body, tokens


def _advance(head: Head, rows: Sequence[RecordRow]) -> Head:
    return msgspec.structs.replace(
        head,
        last=rows[-1].sequence,
        count=head.count + len(rows),
        digest=add_to_digest(head.digest, [(row.sequence, row.commitment) for row in rows]),
    )
