"""Kill the engine at random moments, and look for anything acknowledged that is not there any more.

A child process is forked for each life, so that starting costs little; it takes up the same home, submits
from several threads, and tells its parent over a pipe of every transaction that became final.
"""

import os
import random
import select
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import pytest

from iamata.crypto.hpke import derive_sealing_key
from iamata.engines.embedded.checking import SignatureChecker
from iamata.engines.embedded.engine import EmbeddedEngine, read_clock_ms
from iamata.engines.keeping import segments
from iamata.engines.keeping.storage import LEDGER_FILE
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.transaction import Transaction
from iamata.ledger.transactions.access import AnchorReads
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.ledger.transactions.members import RotateSealingKey
from iamata.ledger.transactions.records import AnchorRecords
from iamata.model.ids import AnchorId, encode_digest
from iamata.ports import Finality
from iamata.testing.town import Town
from iamata.workflows.author import Author
from iamata.workflows.replaying import replay

LIVES: Final = 200
LIFE_S_MAX: Final = 0.12
AT_WORK: Final = 0.75
"""So many lives count their time from the first answer; the others from birth, to be killed at start."""
COMPACTING_LIVES: Final = 60
LIVES_PER_CHECK: Final = 20
START_S_MAX: Final = 10
BUDGET_S: Final = 600
"""A machine too slow for all lives within this time fails the test rather than pass it with fewer."""
SUBMITTERS: Final = 4
WINDOWS: Final = (1, 4, 16)
"""Transactions that a submitter has under way; the last fill batches that go to the checking process."""


WriteOne: TypeAlias = Callable[[Author], bytes]


@pytest.mark.slow
def test_killed_engine_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    _kill_and_check(Town(tmp_path), lives=LIVES, writes=(_write_reads, _write_records))


@pytest.mark.slow
def test_killed_engine_loses_nothing_while_it_moves_garbage_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are overwritten without end, some blocks write nothing, and every block empties segments."""
    monkeypatch.setattr(segments, "GARBAGE_FREE", 0)  # the children inherit it
    home = Town(tmp_path)

    _kill_and_check(home, lives=COMPACTING_LIVES, writes=(_write_rotation, _write_refused))

    with sqlite3.connect(home.folder / LEDGER_FILE) as database:
        [(stored,)] = database.execute("SELECT count(*) FROM segment")
        [(blocks,)] = database.execute("SELECT count(*) FROM block")
    database.close()
    assert stored < blocks / 4


def _kill_and_check(home: Town, *, lives: int, writes: Sequence[WriteOne]) -> None:
    """Live and be killed many times, and look for what was acknowledged, in the log and in the state."""
    chance, begin = random.Random(20_261_124), time.monotonic()
    acknowledged: list[Finality] = []
    unchecked: list[Finality] = []
    fruitful = 0

    for life in range(1, lives + 1):
        assert time.monotonic() - begin < BUDGET_S, f"only {life} lives in {BUDGET_S} s"
        told = _live_and_be_killed(
            home,
            after_s=chance.uniform(0, LIFE_S_MAX),
            is_at_work=chance.random() < AT_WORK,
            window=chance.choice(WINDOWS),
            writes=writes,
        )
        fruitful += bool(told)
        unchecked += told
        if life % LIVES_PER_CHECK == 0:
            _check(home, unchecked)
            acknowledged += unchecked
            unchecked = []

    assert fruitful > lives / 2
    assert len({finality.id for finality in acknowledged}) == len(acknowledged) > lives
    _check(home, acknowledged)
    _check_replay(home)


def _live_and_be_killed(
    home: Town, *, after_s: float, is_at_work: bool, window: int, writes: Sequence[WriteOne]
) -> list[Finality]:
    """Fork a child that works on the home, kill it, and return what it had acknowledged."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        _work(home, sink, window, writes)
    os.close(sink)
    first = _read(source, START_S_MAX) if is_at_work else b""
    deadline, later = time.monotonic() + after_s, b""
    while (left_s := deadline - time.monotonic()) > 0:
        later += _read(source, left_s)
    os.kill(child, signal.SIGKILL)
    while piece := os.read(source, 65_536):
        later += piece
    os.close(source)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    return list(_decode(first + later))


def _read(source: int, wait_s: float) -> bytes:
    """Read what comes within some time, if anything does."""
    readable, _, _ = select.select([source], [], [], wait_s)
    return os.read(source, 65_536) if readable else b""


def _work(home: Town, sink: int, window: int, writes: Sequence[WriteOne]) -> None:
    """Submit without end from several threads; write a line for each answer, whole or not at all."""
    try:
        engine = home.open()
        author = Author(engine, home.node, read_clock_ms, os.urandom)
        for number in range(SUBMITTERS):
            write = writes[number % len(writes)]
            threading.Thread(
                target=_submit, args=(engine, author, sink, window, write), daemon=True
            ).start()
        threading.Event().wait()
    finally:
        os._exit(1)  # a forked child must not run its parent's tests


def _submit(engine: EmbeddedEngine, author: Author, sink: int, window: int, write: WriteOne) -> None:
    try:
        while True:
            futures = [engine.submit(write(author)) for _ in range(window)]
            for future in futures:
                os.write(sink, msgspec.json.encode(future.result()) + b"\n")
    finally:
        os._exit(1)  # an engine that stops by itself must not pass for one that was killed


def _write_reads(author: Author) -> bytes:
    return _write_anchor(author, AnchorReads)


def _write_records(author: Author) -> bytes:
    return _write_anchor(author, AnchorRecords)


def _write_anchor(author: Author, kind: type[Transaction]) -> bytes:
    anchor, root = AnchorId(author.make_id()), encode_digest(os.urandom(32))
    return author.write(kind, anchor=anchor, root=root, count=1)


def _write_rotation(author: Author) -> bytes:
    return author.write(RotateSealingKey, sealing_key=derive_sealing_key(os.urandom(32)))


def _write_refused(author: Author) -> bytes:
    return author.write(WithdrawConsent, consent=author.make_id())


def _decode(received: bytes) -> Iterator[Finality]:
    *lines, rest = received.split(b"\n")
    assert rest == b"", "a line was cut, though it fits in one write"
    for line in lines:
        yield msgspec.json.decode(line, type=Finality)


def _check(home: Town, acknowledged: list[Finality]) -> None:
    """Find every acknowledged transaction in the log, at its place and with its result."""
    engine = home.open()
    log = dict(engine.events(0))
    heights = [block.height for block in engine.read_blocks() for _ in block.leaves]
    engine.close()
    for finality in acknowledged:
        leaf = log[finality.index]
        found = (leaf.id, heights[finality.index], leaf.time_ms, leaf.reason)
        assert found == (finality.id, finality.height, finality.time_ms, finality.reason)


def _check_replay(home: Town) -> None:
    """Replay everything from the genesis, and come to the same log, app hash and state."""
    engine = home.open()
    view, checker = engine.snapshot(), SignatureChecker()
    report = replay(home.genesis, engine.read_blocks(), checker)
    checker.close()
    leaves = [decode_leaf(leaf) for block in engine.read_blocks() for leaf in block.leaves]

    assert (report.app_hash, report.blocks) == (view.app_hash, view.height)
    assert report.transactions == len(leaves) == view.log_size
    assert all(view.get(key) == value for key, value in report.state.entries.items())
    engine.close()
