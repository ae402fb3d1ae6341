"""One bit flips, somewhere in a home. What changes what the home says is found, and named."""

import contextlib
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pytest

from iamata.ledger.entries import Role
from iamata.model.reasons import Reason, Refused
from iamata.node import wallets
from iamata.node.home import open_home
from iamata.node.verification import verify_home
from iamata.testing.short_story import tell_short_story

SEED: Final = 20_261_124
FLIPS: Final = {
    "ledger.db": 60,
    "records.db": 60,
    "openings.db": 35,
    "journal.db": 35,
    "wrapped.db": 35,
    "genesis.json": 25,
    "served.json": 15,
    "wallet.json": 30,
    "outbox.json": 20,
    "orderer.key": 10,
    "signing.key": 15,
    "sealing.key": 15,
    "vault.key": 15,
}
"""How many bits flip in each kind of file, one at a time."""

LOG_FLIPS: Final = 40

Dump: TypeAlias = "bytes | tuple[object, ...] | None"
"""What a file says; None where it cannot be read."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the home in which the demo's story was told, with a wallet that holds terms, closed."""
    path = tmp_path_factory.mktemp("flips") / "home"
    with pytest.MonkeyPatch.context() as patch:
        tell_short_story(path, patch.setattr)
    yield path
    shutil.rmtree(path)


def dump(path: Path) -> Dump:
    """Read all that a file says: of a database every table and its numbers, of the rest the bytes."""
    if path.suffix != ".db":
        return path.read_bytes()
    uri = f"{path.as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.text_factory = bytes
        try:
            return _dump_tables(connection)
        except (sqlite3.Error, UnicodeDecodeError):
            return None


def _dump_tables(connection: sqlite3.Connection) -> tuple[object, ...]:
    numbers = [
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id")
    ]
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    tables = [name.decode() for kind, name, *_ in schema if kind == b"table"]
    rows = [connection.execute(f'SELECT * FROM "{table}" NOT INDEXED').fetchall() for table in tables]  # noqa: S608
    return (numbers, schema, rows)


def pick_bits(files: list[Path], count: int, chance: random.Random) -> Iterator[tuple[Path, int]]:
    """Pick bits in files; half of them where bytes are set, for there the content is."""
    filled = {path: np.flatnonzero(np.fromfile(path, np.uint8)).tolist() for path in files}
    for at in range(count):
        path = files[at % len(files)]
        is_filled = at // len(files) % 2 == 0
        place = chance.choice(filled[path]) if is_filled else chance.randrange(path.stat().st_size)
        yield path, 8 * place + chance.randrange(8)


@contextlib.contextmanager
def flipped(path: Path, bit: int) -> Iterator[None]:
    """Flip one bit of a file for a while."""
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)
    try:
        yield
        assert path.read_bytes() == bytes(damaged), "to verify is not to write"
    finally:
        path.write_bytes(content)


def find_fault(home: Path) -> str | None:
    """Verify a home, and return the fault that is named, if any."""
    try:
        verify_home(home, tell=lambda _: None)
    except Refused as refused:
        assert refused.reason is Reason.FAULT_FOUND
        return refused.detail
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", FLIPS)
def test_every_flip_that_changes_what_a_home_says_is_found_and_named(home: Path, name: str) -> None:
    chance, outcomes = random.Random(f"{SEED}/{name}"), Counter[str]()
    before = {path: dump(path) for path in sorted(home.rglob(name))}

    for path, bit in pick_bits(list(before), FLIPS[name], chance):
        with flipped(path, bit):
            is_changed = dump(path) != before[path]
            fault = find_fault(home)
        place = f"bit {bit} of {path.relative_to(home)}"
        assert not is_changed or fault is not None, f"{place} changed something, and nothing was found"
        assert fault is None or _names(fault, path), f"{place}: {fault!r} names no place"
        outcomes[f"{'changed' if is_changed else 'same'}, {'found' if fault else 'passed'}"] += 1

    assert outcomes["changed, found"] >= FLIPS[name] // 2


@pytest.mark.slow
def test_every_flip_in_a_write_ahead_log_is_found_and_named(home: Path, tmp_path: Path) -> None:
    copy, killed, chance = tmp_path / "home", tmp_path / "killed", random.Random(SEED)
    shutil.copytree(home, copy)
    with open_home(copy) as opened:
        folder = copy / "wallets" / "newcomer"
        wallets.admit_person(opened, folder, member="north-hospital", roles=(Role.AUDITOR,))
        shutil.copytree(copy, killed)  # as a kill would leave it
    log = killed / "ledger" / "ledger.db-wal"
    assert find_fault(killed) is None

    for _ in range(LOG_FLIPS):
        bit = chance.randrange(8 * log.stat().st_size)
        with flipped(log, bit):
            fault = find_fault(killed)
        assert fault is not None, f"bit {bit}"
        assert log.name in fault


def test_the_flips_are_at_least_300() -> None:
    assert sum(FLIPS.values()) >= 300


def _names(fault: str, path: Path) -> bool:
    """Tell whether a fault says where it is: in which part of the home, and what there."""
    part = (
        path.parts[-3]
        if path.suffix in {".db", ".key"} and path.parent.parent.name != "home"
        else path.parent.name
    )
    return (part in fault or path.name in fault) and len(fault) > len(part) + 2
