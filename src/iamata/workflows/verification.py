"""Check a member's stores against the ledger: records, anchors, keys, openings, journal, erasures.

Each function reads to the end and refuses at the first fault, which it names.
"""

import dataclasses
from typing import Any, Final

import msgspec

from iamata.ledger.entries import RecordAnchor
from iamata.ledger.tables import (
    ACCESSES,
    CONSENTS,
    ERASURES,
    PATIENTS,
    READ_ANCHORS,
    RECORD_ANCHORS,
    TableSpec,
)
from iamata.model.ids import AccessId, Commitment, MemberId, PatientId, encode_digest
from iamata.ports import NO_PATIENT, Workers
from iamata.vault.custody import Custody
from iamata.vault.journal import JournalKind
from iamata.vault.openings import find_opening
from iamata.vault.policies import TERMS
from iamata.vault.shelf import Shelf
from iamata.vault.verification import (
    check_anchors,
    verify_journal,
    verify_keys,
    verify_openings,
    verify_records,
)
from iamata.workflows.disclosure_verification import check_disclosure, check_list, expect
from iamata.workflows.late_verification import LatePostings
from iamata.workflows.messages import read_plan
from iamata.workflows.replayed import Replayed
from iamata.workflows.shared_verification import SharedTraces


class StatedErasure(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure's statement says was destroyed."""

    patient: PatientId
    commitments: tuple[Commitment, ...]


@dataclasses.dataclass(slots=True)
class MemberReport:
    """What was checked at one member, in numbers."""

    member: MemberId
    records: int = 0
    record_anchors: int = 0
    erased_patients: int = 0
    data_keys: int = 0
    openings: int = 0
    consents_opened: int = 0
    journal_entries: int = 0
    read_anchors: int = 0
    disclosures: int = 0
    disclosures_decided_again: int = 0
    late_pending: tuple[AccessId, ...] = ()
    """What left late, and the ledger is still to be told of."""


def verify_member(custody: Custody, ledger: Replayed, workers: Workers) -> MemberReport:
    """Check everything that a member keeps."""
    report = MemberReport(member=custody.member)
    report.data_keys = verify_keys(custody)
    check_records(custody, ledger, report, workers)
    check_erasures(custody, ledger, report)
    report.record_anchors = compare_anchors(custody.records, ledger, RECORD_ANCHORS, custody.member)
    check_openings(custody, ledger, report)
    check_journal(custody, ledger, report)
    report.read_anchors = compare_anchors(custody.journal, ledger, READ_ANCHORS, custody.member)
    return report


def check_records(custody: Custody, ledger: Replayed, report: MemberReport, workers: Workers) -> None:
    """Open every record; whose it is must be known to the ledger, and no erased patient may have any."""
    for record in verify_records(custody, workers):
        report.records += 1
        owner = record.patient
        if owner != NO_PATIENT:
            patient = PATIENTS.find(ledger.state.entries, owner)
            is_ours = patient is not None and patient.custodian == custody.member and not patient.is_erased
            expect(is_ours, f"record row {record.sequence}: the ledger knows no such patient here")


def check_erasures(custody: Custody, ledger: Replayed, report: MemberReport) -> None:
    """Hold what is missing against what the ledger says was erased, commitment by commitment.

    Where no statement is held (one too long to keep, an older backup of the openings), its number counts.
    """
    stated: dict[str, None] = {}
    unstated = 0
    for patient, erasure in ledger.list_entries(ERASURES):
        if erasure.custodian != custody.member:
            continue
        report.erased_patients += 1
        expect(
            custody.keys.store.find(patient) is None, f"the key of erased patient {patient} is still there"
        )
        opening = find_opening(custody, erasure.statement)
        if opening is None:
            unstated += erasure.count
        else:
            statement = _STATEMENTS.decode(opening.payload)
            is_same = (opening.commitment, statement.patient) == (erasure.statement, patient)
            expect(
                is_same and len(statement.commitments) == erasure.count,
                f"the statement of erasing {patient}",
            )
            stated |= dict.fromkeys(statement.commitments)
    left_behind = [encode_digest(one.commitment) for one in custody.records.store.read_erased()]
    strange = [one for one in left_behind if one not in stated]
    expect(len(strange) <= unstated, "records are missing that the ledger does not say were erased")


def compare_anchors(
    shelf: Shelf[Any], ledger: Replayed, table: TableSpec[RecordAnchor], member: MemberId
) -> int:
    """Compare each anchor with the ledger's; neither side may have one that the other lacks."""
    known = {name: one for name, one in ledger.list_entries(table) if one.custodian == member}
    for anchor, is_settled in check_anchors(shelf):
        on_ledger = known.pop(anchor.id, None)
        if on_ledger is not None:
            is_same = (on_ledger.root, on_ledger.count) == (encode_digest(anchor.root), anchor.count)
            expect(is_same, f"anchor {anchor.id} of {shelf.name} is not what the ledger holds")
        else:
            expect(not is_settled, f"anchor {anchor.id} of {shelf.name} is not on the ledger")
    expect(not known, f"{shelf.name} lacks anchors that the ledger holds: {', '.join(known)}")
    return sum(one.custodian == member for _, one in ledger.list_entries(table))


def check_openings(custody: Custody, ledger: Replayed, report: MemberReport) -> None:
    """Open what each consent commits to; a custodian can never say that it had no terms."""
    opened: dict[str, None] = {}
    for opening in verify_openings(custody):
        report.openings += 1
        consent = CONSENTS.find(ledger.state.entries, opening.name) if opening.kind == TERMS else None
        if consent is not None:
            expect(consent.terms == opening.commitment, f"consent {opening.name}: other terms are held")
            opened[opening.name] = None
    for name, consent in ledger.list_entries(CONSENTS):
        patient = PATIENTS.find(ledger.state.entries, consent.patient)
        if consent.custodian == custody.member and patient is not None and not patient.is_erased:
            expect(name in opened, f"consent {name}: its terms are not held")
            report.consents_opened += 1


def check_journal(custody: Custody, ledger: Replayed, report: MemberReport) -> None:
    """Follow the journal's chain, and hold each disclosure on the ledger against it and its consent."""
    accesses = {name: one for name, one in ledger.list_entries(ACCESSES) if one.custodian == custody.member}
    report.disclosures = len(accesses)
    traces, late = SharedTraces(), LatePostings(custody, ledger)
    for entry in verify_journal(custody):
        report.journal_entries += 1
        if entry.header.kind is JournalKind.DISCLOSURE:
            planned = read_plan(entry.payload)
            access = accesses.pop(planned.details.access, None)
            late.take_plan(planned, is_told=access is not None)
            if access is not None:
                listed, is_again = check_disclosure(custody, ledger, planned, access)
                report.disclosures_decided_again += is_again
                traces.take_plan(planned, listed)
        elif entry.header.kind is JournalKind.LATE:
            planned = late.take_entry(entry)
            traces.take_plan(planned, check_list(custody, ledger, planned))
        traces.take_entry(entry, ledger)
    traces.compare()
    report.late_pending = tuple(late.pending)
    expect(not accesses, f"the journal lacks disclosures that the ledger holds: {', '.join(accesses)}")


_STATEMENTS: Final = msgspec.json.Decoder(StatedErasure)
