"""Sealing: records go in, batch by batch, each unit of them whole or not at all."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from iamata.model.reasons import Reason, require
from iamata.ports import KnownRecord, RecordRow, Workers
from iamata.vault.custody import Custody
from iamata.vault.record import (
    PreparedRecord,
    check_record,
    compute_fingerprint,
    compute_lookup,
    compute_token,
)
from iamata.vault.row_sealing import CHANCE_BYTES, RowsToSeal, RowToSeal, seal_rows
from iamata.vault.shelf import Head, add_to_digest
from iamata.workers.mapping import INLINE

RECORDS_PER_BATCH_MAX: Final = 65_536

ROWS_PER_QUESTION: Final = 64
BYTES_PER_QUESTION: Final = 256 * 1024
"""How many rows are sealed at a time, and how much in them."""


class SealedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch came to."""

    rows: tuple[RecordRow, ...]
    """What was added: a row for each patient of each record."""
    added: int
    """Records, each counted once however many patients it has."""
    unchanged: int
    irregular: int
    """Of those that were added."""


def seal(
    custody: Custody, units: Sequence[Sequence[PreparedRecord]], *, workers: Workers = INLINE
) -> SealedBatch:
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
        irregular: set[tuple[bytes, int]] = set()
        chosen = _note_irregular(_choose_new(custody, records, after=head.last), irregular)
        sealed = list(_seal_all(custody, chosen, workers))
        if sealed:
            custody.records.store.add(
                [(row, body) for row, body, _ in sealed],
                [(token, row.sequence) for row, _, tokens in sealed for token in tokens],
                head=custody.records.encode_head(_advance(head, [row for row, _, _ in sealed])),
            )
    rows = tuple(row for row, _, _ in sealed)
    added = len({(row.lookup, row.version) for row in rows})
    unchanged = len(records) - added
    return SealedBatch(rows=rows, added=added, unchanged=unchanged, irregular=len(irregular))


def find_owners(custody: Custody, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return whose each record is, of those that are there."""
    lookups = {compute_lookup(custody.index, ref): ref for ref in refs}
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
    lookups = [compute_lookup(custody.index, record.facts.record) for record in records]
    known = custody.records.store.read_known(lookups)
    sequence = after
    for record, lookup in zip(records, lookups, strict=True):
        fingerprint = compute_fingerprint(custody.index, lookup, record.body)
        held = known.get(lookup, KnownRecord(record.patients, 0, ()))
        check_owners(record, held.patients)
        if fingerprint not in held.fingerprints:
            version = held.version + 1
            for patient in record.patients:
                sequence += 1
                yield record, RecordRow(sequence, patient, lookup, version, fingerprint, b"", b"")
            known[lookup] = KnownRecord(record.patients, version, (*held.fingerprints, fingerprint))


def _note_irregular(
    chosen: Iterator[tuple[PreparedRecord, RecordRow]], noted: set[tuple[bytes, int]]
) -> Iterator[tuple[PreparedRecord, RecordRow]]:
    """Pass on what was chosen, and note each irregular record once however many patients it has."""
    for record, row in chosen:
        if record.is_irregular:
            noted.add((row.lookup, row.version))
        yield record, row


def _seal_all(
    custody: Custody, chosen: Iterator[tuple[PreparedRecord, RecordRow]], workers: Workers
) -> Iterator[tuple[RecordRow, bytes, tuple[bytes, ...]]]:
    """Yield each row whole, with its sealed body and the tokens of its record's identifiers."""
    for asked, answers in workers.map(seal_rows, _ask_to_seal(custody, chosen)):
        for one, sealed in zip(asked.rows, answers, strict=True):
            row = one.row
            whole = RecordRow(
                row.sequence,
                row.patient,
                row.lookup,
                row.version,
                row.fingerprint,
                sealed.commitment,
                sealed.facts,
            )
            yield whole, sealed.body, one.tokens


def _ask_to_seal(
    custody: Custody, chosen: Iterator[tuple[PreparedRecord, RecordRow]]
) -> Iterator[RowsToSeal]:
    """Ask for some rows at a time, so many or bodies of so many bytes."""
    rows: list[RowToSeal] = []
    size_bytes = 0
    for record, row in chosen:
        tokens = tuple(sorted({compute_token(custody.index, known) for known in record.identifiers}))
        others = tuple(patient for patient in record.patients if patient != row.patient)
        chance = custody.entropy(CHANCE_BYTES)
        rows.append(RowToSeal(row, record.facts, record.body, tokens, others, chance))
        size_bytes += len(record.body)
        if len(rows) == ROWS_PER_QUESTION or size_bytes > BYTES_PER_QUESTION:
            yield _ask_for(custody, rows)
            rows, size_bytes = [], 0
    if rows:
        yield _ask_for(custody, rows)


def _ask_for(custody: Custody, rows: list[RowToSeal]) -> RowsToSeal:
    patients = dict.fromkeys(one.row.patient for one in rows)
    keys = {patient: custody.get_data_key(patient).reveal() for patient in patients}
    return RowsToSeal(custody.member, keys, rows)


def _advance(head: Head, rows: Sequence[RecordRow]) -> Head:
    return msgspec.structs.replace(
        head,
        last=rows[-1].sequence,
        count=head.count + len(rows),
        digest=add_to_digest(head.digest, [(row.sequence, row.commitment) for row in rows]),
    )
