"""Whoever changes a stored row, in any column, or takes one away, is found out."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from iamata.model.ids import AnchorId, compute_random_id
from iamata.model.reasons import Reason, Refused
from iamata.testing.entropy import SeededEntropy
from iamata.testing.vault_samples import (
    ANNA,
    BORIS,
    make_entry,
    make_opening,
    make_record,
    open_home,
)
from iamata.vault.anchoring import plan_anchor, settle_anchor
from iamata.vault.custody import Custody
from iamata.vault.journal import append_entries
from iamata.vault.openings import keep_opening
from iamata.vault.sealing import seal
from iamata.vault.shredding import shred
from iamata.vault.verification import (
    check_anchors,
    verify_journal,
    verify_keys,
    verify_openings,
    verify_records,
)
from iamata.workers.mapping import InlineWorkers

RECORDS = "vault/records.db"
OPENINGS = "vault/openings.db"
KEYS = "keys/wrapped.db"
JOURNAL = "journal/journal.db"

CHANGES = [
    (RECORDS, "UPDATE record SET sequence = 90 WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET patient = 'boris' WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET patient = '' WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET lookup = zeroblob(32) WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET version = 7 WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET fingerprint = zeroblob(32) WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET commitment = zeroblob(32) WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET facts = zeroblob(99) WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET facts = x'' WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET body = (SELECT body FROM record WHERE sequence = 1) WHERE sequence = 2"),
    (RECORDS, "UPDATE record SET body = x'00' WHERE sequence = 2"),
    (RECORDS, "DELETE FROM record WHERE sequence = 2"),
    (RECORDS, "DELETE FROM record WHERE sequence = (SELECT max(sequence) FROM record)"),
    (RECORDS, "DELETE FROM record"),
    (RECORDS, "UPDATE token SET token = zeroblob(32) WHERE sequence = 2"),
    (RECORDS, "UPDATE token SET sequence = 90 WHERE sequence = 2"),
    (RECORDS, "DELETE FROM token WHERE sequence = 2"),
    (RECORDS, "INSERT INTO token VALUES (x'00', 900)"),
    (RECORDS, "UPDATE erased SET sequence = 91 WHERE rowid = (SELECT min(rowid) FROM erased)"),
    (RECORDS, "UPDATE erased SET commitment = zeroblob(32)"),
    (RECORDS, "DELETE FROM erased"),
    (RECORDS, "UPDATE anchor SET after = 1"),
    (RECORDS, "UPDATE anchor SET last = last + 1"),
    (RECORDS, "UPDATE anchor SET root = zeroblob(32)"),
    (RECORDS, "UPDATE anchor SET count = count + 1"),
    (RECORDS, "DELETE FROM anchor"),
    (RECORDS, "UPDATE head SET content = zeroblob(80)"),
    (RECORDS, "UPDATE head SET content = x''"),
    (RECORDS, "DELETE FROM head"),
    (KEYS, "UPDATE wrapped_key SET patient = 'somebody'"),
    (KEYS, "UPDATE wrapped_key SET content = zeroblob(60)"),
    (KEYS, "UPDATE wrapped_key SET content = x''"),
    (KEYS, "DELETE FROM wrapped_key"),
    (KEYS, "DELETE FROM head"),
    (OPENINGS, "UPDATE opening SET patient = 'anna'"),
    (OPENINGS, "UPDATE opening SET name = 'other'"),
    (OPENINGS, "UPDATE opening SET sealed = x''"),
    (OPENINGS, "DELETE FROM opening"),
    (OPENINGS, "DELETE FROM head"),
    (JOURNAL, "UPDATE entry SET sequence = 9 WHERE sequence = 3"),
    (JOURNAL, "UPDATE entry SET kind = 'serve' WHERE sequence = 2"),
    (JOURNAL, "UPDATE entry SET patient = '' WHERE sequence = 2"),
    (JOURNAL, "UPDATE entry SET id = (SELECT id FROM entry WHERE sequence = 1) WHERE sequence = 2"),
    (JOURNAL, "UPDATE entry SET commitment = zeroblob(32) WHERE sequence = 2"),
    (JOURNAL, "UPDATE entry SET sealed = zeroblob(200) WHERE sequence = 2"),
    (JOURNAL, "DELETE FROM entry WHERE sequence = 2"),
    (JOURNAL, "DELETE FROM entry WHERE sequence = 3"),
    (JOURNAL, "DELETE FROM entry"),
    (JOURNAL, "DELETE FROM head"),
]
Change = Callable[..., int]
SCHEMA_CHANGES = [
    "PRAGMA user_version = 9",
    "CREATE TABLE extra (a INTEGER) STRICT",
    "CREATE INDEX extra ON head (content)",
]


def make_home(home: Path) -> None:
    """Fill every table of every store with something."""
    custody, stores = open_home(home, SeededEntropy("tampering"))
    seal(custody, [[make_record(str(number)) for number in range(4)], [make_record("x", patient=BORIS)]])
    anchor = plan_anchor(custody.records, AnchorId(compute_random_id(bytes(16))))
    assert anchor is not None
    settle_anchor(custody.records, anchor)
    seal(custody, [[make_record("late", patient=ANNA)]])
    shred(custody, BORIS)
    keep_opening(custody, make_opening("consent", patient=BORIS))
    append_entries(custody, [make_entry(str(number)) for number in range(3)])
    stores.close()


def verify_home(home: Path) -> None:
    """Run every check of a verifier over a home."""
    custody, stores = open_home(home, SeededEntropy("verify"))
    try:
        run_checks(custody)
    finally:
        stores.close()


def run_checks(custody: Custody) -> None:
    verify_keys(custody)
    list(verify_records(custody, InlineWorkers()))
    list(check_anchors(custody.records))
    list(check_anchors(custody.journal))
    list(verify_openings(custody))
    list(verify_journal(custody))


def read_head(home: Path) -> bytes:
    connection = sqlite3.connect(home / JOURNAL)
    (head,) = connection.execute("SELECT content FROM head").fetchone()
    connection.close()
    return bytes(head)


@pytest.fixture
def change(home: Path) -> Change:
    """Fill a home, and change a file of it behind everyone's back."""
    make_home(home)

    def run(file: str, statement: str, *values: bytes) -> int:
        connection = sqlite3.connect(home / file, isolation_level=None)
        connection.execute("PRAGMA writable_schema = ON")
        count = connection.execute(statement, values).rowcount
        connection.close()
        return count

    return run


