"""What the embedded engine promises to those who submit and to those who read."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.ledger.receipts import check_growth, check_receipt, check_state_proof
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.testing.town import Town

ANSWER_TIMEOUT_S = 20


def test_acknowledged_transaction_is_in_the_log_with_a_receipt(town: Town) -> None:
    engine = town.open()
    finality = engine.submit(town.write_anchors(engine, 1)[0]).result(ANSWER_TIMEOUT_S)

    leaf = check_receipt(engine.snapshot().prove_leaf(finality.index), town.genesis)

    assert (finality.reason, leaf.id, leaf.reason) == (ACCEPTED, finality.id, ACCEPTED)


def test_the_log_is_shown_to_have_only_grown_across_tiles_and_a_restart(town: Town) -> None:
    engine = town.open()
    checkpoints = []
    for count in (1, 254, 1, 1, 260):
        for future in [engine.submit(raw) for raw in town.write_anchors(engine, count)]:
            future.result(ANSWER_TIMEOUT_S)
        checkpoints.append(engine.snapshot().prove_leaf(0).checkpoint)
    engine.close()
    view = town.open().snapshot()

    assert [one.log_size for one in checkpoints] == [1, 255, 256, 257, 517]
    for earlier in checkpoints:
        check_growth(view.prove_growth(earlier.log_size), earlier, town.genesis)


def test_same_transaction_twice_shares_one_answer(town: Town) -> None:
    engine = town.open()
    [raw] = town.write_anchors(engine, 1)

    with ThreadPoolExecutor(8) as pool:
        futures = list(pool.map(engine.submit, [raw] * 8))
    answers = [_find_reason(future.exception(ANSWER_TIMEOUT_S)) for future in futures]

    assert engine.snapshot().log_size == 1
    assert set(answers) <= {None, Reason.REPLAYED}
    assert None in answers


def test_final_transaction_is_replayed_when_it_comes_again_even_after_a_restart(town: Town) -> None:
    engine = town.open()
    [raw] = town.write_anchors(engine, 1)
    engine.submit(raw).result(ANSWER_TIMEOUT_S)

    at_once = engine.submit(raw).exception(ANSWER_TIMEOUT_S)
    engine.close()
    later = town.open().submit(raw).exception(ANSWER_TIMEOUT_S)

    assert [_find_reason(at_once), _find_reason(later)] == [Reason.REPLAYED, Reason.REPLAYED]


def test_forged_copy_does_not_answer_for_the_true_transaction(town: Town) -> None:
    engine = town.open()
    [raw] = town.write_anchors(engine, 1)
    signed, _, signature = raw.rpartition(b".")
    forged = signed + b"." + (b"B" if signature.startswith(b"A") else b"A") + signature[1:]

    answers = [engine.submit(one) for one in (forged, raw, forged)]

    assert _find_reason(answers[0].exception(ANSWER_TIMEOUT_S)) is Reason.BAD_SIGNATURE
    assert answers[1].result(ANSWER_TIMEOUT_S).reason == ACCEPTED


def test_forgery_among_many_is_found_by_the_checking_process(town: Town) -> None:
    engine = town.open()
    raws = town.write_anchors(engine, 300)
    forged = raws[123][:-86] + raws[124][-86:]

    futures = [engine.submit(raw) for raw in (*raws[:123], forged, *raws[124:])]
    reasons = [_find_reason(future.exception(ANSWER_TIMEOUT_S)) for future in futures]

    assert reasons == [None] * 123 + [Reason.BAD_SIGNATURE] + [None] * 176


def test_submitted_transaction_cannot_be_taken_back(town: Town) -> None:
    engine = town.open()
    future = engine.submit(town.write_anchors(engine, 1)[0])

    assert not future.cancel()
    assert future.result(ANSWER_TIMEOUT_S).reason == ACCEPTED


def test_close_while_busy_answers_everybody(town: Town) -> None:
    engine = town.open()
    futures = [engine.submit(raw) for raw in town.write_anchors(engine, 500)]

    engine.close()

    assert all(future.done() and future.result().reason == ACCEPTED for future in futures)


def test_closed_engine_refuses(town: Town) -> None:
    engine = town.open()
    [raw, other] = town.write_anchors(engine, 2)
    engine.submit(raw).result(ANSWER_TIMEOUT_S)
    view = engine.snapshot()
    engine.close()
    engine.close()

    with pytest.raises(Refused, match="ENGINE_STOPPED"):
        engine.submit(other)
    with pytest.raises(Refused, match="ENGINE_STOPPED"):
        view.prove_leaf(0)


def test_restart_finds_the_same_state(town: Town) -> None:
    engine = town.open()
    for raw in town.write_anchors(engine, 5):
        engine.submit(raw).result(ANSWER_TIMEOUT_S)
    before = engine.snapshot()
    engine.close()

    after = town.open().snapshot()

    assert (after.height, after.time_ms, after.app_hash) == (before.height, before.time_ms, before.app_hash)


def test_events_follow_a_cursor(town: Town) -> None:
    engine = town.open()
    answers = [engine.submit(raw).result(ANSWER_TIMEOUT_S) for raw in town.write_anchors(engine, 10)]

    seen = [(index, leaf.id) for index, leaf in engine.events(4)]

    assert seen == [(answer.index, answer.id) for answer in answers[4:]]
    assert list(engine.events(10)) == []
    assert len(list(engine.events(-3))) == 10


def test_snapshot_stays_consistent_while_the_writer_writes(town: Town) -> None:
    engine = town.open()
    first = engine.submit(town.write_anchors(engine, 1)[0]).result(ANSWER_TIMEOUT_S)
    raws, is_over, faults = town.write_anchors(engine, 3_000), threading.Event(), []

    def read() -> None:
        view = engine.snapshot()
        while not is_over.is_set():
            newer = engine.snapshot()
            for one in (view, newer):
                leaf = check_receipt(one.prove_leaf(one.log_size - 1), town.genesis)
                shown = check_state_proof(one.prove_entry(b"network/current"), town.genesis)
                if (
                    leaf.time_ms != one.time_ms
                    or shown is None
                    or one.prove_leaf(0).leaf.find(first.id) < 0
                ):
                    faults.append(one.height)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    futures = [engine.submit(raw) for raw in raws]
    answers = [future.result(ANSWER_TIMEOUT_S) for future in futures]
    is_over.set()
    for reader in readers:
        reader.join()

    assert len(answers) == 3_000
    assert faults == []


def test_close_leaves_no_file_open(town: Town) -> None:
    engine = town.open()
    engine.submit(town.write_anchors(engine, 1)[0]).result(ANSWER_TIMEOUT_S)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: list(engine.events(0)), range(24)))
    abandoned = engine.events(0)
    next(abandoned)

    engine.close()
    del abandoned

    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  names only
    still_open = [Path(link).readlink() for link in links if Path(link).is_symlink()]
    assert not [path for path in still_open if path.is_relative_to(town.folder)]


def test_files_are_for_their_owner_alone(town: Town) -> None:
    usual = os.umask(0)
    try:
        engine = town.open()
        engine.submit(town.write_anchors(engine, 1)[0]).result(ANSWER_TIMEOUT_S)
        engine.snapshot().prove_leaf(0)
        modes = {path.name: path.stat().st_mode & 0o777 for path in town.folder.iterdir()}
    finally:
        os.umask(usual)

    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "lock"), 0o600)


def test_second_engine_on_the_same_home_is_refused(town: Town) -> None:
    town.open()

    with pytest.raises(Refused, match="HOME_IN_USE"):
        town.open()


def test_second_process_on_the_same_home_is_refused(town: Town) -> None:
    town.open()
    program = (
        "import sys, pathlib; from iamata.engines.keeping.lock import LedgerLock; "
        "LedgerLock(pathlib.Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    answer = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", program, str(town.folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    assert "HOME_IN_USE" in answer.stderr


def test_another_genesis_on_the_same_folder_is_refused(town: Town, tmp_path: Path) -> None:
    town.open().close()
    stranger = Town(tmp_path)

    with pytest.raises(Refused, match="FOREIGN_NETWORK"):
        stranger.open()


def test_another_orderer_is_refused(town: Town) -> None:
    with pytest.raises(Refused, match="UNKNOWN_SIGNER"):
        EmbeddedEngine(town.folder, town.genesis, orderer=town.node)


def test_missing_folder_is_named(town: Town) -> None:
    with pytest.raises(Refused, match=r"HOME_NOT_FOUND.*nowhere"):
        EmbeddedEngine(town.folder / "nowhere", town.genesis, orderer=town.orderer)


def _find_reason(error: BaseException | None) -> Reason | None:
    return error.reason if isinstance(error, Refused) else None
