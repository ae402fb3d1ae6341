"""Light blocks are kept once, found by what they vouch for, and lead on from the genesis in few steps."""

import contextlib
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from iamata.engines.keeping.commits import COMMITS_FILE, CommitFile, read_kept
from iamata.ledger.light.blocks import LightBlock, LightValidator
from iamata.ledger.light.verifying import Trust, check_light_block, find_steps, trust_genesis
from iamata.model.canonical import encode_struct
from iamata.model.ids import encode_digest
from iamata.model.reasons import Reason, Refused
from iamata.testing.entropy import derive_key
from iamata.testing.lights import make_light
from iamata.testing.world import FOUNDERS, World

ROOT: Final = trust_genesis(World.found("commits", validators=sorted(FOUNDERS)).engine.genesis)
FIRST_KEYS: Final = {
    key.key_id: key for key in (derive_key("commits", "validator", one) for one in FOUNDERS)
}
FIRST: Final = [FIRST_KEYS[one.key] for one in ROOT.validators]
LATER: Final = [[derive_key("commits", str(era), str(number)) for number in range(4)] for era in range(3)]
HASHES: Final = [encode_digest(bytes([number]) * 32) for number in range(20)]


def write_chain() -> list[LightBlock]:
    """Sign three blocks by each of four sets of validators that have nobody in common."""
    sets = [
        ROOT.validators,
        *(tuple(LightValidator(key=key.key_id, power=1) for key in era) for era in LATER),
    ]
    keys = [FIRST, *LATER]
    lights: list[LightBlock] = []
    trust: Trust = ROOT
    for height in range(1, 13):
        era, following = (height - 1) // 3, min(height // 3, 3)
        light = make_light(
            trust, sets[era], keys[era], app_hash=HASHES[height], next_validators=sets[following]
        )
        trust = check_light_block(light, trust)
        lights.append(light)
    return lights


CHAIN: Final = write_chain()


@pytest.fixture
def file(tmp_path: Path) -> CommitFile:
    opened = CommitFile(tmp_path, is_writer=True)
    for light in CHAIN:
        opened.add(light)
    return opened


def test_what_was_kept_is_found_and_never_changed(file: CommitFile, tmp_path: Path) -> None:
    file.add(make_light(ROOT, ROOT.validators, FIRST, app_hash=HASHES[19]))

    with contextlib.closing(file), contextlib.closing(CommitFile(tmp_path, is_writer=False)) as reader:
        assert reader.find_last_height() == 12
        assert [raw for _, raw in reader.read_all()] == [encode_struct(light) for light in CHAIN]
        assert reader.find(1) == encode_struct(CHAIN[0])
        assert reader.find(13) is None
        with pytest.raises(Refused):
            reader.add(CHAIN[0])


def test_the_file_is_its_owners_alone(file: CommitFile, tmp_path: Path) -> None:
    file.close()

    assert stat.S_IMODE((tmp_path / COMMITS_FILE).stat().st_mode) == 0o600


def test_a_block_is_vouched_for_by_the_next_header_or_its_own(file: CommitFile) -> None:
    with contextlib.closing(file):
        assert file.find_vouching(HASHES[5], height=4) == encode_struct(CHAIN[4])
        assert file.find_vouching(HASHES[5], height=5) == encode_struct(CHAIN[4])
        assert file.find_vouching(HASHES[5], height=6) is None


@pytest.mark.parametrize("height", range(1, 13))
def test_the_turns_lead_to_every_height_from_the_genesis(file: CommitFile, height: int) -> None:
    with contextlib.closing(file):
        turns = file.list_turns()
    trust = ROOT

    steps = find_steps(CHAIN[height - 1], ROOT, turns)

    for step in (*steps, CHAIN[height - 1]):
        trust = check_light_block(step, trust)
    assert trust.height == height
    assert len(steps) <= 2 * ((height - 1) // 3)


def test_where_a_step_is_missing_nothing_leads_on(file: CommitFile) -> None:
    with contextlib.closing(file):
        turns = [one for one in file.list_turns() if one.header.height not in {3, 4}]

    with pytest.raises(Refused, match="cannot be reached"):
        find_steps(CHAIN[4], ROOT, turns)


def test_a_damaged_file_is_named(file: CommitFile, tmp_path: Path) -> None:
    file.close()
    with contextlib.closing(sqlite3.connect(tmp_path / COMMITS_FILE)) as raw:
        raw.execute("UPDATE light SET block = x'7b7d' WHERE height = 2")
        raw.commit()

    with contextlib.closing(CommitFile(tmp_path, is_writer=False)) as reader:
        with pytest.raises(Refused) as refused:
            read_kept(reader.find(2) or b"")
        assert refused.value.reason is Reason.HOME_CORRUPT
    with contextlib.closing(sqlite3.connect(tmp_path / COMMITS_FILE)) as raw:
        raw.execute("DROP INDEX light_by_app_hash")
    with pytest.raises(Refused, match="tables"):
        CommitFile(tmp_path, is_writer=True)


def test_votes_seen_first_stay_though_others_would_do_too(file: CommitFile) -> None:
    fewer = msgspec.structs.replace(CHAIN[0], votes=(None, *CHAIN[0].votes[1:]))

    with contextlib.closing(file):
        file.add(fewer)
        assert file.find(1) == encode_struct(CHAIN[0])


def test_a_second_writer_in_one_process_takes_no_locks_away(file: CommitFile, tmp_path: Path) -> None:
    """Or another process would take the file for its own, and the log of what is written away."""
    CommitFile(tmp_path, is_writer=True).close()
    select = "sqlite3.connect(sys.argv[1]).execute('SELECT max(height) FROM light').fetchone()[0]"
    read = f"import sqlite3, sys; print({select})"
    command = [sys.executable, "-c", read, str(tmp_path / COMMITS_FILE)]

    seen = []
    for height in (13, 14):
        seen.append(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603  our own program
        header = msgspec.structs.replace(CHAIN[-1].header, height=height)
        file.add(msgspec.structs.replace(CHAIN[-1], header=header))
    seen.append(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603  our own program
    file.close()

    assert seen == [b"12\n", b"13\n", b"14\n"]


def test_validators_who_order_again_are_a_turn_too(tmp_path: Path) -> None:
    again = msgspec.structs.replace(CHAIN[2].header, height=7)
    with contextlib.closing(CommitFile(tmp_path, is_writer=True)) as few:
        for light in (*CHAIN[:6], msgspec.structs.replace(CHAIN[2], header=again)):
            few.add(light)
        turns = few.list_turns()

    assert [one.header.height for one in turns] == [1, 3, 4, 6, 7]