def test_an_untouched_home_passes_every_check(home: Path) -> None:
    make_home(home)

    verify_home(home)


@pytest.mark.parametrize(("file", "statement"), CHANGES)
def test_a_changed_row_is_found(home: Path, change: Change, file: str, statement: str) -> None:
    assert change(file, statement) > 0

    with pytest.raises(Refused) as refusal:
        verify_home(home)

    assert refusal.value.reason in (Reason.HOME_CORRUPT, Reason.CANNOT_OPEN, Reason.ERASED)
    assert refusal.value.detail


@pytest.mark.parametrize("file", [RECORDS, KEYS, OPENINGS, JOURNAL])
@pytest.mark.parametrize("statement", SCHEMA_CHANGES)
def test_a_changed_schema_is_found(home: Path, change: Change, file: str, statement: str) -> None:
    change(file, statement)

    with pytest.raises(Refused, match="HOME_CORRUPT"):
        verify_home(home)


@pytest.mark.parametrize("file", [RECORDS, KEYS, OPENINGS, JOURNAL])
def test_a_file_that_is_no_store_is_refused_by_name(home: Path, file: str) -> None:
    make_home(home)
    (home / file).write_bytes(b"not a database, but as long as a page" * 200)

    with pytest.raises(Refused, match="HOME_CORRUPT") as refusal:
        verify_home(home)

    assert refusal.value.detail == Path(file).name


def test_an_older_head_does_not_fit_newer_rows(home: Path, change: Change) -> None:
    older = read_head(home)
    custody, stores = open_home(home, SeededEntropy("more"))
    append_entries(custody, [make_entry("more")])
    stores.close()
    change(JOURNAL, "UPDATE head SET content = ?", older)

    with pytest.raises(Refused, match="HOME_CORRUPT"):
        verify_home(home)
