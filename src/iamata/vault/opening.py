"""Opening: what may be listed for a decision, and what a permit allows to be read."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from iamata.consent.permits import Permit
from iamata.consent.requests import RecordFacts
from iamata.model.ids import Commitment, PatientId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import RecordRow
from iamata.vault.custody import Custody
from iamata.vault.record import (
    Identifier,
    OpenedRecord,
    SealedFacts,
    compute_lookup,
    compute_token,
    decode_header,
)
from iamata.vault.rows import open_facts, open_row


class ListedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision needs to know of one version of a record; nobody outside the custodian sees it."""

    facts: RecordFacts
    version: int
    patient: PatientId
    """Of whose copy this is."""
    commitment: Commitment
    others: tuple[PatientId, ...] = ()
    """Whose record it is too: it is shown or leaves only where theirs permits it as well."""


def list_facts(custody: Custody, patient: PatientId) -> list[ListedRecord]:
    """List the newest version of each of a patient's records, for `consent.decide`.

    All versions of a record are the same patients' (`sealing.check_owners`): the newest here is the newest.
    """
    newest = {row.lookup: row for row in custody.records.store.read_of_patient(patient)}
    return [list_row(row, open_facts(custody, row)) for row in newest.values()]


def list_versions(custody: Custody, patient: PatientId) -> list[ListedRecord]:
    """List every version of a patient's records: what an earlier disclosure listed is among them."""
    return [
        list_row(row, open_facts(custody, row)) for row in custody.records.store.read_of_patient(patient)
    ]


def find_listed(custody: Custody, patient: PatientId, refs: Sequence[str]) -> list[ListedRecord]:
    """List the newest version of some of a patient's records; what is not there is left out."""
    lookups = [compute_lookup(custody.index, ref) for ref in refs]
    rows = [custody.records.store.find_newest(lookup, patient) for lookup in lookups]
    return [list_row(row, open_facts(custody, row)) for row in rows if row is not None]


def find_refs(custody: Custody, identifier: Identifier) -> list[str]:
    """Return type and id of each record that carries an identifier: a conditional reference wants one."""
    rows = custody.records.store.find_by_token(compute_token(custody.index, identifier))
    refs = [decode_header(open_facts(custody, row).header).facts.record for row in rows]
    return list(dict.fromkeys(refs))  # a record of two patients stands here twice


def open_records(
    custody: Custody, permit: Permit, listed: Sequence[ListedRecord]
) -> Iterator[OpenedRecord]:
    """Open the versions that were decided on, or refuse at once what the permit does not cover.

    A version that came after the decision is not opened in their place: its labels may be others.
    """
    for record in listed:
        permit.require_covers(record.facts.record, patient=record.patient, others=record.others)
    rows = [_find_row(custody, record) for record in listed]
    return _open_rows(custody, zip(listed, rows, strict=True))


def _open_rows(custody: Custody, pairs: Iterable[tuple[ListedRecord, RecordRow]]) -> Iterator[OpenedRecord]:
    for record, row in pairs:
        opened = open_row(custody, row, custody.records.store.read_body(row.sequence))
        found = (opened.header.facts, opened.header.patient, opened.others)
        is_what_was_decided_on = found == (record.facts, record.patient, record.others)
        require(is_what_was_decided_on, Reason.PERMIT_DOES_NOT_COVER)
        yield opened


def _find_row(custody: Custody, record: ListedRecord) -> RecordRow:
    lookup = compute_lookup(custody.index, record.facts.record)
    row = custody.records.store.find_version(lookup, record.version, record.patient)
    if row is None:
        raise Refused(Reason.NOT_FOUND)
    return row


def list_row(row: RecordRow, facts: SealedFacts) -> ListedRecord:
    """Tell of a row what a decision needs to know."""
    header = decode_header(facts.header)
    return ListedRecord(
        facts=header.facts,
        version=header.version,
        patient=PatientId(header.patient),
        commitment=Commitment(encode_digest(row.commitment)),
        others=facts.others,
    )
