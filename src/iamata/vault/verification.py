"""Verification: every row of a member's stores, checked against its seal, its head and its anchors.

For `iamata verify` alone: it opens records without a permit, checks them and lets them go. Each function
reads one store to its end and refuses at the first fault, which it names.
"""

from collections.abc import Iterator
from typing import Final

from iamata.crypto.merkle import compute_root, hash_leaf
from iamata.model.ids import decode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Anchor, AnchoredStore, HeadedStore, RecordRow, Workers
from iamata.vault.checking import CheckedRow, RowFault, RowsToCheck, check_rows
from iamata.vault.custody import Custody, read_tag
from iamata.vault.journal import OpenedEntry, open_entry
from iamata.vault.openings import Opening, open_opening
from iamata.vault.shelf import Head, Shelf, compute_weight, encode_total

ROWS_PER_QUESTION: Final = 512
BYTES_PER_QUESTION: Final = 1024 * 1024
"""What makes a question of verification: so many rows, or bodies of so many bytes."""


def verify_records(custody: Custody, workers: Workers) -> Iterator[CheckedRow]:
    """Open every record, recompute its commitment; check at the end that none is missing or too many."""
    shelf, tally = custody.records, _Tally()
    tokens = shelf.store.read_tokens()
    for asked, answers in workers.map(check_rows, _ask_for_rows(custody)):
        for (row, _), checked in zip(asked.rows, answers, strict=True):
            if isinstance(checked, RowFault):
                raise Refused(checked.reason, checked.detail)
            tally.add(row.sequence, row.commitment)
            for token in checked.tokens:
                is_there = next(tokens, None) == (token, row.sequence)
                require(is_there, Reason.HOME_CORRUPT, f"the identifiers of record row {row.sequence}")
            yield checked
    require(next(tokens, None) is None, Reason.HOME_CORRUPT, "an identifier without its record")
    count = tally.count
    for gone in shelf.store.read_erased():
        tally.add(gone.sequence, gone.commitment)
    tally.compare(shelf, count=count)


def check_anchors(shelf: Shelf[AnchoredStore]) -> Iterator[tuple[Anchor, bool]]:
    """Compute each anchor's root again; yield it, and whether it is settled, to compare with the ledger."""
    head, after = shelf.read_head(), 0
    for anchor in shelf.store.read_anchors():
        stretch = list(shelf.store.read_commitments(after=anchor.after, last=anchor.last))
        root = compute_root([hash_leaf(leaf.commitment) for leaf in stretch])
        is_whole = (anchor.after, anchor.root, anchor.count) == (after, root, len(stretch))
        require(is_whole and bool(stretch), Reason.HOME_CORRUPT, f"the anchor {anchor.id} of {shelf.name}")
        require(
            stretch[-1].sequence == anchor.last,
            Reason.HOME_CORRUPT,
            f"the anchor {anchor.id} of {shelf.name}",
        )
        after = anchor.last
        yield anchor, anchor.last <= head.settled
    require(head.settled <= after, Reason.HOME_CORRUPT, f"an anchor of {shelf.name} has gone")


def verify_keys(custody: Custody) -> int:
    """Check every wrapped key, and that none is missing or too many; return how many there are."""
    tally = _Tally()
    for patient, wrapped in custody.keys.store.read_all():
        custody.check_data_key(patient, wrapped)
        tally.add(0, read_tag(wrapped))
    tally.compare(custody.keys, count=tally.count)
    return tally.count


def verify_openings(custody: Custody) -> Iterator[Opening]:
    """Open every opening, to be compared with the ledger, and check that none is missing or too many."""
    tally = _Tally()
    for row in custody.openings.store.read_all():
        yield open_opening(custody, row)
        tally.add(0, read_tag(row.sealed))
    tally.compare(custody.openings, count=tally.count)


def verify_journal(custody: Custody) -> Iterator[OpenedEntry]:
    """Open every entry and follow the chain from the first to the one that the head names."""
    digest, last = Head().digest, 0
    for row in custody.journal.store.read_all():
        entry = open_entry(custody, row)
        is_next = row.sequence == last + 1 and decode_digest(entry.header.previous) == digest
        require(is_next, Reason.HOME_CORRUPT, f"the chain before journal entry {row.sequence}")
        digest, last = row.commitment, row.sequence
        yield entry
    head = custody.journal.read_head()
    is_whole = (head.last, head.count, head.digest) == (last, last, digest)
    require(is_whole, Reason.HOME_CORRUPT, "the end of the journal")


def _ask_for_rows(custody: Custody) -> Iterator[RowsToCheck]:
    """Read the rows in stretches; a fault of the store ends them, after the rows that come before it."""
    rows: list[tuple[RecordRow, bytes]] = []
    size_bytes = 0
    try:
        for row, body in custody.records.store.read_all():
            rows.append((row, body))
            size_bytes += len(body)
            if len(rows) == ROWS_PER_QUESTION or size_bytes > BYTES_PER_QUESTION:
                yield _ask_for(custody, rows)
                rows, size_bytes = [], 0
    except Refused:
        if rows:
            yield _ask_for(custody, rows)
        raise
    if rows:
        yield _ask_for(custody, rows)


def _ask_for(custody: Custody, rows: list[tuple[RecordRow, bytes]]) -> RowsToCheck:
    patients = dict.fromkeys(row.patient for row, _ in rows)
    keys = {patient: _reveal_data_key(custody, patient) for patient in patients}
    return RowsToCheck(custody.member, keys, rows)


def _reveal_data_key(custody: Custody, patient: str) -> bytes | RowFault:
    try:
        return custody.get_data_key(patient).reveal()
    except Refused as refused:
        return RowFault(refused.reason, refused.detail)


class _Tally:
    """Counts rows and sums them up as a head does."""

    def __init__(self) -> None:
        self.count = 0
        self._total = 0

    def add(self, number: int, commitment: bytes) -> None:
        self.count += 1
        self._total += compute_weight(number, commitment)

    def compare(self, shelf: Shelf[HeadedStore], *, count: int) -> None:
        head = shelf.read_head()
        is_whole = (head.count, head.digest) == (count, encode_total(self._total))
        require(is_whole, Reason.HOME_CORRUPT, f"rows of {shelf.name} are missing, or too many")
