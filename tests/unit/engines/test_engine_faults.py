"""What can go wrong around the engine, and what it then does: never silence, never half a block."""

import logging
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.hpke import derive_sealing_key
from iamata.engines.embedded.checking import SignatureChecker, check_batch
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.embedded.inbox import Inbox
from iamata.ledger.envelope import SignedTransaction, read_transaction
from iamata.ledger.execution import PoisonTransactionError
from iamata.ledger.transactions import HANDLERS
from iamata.ledger.transactions.access import AnchorReads, anchor_reads
from iamata.ledger.transactions.members import Application, ApplyAsMember
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.testing.town import Town
from iamata.workers import process
from iamata.workflows.author import Author

ANSWER_TIMEOUT_S = 20


def test_failing_write_thread_stops_the_engine_loudly(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    ticks = iter([read_clock_ms()])
    engine = town.open(clock=lambda: next(ticks))
    raws = town.write_anchors(engine, 60)
    engine.submit(raws[0]).result(ANSWER_TIMEOUT_S)

    with caplog.at_level(logging.CRITICAL):
        answers = [_submit(engine.submit, raw) for raw in raws[1:]]

    assert answers == [Reason.ENGINE_STOPPED] * 59
    assert "the ledger's engine stopped" in caplog.text
    engine.close()
    assert town.open().snapshot().log_size == 1


def test_failing_gather_thread_stops_the_engine_loudly(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        message = "no more memory"
        raise MemoryError(message)

    engine = town.open()
    raws = town.write_anchors(engine, 2)
    monkeypatch.setattr(SignatureChecker, "send", fail)

    with caplog.at_level(logging.CRITICAL):
        answers = [_submit(engine.submit, raw) for raw in raws]

    assert answers == [Reason.ENGINE_STOPPED] * 2
    assert "no more memory" in caplog.text


def test_poison_is_dropped_and_its_neighbours_land(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = town.open()
    raws = town.write_anchors(engine, 40)
    poison = {read_transaction(raws[at]).body.nonce for at in (3, 17)}

    def break_on_poison(tx: AnchorReads, ctx: object) -> object:
        return 1 // 0 if tx.nonce in poison else anchor_reads(tx, ctx)  # type: ignore[arg-type]

    handlers: dict[Any, Any] = HANDLERS
    monkeypatch.setitem(handlers, AnchorReads, break_on_poison)
    errors = [future.exception(ANSWER_TIMEOUT_S) for future in map(engine.submit, raws)]

    broken = [at for at, error in enumerate(errors) if isinstance(error, PoisonTransactionError)]
    assert broken == [3, 17]
    assert engine.snapshot().log_size == 38
    with pytest.raises(PoisonTransactionError):
        engine.submit(raws[3]).result(ANSWER_TIMEOUT_S)


def test_poison_at_admission_is_refused_alone(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that breaks on a stranger's introduction costs the stranger its answer, and nobody else."""
    engine = town.open()
    stranger = Author(engine, SigningKey.from_seed(os.urandom(32)), read_clock_ms, os.urandom)
    application = stranger.state(
        Application,
        invitation=stranger.make_id(),
        signing_key=stranger.key.key_id,
        sealing_key=derive_sealing_key(os.urandom(32)),
    )
    raws = town.write_anchors(engine, 10)
    raws[4] = stranger.write(ApplyAsMember, application=application)
    handlers: dict[Any, Any] = HANDLERS
    monkeypatch.setitem(handlers, ApplyAsMember, lambda tx, ctx: 1 // 0)

    errors = [future.exception(ANSWER_TIMEOUT_S) for future in map(engine.submit, raws)]

    broken = [at for at, error in enumerate(errors) if isinstance(error, PoisonTransactionError)]
    assert broken == [4]
    assert engine.snapshot().log_size == 9
    _accept(engine.submit, town.write_anchors(engine, 1))


def test_full_disk_refuses_whole_blocks_until_there_is_room(town: Town) -> None:
    engine = town.open()
    before = town.write_anchors(engine, 100)
    _accept(engine.submit, before)
    snapshot = engine.snapshot()
    raws = town.write_anchors(engine, 200)

    with _no_more_room(town.folder):
        answers = [_submit(engine.submit, raw) for raw in raws]
    held = engine.snapshot()

    assert answers == [Reason.STORAGE_FULL] * 200
    assert (held.height, held.app_hash) == (snapshot.height, snapshot.app_hash)
    _accept(engine.submit, raws)
    app_hash = engine.snapshot().app_hash
    engine.close()
    assert town.open().snapshot().app_hash == app_hash


def test_full_inbox_refuses_and_shares_nothing(town: Town) -> None:
    engine = town.open()
    first, second = map(read_transaction, town.write_anchors(engine, 2))
    inbox = Inbox(waiting_max=1)
    inbox.put(first)

    with pytest.raises(Refused, match="TOO_BUSY"):
        inbox.put(second)
    assert inbox.take(10, is_patient=True) is not None
    assert not inbox.put(second).done()


def test_checker_answers_rightly_when_its_process_dies_with_two_batches_under_way(
    town: Town,
) -> None:
    batches = _write_batches(town)
    checker = SignatureChecker()
    answers = []
    for _ in range(process.FAILURES_MAX + 2):
        checker.send(batches[0])
        for pid in _list_children():
            os.kill(pid, signal.SIGKILL)
        checker.send(batches[1])
        answers += [checker.receive(), checker.receive()]
    checker.close()

    assert answers == [check_batch(batches[0]), check_batch(batches[1])] * (process.FAILURES_MAX + 2)
    assert answers[0].count(0) == 1
    assert _list_children() == []


@pytest.mark.parametrize("copies", [1, 40], ids=["stopped while answering", "stopped while reading"])
def test_checker_that_is_stopped_is_waited_for_only_so_long(
    town: Town, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    """A small batch fits the pipe, so that the answer is awaited; a large one is not even taken."""
    first, second = (batch * copies for batch in _write_batches(town))
    checker = SignatureChecker()
    checker.send(first)
    before = checker.receive()
    [pid] = _list_children()
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(process, "PATIENCE_S", 0.5)
    begin = time.monotonic()

    checker.send(second)
    answer = checker.receive()

    assert (before, answer) == (check_batch(first), check_batch(second))
    assert 0.5 <= time.monotonic() - begin < ANSWER_TIMEOUT_S
    assert _list_children() == []
    checker.close()


def test_checker_process_answers_as_the_thread_does(town: Town) -> None:
    batches = _write_batches(town)
    checker = SignatureChecker()

    checker.send(batches[0])
    checker.send(batches[1][:3])
    checker.send(batches[1])
    answers = [checker.receive(), checker.receive(), checker.receive()]
    checker.close()

    assert answers == [check_batch(one) for one in (batches[0], batches[1][:3], batches[1])]


def test_checker_process_ends_with_its_parent(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import sys, time\n"
        "from iamata.engines.embedded import checking\n"
        "checker = checking.SignatureChecker()\n"
        "checker._process.start()\n"
        "print(checker._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(  # noqa: S603  our own interpreter
        [sys.executable, str(program)], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _is_running(pid)
        parent.kill()

    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(pid)


def test_damaged_file_is_refused_and_never_a_traceback_of_the_database(town: Town) -> None:
    engine = town.open()
    for raw in town.write_anchors(engine, 30):
        engine.submit(raw).result(ANSWER_TIMEOUT_S)
    app_hash = engine.snapshot().app_hash
    engine.close()
    path = town.folder / "ledger.db"
    sound, chance, refused = path.read_bytes(), random.Random(7), 0

    for _ in range(80):
        damaged = bytearray(sound)
        for _ in range(20):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            opened = town.open()
            list(opened.read_blocks())
            list(opened.events(0))
            assert opened.snapshot().app_hash == app_hash
        except Refused as error:
            assert error.reason in (Reason.HOME_CORRUPT, Reason.FOREIGN_NETWORK), error
            refused += 1
        finally:
            town.opened[-1].close()
            for name in ("ledger.db-wal", "ledger.db-shm"):
                (town.folder / name).unlink(missing_ok=True)

    assert refused > 40
    path.write_bytes(sound)
    assert town.open().snapshot().app_hash == app_hash


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE block SET time_ms = time_ms - 1 WHERE height = 3", "block 3 does not stand"),
        ("UPDATE block SET header = x'2e2e' WHERE height = 3", "the header of block 3"),
        ("UPDATE block SET leaves = x'7b7d' WHERE height = 2", "tiles of the log"),
        ("UPDATE tile SET hashes = zeroblob(64) WHERE level = 0", "tiles of the log"),
        ("DELETE FROM tile", "tiles of the log"),
        ("UPDATE segment SET entries = x'00' WHERE height = 2", "segment 2 of the state"),
        ("DELETE FROM segment WHERE height = 2", "state and log are not those of block 3"),
        ("DROP TABLE tile", "the tables of the ledger"),
    ],
)
def test_damage_is_named(town: Town, statement: str, named: str) -> None:
    engine = town.open()
    for raw in town.write_anchors(engine, 3):
        engine.submit(raw).result(ANSWER_TIMEOUT_S)
    engine.close()
    with sqlite3.connect(town.folder / "ledger.db") as database:
        database.execute(statement)
    database.close()

    with pytest.raises(Refused, match=f"HOME_CORRUPT.*{named}"):
        town.open()


def _accept(submit: object, raws: list[bytes]) -> None:
    futures = [submit(raw) for raw in raws]  # type: ignore[operator]
    assert all(future.result(ANSWER_TIMEOUT_S).reason == ACCEPTED for future in futures)


def _submit(submit: object, raw: bytes) -> Reason | None:
    """Submit, await the end and return the reason of a refusal, however it came."""
    try:
        submit(raw).result(ANSWER_TIMEOUT_S)  # type: ignore[operator]
    except Refused as refused:
        return refused.reason
    return None


@contextmanager
def _no_more_room(folder: Path) -> Iterator[None]:
    """Let no file grow beyond what the largest one measures now."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _write_batches(town: Town) -> list[list[SignedTransaction]]:
    """Write two batches, too large for the thread, with one forgery in the first."""
    raws = town.write_anchors(town.open(), 200)
    raws[5] = raws[5][:-86] + raws[6][-86:]
    transactions = [read_transaction(raw) for raw in raws]
    return [transactions[:80], transactions[80:]]


def _list_children() -> list[int]:
    pids: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            pids += map(int, (task / "children").read_text().split())
    return pids


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
