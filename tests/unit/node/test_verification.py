"""To verify a home: everything in it is held against the ledger, and nothing in it is written."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import pytest

from iamata.ledger.entries import Role
from iamata.model.ids import ConsentId, encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.node import wallets
from iamata.node.demo import PATIENT
from iamata.node.home import open_home
from iamata.node.verification import HomeReport, verify_home
from iamata.stores.wallets import load_wallet, save_wallet
from iamata.workflows.wallets import Wallet

MEMBER: Final = "members/north-hospital"
DATABASES: Final = (
    "ledger/ledger.db",
    f"{MEMBER}/vault/records.db",
    f"{MEMBER}/vault/openings.db",
    f"{MEMBER}/keys/wrapped.db",
    f"{MEMBER}/journal/journal.db",
)
OTHER_SALT: Final = encode_digest(bytes(32))


def verify(home: Path) -> HomeReport:
    return verify_home(home, tell=lambda _: None)


def find_fault(home: Path) -> str:
    with pytest.raises(Refused) as refusal:
        verify(home)
    assert refusal.value.reason is Reason.FAULT_FOUND
    return refusal.value.detail


def read_all(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def change_wallet(home: Path, change: Callable[[Wallet], Wallet]) -> None:
    folder = home / "wallets" / PATIENT
    save_wallet(folder, change(load_wallet(folder)))


def test_a_home_is_verified_whole(told: Path) -> None:
    report = verify(told)

    assert [one.member for one in report.members] == [
        "lake-hospital", "north-hospital", "regulator", "south-hospital"
    ]  # fmt: skip
    assert report.identities == len(list((told / "wallets").iterdir()))


def test_to_verify_is_not_to_write(home: Path) -> None:
    before = read_all(home)
    verify(home)

    assert read_all(home) == before


def test_a_home_that_a_crash_left_is_verified_as_it_lies(home: Path, tmp_path: Path) -> None:
    with open_home(home) as opened:
        folder = home / "wallets" / "newcomer"
        wallets.admit_person(opened, folder, member="north-hospital", roles=(Role.AUDITOR,))
        shutil.copytree(home, tmp_path / "killed")  # as it lies on the disk while the node runs
    before = read_all(tmp_path / "killed")
    height = verify(home).ledger.blocks

    assert verify(tmp_path / "killed").ledger.blocks == height
    assert len(before["ledger/ledger.db-wal"]) > 0
    after = read_all(tmp_path / "killed")
    assert {name for name in before if before[name] != after.get(name)} <= {
        name for name in before if name.endswith("-shm")
    }
    assert before.keys() == after.keys()


def test_a_change_that_a_crash_cut_off_is_named_and_left_alone(home: Path) -> None:
    journal = home / MEMBER / "keys" / "wrapped.db-journal"
    journal.write_bytes(b"half a change")

    assert "a crash cut off a change to wrapped.db" in find_fault(home)
    assert journal.read_bytes() == b"half a change"


def test_a_running_node_keeps_its_home(home: Path) -> None:
    with open_home(home), pytest.raises(Refused, match="HOME_IN_USE"):
        verify(home)


def test_a_folder_without_a_genesis_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="HOME_NOT_FOUND"):
        verify(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", [*DATABASES, "ledger/lock", "ledger/orderer.key", f"{MEMBER}/keys/vault.key"]
)
def test_a_missing_file_is_named_and_not_made(home: Path, name: str) -> None:
    (home / name).unlink()

    assert find_fault(home) == f"{name} is missing"
    assert not (home / name).exists()


@pytest.mark.parametrize(
    "name", ["notes.txt", "ledger/ledger.db.bak", f"{MEMBER}/keys/old.key", "wallets/patient/.wallet-abc"]
)
def test_a_file_that_is_left_behind_is_named(home: Path, name: str) -> None:
    (home / name).write_text("left behind")

    assert find_fault(home) == f"{name} is not a file of a home"


def test_a_member_whom_the_ledger_does_not_know_is_named(home: Path) -> None:
    shutil.copytree(home / MEMBER, home / "members" / "stranger")

    assert "the ledger knows no member stranger" in find_fault(home)


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 99",
        "CREATE TABLE more (x)",
        "UPDATE sqlite_schema SET tbl_name = 'anchmr' WHERE tbl_name IN ('block', 'anchor', 'head')",
    ],
)
def test_a_file_of_another_kind_is_named(home: Path, name: str, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(home / name, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement)

    assert Path(name).name in find_fault(home)


def test_a_page_that_no_query_reads_is_checked_too(home: Path) -> None:
    path = home / MEMBER / "vault" / "records.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'record_patient'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * size + size - 10] ^= 1
    path.write_bytes(content)

    assert "records.db" in find_fault(home)


def test_a_value_that_later_blocks_replaced_is_held_against_its_own_block(home: Path) -> None:
    """The map that all segments come to stays the same; what one block wrote does not."""
    path = home / "ledger" / "ledger.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        rows = connection.execute("SELECT height, entries FROM segment ORDER BY height").fetchall()
        height, entries = next(
            (at, blob) for at, blob in rows if b"patient/" in blob and b'"is_custodial":true' in blob
        )
        changed = entries.replace(b'"is_custodial":true', b'"is_custodial":troe', 1)
        connection.execute("UPDATE segment SET entries = ? WHERE height = ?", (changed, height))

    assert find_fault(home).startswith("ledger: ")


@pytest.mark.parametrize("field", ["network", "id", "member", "seed"])
def test_an_identity_that_the_ledger_knows_otherwise_is_named(home: Path, field: str) -> None:
    other = load_wallet(home / "wallets" / "north-reviewer").identities[0]
    values = {"network": OTHER_SALT, "id": other.id, "member": "lake-hospital", "seed": other.seed}

    def change(wallet: Wallet) -> Wallet:
        identity = msgspec.structs.replace(wallet.identities[0], **{field: values[field]})
        return msgspec.structs.replace(wallet, identities=(identity,))

    change_wallet(home, change)

    assert find_fault(home).startswith("wallets: wallets/patient: ")


@pytest.mark.parametrize("field", ["consent", "patient", "salt", "until_day", "narrows"])
def test_kept_terms_that_open_nothing_on_the_ledger_are_named(home: Path, field: str) -> None:
    def change(wallet: Wallet) -> Wallet:
        kept = wallet.kept[0]
        value = {
            "consent": ConsentId(kept.patient),
            "patient": kept.consent,
            "salt": OTHER_SALT,
            "until_day": kept.until_day + 1,
            "narrows": True,
        }[field]
        return msgspec.structs.replace(wallet, kept=(msgspec.structs.replace(kept, **{field: value}),))

    change_wallet(home, change)

    assert "the terms of consent" in find_fault(home)


def test_a_vault_key_is_missed_even_where_nothing_is_stored(home: Path) -> None:
    shutil.copy(home / "members/regulator/keys/signing.key", home / "members/regulator/keys/vault.key")

    assert "members/regulator: the head of" in find_fault(home)


def test_a_record_that_vanished_under_cover_of_an_erasure_is_missed(home: Path) -> None:
    """As many commitments are left behind as were erased, but not the same ones."""
    path = home / MEMBER / "vault" / "records.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (erased,) = connection.execute("SELECT sequence FROM erased LIMIT 1").fetchone()
        (commitment,) = connection.execute("SELECT commitment FROM record LIMIT 1").fetchone()
        connection.execute("UPDATE erased SET commitment = ? WHERE sequence = ?", (commitment, erased))

    assert "records" in find_fault(home)
