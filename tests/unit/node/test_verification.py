"""To verify a home: everything in it is held against the ledger, and nothing in it is written."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.consent.policy import Policy
from iamata.consent.terms import Ruling, Terms
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import MemberKind, Role
from iamata.model.ids import ConsentId, MemberId, PersonId, encode_digest
from iamata.model.instants import Day, Instant, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.node import demo, wallets
from iamata.node.demo_stage import PATIENT, SOUTH_CLINICIAN, A, Story
from iamata.node.home import create_home, open_home
from iamata.node.served import read_served, write_served
from iamata.node.verification import HomeReport, verify_home
from iamata.stores.wallets import load_wallet, save_wallet
from iamata.vault import policies
from iamata.workflows import planning
from iamata.workflows.wallets import Wallet

MEMBER: Final = "members/north-hospital"
DATABASES: Final = (
    "ledger/ledger.db",
    f"{MEMBER}/vault/records.db",
    f"{MEMBER}/vault/openings.db",
    f"{MEMBER}/keys/wrapped.db",
    f"{MEMBER}/journal/journal.db",
)
LEAF: Final = 10
"""The first byte of a page at the end of an index (SQLite's file format, 1.6)."""
IN_KEY: Final = 12
"""So far into a cell there is a patient's pseudonym, on any kind of page."""
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


def test_a_member_whose_folder_vanished_is_missed(home: Path) -> None:
    for folder in (home / "members").iterdir():
        shutil.rmtree(folder)

    assert find_fault(home) == "members/lake-hospital, which served.json names, is missing"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"members":[]} ', b"\xff", b"[" * 20_000])
def test_a_damaged_list_of_members_is_named(home: Path, content: bytes) -> None:
    (home / "served.json").write_bytes(content)

    assert find_fault(home) == "served.json is damaged"


def test_a_genesis_that_vanished_beside_its_ledger_is_missed(home: Path) -> None:
    (home / "genesis.json").unlink()

    assert find_fault(home) == "genesis.json is missing"


def test_a_member_whom_the_ledger_does_not_know_is_named(home: Path) -> None:
    shutil.copytree(home / MEMBER, home / "members" / "stranger")
    assert "members/stranger is not named in served.json" in find_fault(home)
    write_served(home, [*read_served(home), MemberId("stranger")])

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
    begin = (page - 1) * size
    first = begin + (8 if content[begin] == LEAF else 12)  # of the page's pointers to its cells
    cell = begin + int.from_bytes(content[first : first + 2], "big")
    content[cell + IN_KEY] ^= 1
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


def test_a_vault_key_is_missed_even_where_nothing_is_stored(tmp_path: Path) -> None:
    home = tmp_path / "new"
    create_home(home, "new", [(MemberId("regulator"), "Regulator", MemberKind.REGULATOR)])
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


def write_terms(decision: Ruling, **more: Any) -> Terms:
    now_ms = Instant(read_clock_ms())
    return Terms(decision=decision, recorded_ms=now_ms, policy="urn:iamata:test:1", **more)


def disclose(home: Path, *restrictions: Terms, role: str = "clinician") -> int:
    """Let the demo's patient consent once more, narrow it, and be asked for; count what left."""
    with open_home(home) as opened:
        story = Story(home=opened, tell=lambda _: None)
        clinician = load_wallet(story.find_wallet(SOUTH_CLINICIAN)).identities[0]
        story.people[SOUTH_CLINICIAN] = PersonId(clinician.id)
        folder = story.find_wallet(PATIENT)
        terms = write_terms(
            Ruling.PERMIT, recipients=(f"role:{role}",), purposes=("TREAT",), labels=("N", "R")
        )
        until_day = Day(compute_day(read_clock_ms()) + 30)
        consent = wallets.grant(opened, folder, member=A, terms=terms, until_day=until_day)
        for restriction in restrictions:
            wallets.restrict(opened, folder, consent=consent, terms=restriction)
        return demo.ask_with_share(story)[1]


def change_policies(patch: pytest.MonkeyPatch, change: Callable[[Policy], Policy]) -> None:
    """Make custodians decide by other policies than what is on file."""
    honest = policies.read_policy

    def read_other(*on_what: Any, **more: Any) -> Policy:
        return change(honest(*on_what, **more))

    patch.setattr(planning, "read_policy", read_other)


def forget_restrictions(policy: Policy) -> Policy:
    """Decide as if nobody had narrowed anything."""
    consents = tuple(msgspec.structs.replace(one, restrictions=()) for one in policy.consents)
    return msgspec.structs.replace(policy, consents=consents)


def test_what_left_before_a_restriction_or_in_spite_of_another_is_no_fault(home: Path) -> None:
    before = verify(home).members[1].disclosures_decided_again
    psychiatric = write_terms(Ruling.DENY, labels=("PSY",))

    assert disclose(home) > 0
    assert disclose(home, psychiatric) > 0
    assert verify(home).members[1].disclosures_decided_again == before + 2


def test_a_custodian_that_discloses_what_a_restriction_denies_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = write_terms(Ruling.DENY)
    assert disclose(home, everything) == 0, "an honest custodian keeps to it"
    change_policies(monkeypatch, forget_restrictions)

    assert disclose(home, everything) > 0
    assert "its consent does not permit what left" in find_fault(home)


def test_a_custodian_that_grants_itself_a_role_for_the_asker_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert disclose(home, role="researcher") == 0

    def open_to_all(policy: Policy) -> Policy:
        consents = tuple(
            msgspec.structs.replace(one, terms=msgspec.structs.replace(one.terms, recipients=()))
            for one in policy.consents
            if one.terms is not None
        )
        return msgspec.structs.replace(policy, consents=consents)

    change_policies(monkeypatch, open_to_all)

    assert disclose(home, role="researcher") > 0
    assert "its consent does not permit what left" in find_fault(home)


def test_a_list_of_other_records_than_it_names_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan, to which the ledger commits, names one record fewer than its root is over."""
    write_plan = planning.write_plan

    def write_fewer(*on_what: Any) -> planning.Leaving:
        leaving = write_plan(*on_what)
        plan = leaving.plan
        details = msgspec.structs.replace(plan.details, records=plan.details.records[1:])
        shorter = msgspec.structs.replace(plan, details=details, versions=plan.versions[1:])
        return msgspec.structs.replace(leaving, plan=shorter)

    monkeypatch.setattr(planning, "write_plan", write_fewer)

    assert disclose(home) > 0
    assert "lists other records than it names" in find_fault(home)
