"""Whatever happens to the other process, every question is answered, in order, once."""

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from iamata.model.reasons import Reason, Refused
from iamata.testing import questions
from iamata.testing.questions import Numbers, square_all
from iamata.workers import process
from iamata.workers.mapping import AHEAD_MAX, InlineWorkers, ProcessWorkers
from iamata.workers.process import FAILURES_MAX, WorkerProcess

START_S = 30
QUESTIONS = [Numbers([number, number + 1, number + 2]) for number in range(0, 900, 3)]
SQUARES = [number * number for number in range(900)]


@pytest.fixture
def workers() -> Iterator[ProcessWorkers]:
    """Start a process, wait until it is there, and end it in the end."""
    with closing(ProcessWorkers()) as opened:
        await_start(opened)
        yield opened


def await_start(workers: ProcessWorkers) -> None:
    workers.process.start()
    deadline_s = time.monotonic() + START_S
    while not workers.process.is_ready() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert workers.process.is_ready()


def run(workers: ProcessWorkers | InlineWorkers) -> tuple[list[int], set[int]]:
    """Return the squares in order, and who computed them."""
    answers = [one for _, answers in workers.map(square_all, QUESTIONS) for one in answers]
    return [one.square for one in answers], {one.pid for one in answers}


def test_both_processes_answer_and_the_order_stays(workers: ProcessWorkers) -> None:
    pid = workers.process.pid

    assert run(workers) == (SQUARES, {os.getpid(), pid})


def test_answers_here_are_the_same() -> None:
    assert run(InlineWorkers()) == (SQUARES, {os.getpid()})


def test_one_question_starts_no_process() -> None:
    with closing(ProcessWorkers()) as workers:
        assert len(list(workers.map(square_all, QUESTIONS[:1]))) == 1
        assert workers.process.pid is None


def test_a_process_that_is_killed_half_way_is_replaced(workers: ProcessWorkers) -> None:
    first = workers.process.pid
    squares = []

    for number, (_, answers) in enumerate(workers.map(square_all, QUESTIONS)):
        if number == len(QUESTIONS) // 3 and first is not None:
            os.kill(first, signal.SIGKILL)
        squares += [one.square for one in answers]

    assert squares == SQUARES
    assert workers.process.pid not in (None, first)


def test_after_some_processes_that_died_there_is_no_other(workers: ProcessWorkers) -> None:
    killed: set[int] = set()
    squares = []

    def ask_until_there_is_none() -> Iterator[Numbers]:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s and (len(killed) < FAILURES_MAX or workers.process.pid):
            yield Numbers([3])

    for _, answers in workers.map(square_all, ask_until_there_is_none()):
        pid = workers.process.pid
        if pid is not None and pid not in killed and workers.process.is_ready():
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        squares += [one.square for one in answers]

    assert len(killed) == FAILURES_MAX
    assert set(squares) == {9}
    assert workers.process.pid is None


def test_a_process_that_does_not_answer_is_waited_for_only_so_long(
    workers: ProcessWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE_S", 0.5)
    begun_s = time.monotonic()
    assert workers.process.pid is not None

    os.kill(workers.process.pid, signal.SIGSTOP)

    assert run(workers)[0] == SQUARES
    assert 0.5 <= time.monotonic() - begun_s < START_S


@pytest.mark.parametrize("answer", ["answer_one_too_few", "answer_nonsense", "fail"])
def test_an_answer_to_another_question_is_not_taken(
    answer: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert hasattr(questions, answer)
    with closing(ProcessWorkers()) as workers:
        monkeypatch.setattr(workers, "process", WorkerProcess(f"iamata.testing.questions:{answer}"))
        await_start(workers)
        answered = run(workers)
        workers.close()

    assert answered == (SQUARES, {os.getpid()})
    assert capfd.readouterr() == ("", "")  # a traceback could quote what was asked


def test_a_refusal_to_ask_comes_after_the_answers_before_it(workers: ProcessWorkers) -> None:
    def ask() -> Iterator[Numbers]:
        yield from QUESTIONS[:40]
        raise Refused(Reason.HOME_CORRUPT, "row 120")

    answered = workers.map(square_all, ask())

    squares = [one.square for _ in range(40) for one in next(answered)[1]]

    assert squares == SQUARES[:120]
    with pytest.raises(Refused, match="row 120"):
        next(answered)


def test_only_so_many_questions_are_read_ahead(workers: ProcessWorkers) -> None:
    read = 0

    def ask() -> Iterator[Numbers]:
        nonlocal read
        for question in QUESTIONS:
            read += 1
            yield question

    for number, _ in enumerate(workers.map(square_all, ask())):
        assert read <= number + AHEAD_MAX + 1


def test_a_round_that_is_left_does_not_answer_the_next(workers: ProcessWorkers) -> None:
    for _ in workers.map(square_all, [Numbers([7] * 3)] * 100):
        break

    assert run(workers)[0] == SQUARES


def test_large_questions_and_answers_do_not_wait_for_each_other(workers: ProcessWorkers) -> None:
    large = [Numbers(list(range(300_000)))] * 12

    counts = [len(answers) for _, answers in workers.map(square_all, large)]

    assert counts == [300_000] * 12
    assert workers.process.pid is not None


def test_closing_ends_the_process(workers: ProcessWorkers) -> None:
    pid = workers.process.pid
    assert pid is not None

    workers.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_holds_many_files_open_is_answered() -> None:
    """`select` fails for every descriptor beyond 1,023; a node with many connections has those."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = 1_200
    with contextlib.ExitStack() as opened:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, 2 * many), hard))
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (before, hard))
        for _ in range(many):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        workers = opened.enter_context(closing(ProcessWorkers()))
        await_start(workers)

        assert run(workers)[0] == SQUARES
