"""A home: founded whole or not at all, opened by one process at a time."""

import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from iamata.ledger.entries import MemberKind
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.node.home import GENESIS_FILE, LEDGER_FOLDER, create_home, open_home
from iamata.node.verification import verify_home

FOUNDERS: Final = (
    (MemberId("north-hospital"), "North Hospital", MemberKind.HOSPITAL),
    (MemberId("regulator"), "Health Data Authority", MemberKind.REGULATOR),
)
_HOLD: Final = """
import sys
from pathlib import Path
from iamata.node.home import open_home
with open_home(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def founded(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    create_home(path, "A network", FOUNDERS)
    return path


def refuse_to_create(
    path: Path, founders: tuple[tuple[MemberId, str, MemberKind], ...] = FOUNDERS
) -> Reason:
    with pytest.raises(Refused) as refusal:
        create_home(path, "A network", founders)
    return refusal.value.reason


def test_a_founded_home_opens_and_serves_its_members(founded: Path) -> None:
    with open_home(founded) as home:
        assert sorted(home.offices) == ["north-hospital", "regulator"]


def test_a_founded_home_verifies_before_it_was_ever_used(founded: Path) -> None:
    report = verify_home(founded, tell=lambda _: None)

    assert (report.ledger.blocks, len(report.members), report.identities) == (0, 2, 2)


def test_only_the_genesis_and_the_ledger_may_be_read_by_others(founded: Path) -> None:
    shared = {path.name for path in founded.rglob("*") if path.is_file() and path.stat().st_mode & 0o077}

    assert shared <= {GENESIS_FILE, "ledger.db"}
    assert founded.stat().st_mode & 0o777 == 0o700


def test_a_folder_with_anything_in_it_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    assert refuse_to_create(tmp_path) is Reason.HOME_ALREADY_EXISTS
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_is_no_place_for_a_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    assert refuse_to_create(tmp_path / "file") is Reason.HOME_ALREADY_EXISTS


def test_a_second_founding_changes_nothing(founded: Path) -> None:
    before = (founded / GENESIS_FILE).read_bytes()

    assert refuse_to_create(founded) is Reason.HOME_ALREADY_EXISTS
    assert (founded / GENESIS_FILE).read_bytes() == before


@pytest.mark.parametrize("name", ["../outside", "/outside", "UPPER", "", "a", "north-hospital"])
def test_a_bad_name_is_refused_before_any_folder_is_made(tmp_path: Path, name: str) -> None:
    founders = (*FOUNDERS, (MemberId(name), "Another", MemberKind.HOSPITAL))

    assert refuse_to_create(tmp_path / "home", founders) in (Reason.MALFORMED, Reason.MEMBER_ALREADY_EXISTS)
    assert list(tmp_path.iterdir()) == []


def test_a_network_needs_a_founder(tmp_path: Path) -> None:
    assert refuse_to_create(tmp_path / "home", ()) is Reason.INPUT_INVALID


def test_a_full_disk_leaves_nothing_of_a_home_behind(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # keys fit, a store does not
    try:
        reason = refuse_to_create(tmp_path / "home")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert reason is Reason.STORAGE_FULL
    assert list((tmp_path / "home").iterdir()) == []


def test_a_home_whose_founding_was_cut_off_says_so(founded: Path) -> None:
    (founded / GENESIS_FILE).unlink()

    with pytest.raises(Refused, match="never founded to the end") as refusal, open_home(founded):
        pass

    assert refusal.value.reason is Reason.HOME_NOT_FOUND
    assert refuse_to_create(founded) is Reason.HOME_ALREADY_EXISTS


def test_a_missing_home_is_not_found_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="HOME_NOT_FOUND"), open_home(tmp_path / "home"):
        pass

    assert list(tmp_path.iterdir()) == []


def test_a_lost_key_is_named(founded: Path) -> None:
    (founded / LEDGER_FOLDER / "orderer.key").unlink()

    with pytest.raises(Refused, match=r"orderer\.key"), open_home(founded):
        pass


def test_another_orderers_key_is_refused(founded: Path, tmp_path: Path) -> None:
    create_home(tmp_path / "other", "Another", FOUNDERS)
    shutil.copy(tmp_path / "other" / LEDGER_FOLDER / "orderer.key", founded / LEDGER_FOLDER)

    with pytest.raises(Refused, match="UNKNOWN_SIGNER"), open_home(founded):
        pass


def test_a_second_process_is_told_that_the_home_is_in_use(founded: Path) -> None:
    first = subprocess.Popen(  # noqa: S603  our own interpreter
        [sys.executable, "-c", _HOLD, str(founded)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    with first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        with pytest.raises(Refused, match="HOME_IN_USE"), open_home(founded):
            pass
        with pytest.raises(Refused, match="HOME_IN_USE"):
            verify_home(founded, tell=lambda _: None)

    with open_home(founded):
        pass


@pytest.mark.parametrize("is_emptied", [True, False])
def test_a_home_that_lost_its_ledger_does_not_begin_again(tmp_path: Path, is_emptied: bool) -> None:  # noqa: FBT001
    home = tmp_path / "home"
    create_home(home, "test", [(MemberId("hospital-a"), "A", MemberKind.HOSPITAL)])
    ledger = home / "ledger" / "ledger.db"
    if is_emptied:
        ledger.write_bytes(b"")
    else:
        ledger.unlink()

    with pytest.raises(Refused, match="missing or empty"), open_home(home):
        pass
