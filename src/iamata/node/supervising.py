"""Keep programs running that need each other: what dies takes its group along, and all of it starts again.

A node and its CometBFT are such a group: when the connection between them breaks, CometBFT gives up by
itself, and a node without it orders nothing. A group that dies at once again and again is given up, and
the last line of its log says why; the other groups go on without it, as a network goes on without a node.
Who lives on after saying that it can do no more counts as dead. When the supervisor itself is killed, a
guard ends its programs. What they print goes to files that are rotated; where the disk is full, lines are
lost there, and the last one is still told.
"""

import collections
import contextlib
import dataclasses
import logging.handlers
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from iamata.model.reasons import Reason, Refused
from iamata.node.guarding import Guard

LOG_BYTES_MAX: Final = 8 * 1024 * 1024
LOG_FILES: Final = 4
LINE_CHARS_MAX: Final = 4_096
SAID_CHARS_MAX: Final = 400
"""Of a program's last line, as it is told."""
PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 30.0
HEALTHY_S: Final = 20.0
"""Who ran for so long has started well; what it dies of then is new."""
STARTS_MAX: Final = 5
"""Starts in a row that end before that, until a group is given up."""
STOP_S: Final = 20.0
"""How long a program may take to stop before it is killed."""
LOOK_S: Final = 0.1

Tell = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """What to run, and where its output goes."""

    name: str
    arguments: tuple[str, ...]
    folder: Path
    log: Path
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What it is told besides what we were told."""
    last_words: re.Pattern[str] | None = None
    """How the line begins with which it gives up and lives on, doing nothing more. Further on in a line may
    stand what a stranger has said to it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Programs that run together or not at all, in the order in which they start."""

    name: str
    programs: tuple[Program, ...]


def spawn(program: Program, output: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a program; a terminal's interrupt is for whoever started it alone."""
    return subprocess.Popen(  # noqa: S603  our own programs
        program.arguments,
        cwd=program.folder,
        env={**os.environ, **program.environment},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def supervise(groups: Sequence[Group], stopping: threading.Event, tell: Tell) -> None:
    """Run groups until somebody says to stop, or none of them can be kept running; refuse then."""
    guard = Guard(stop_s=STOP_S)
    running = [_RunningGroup(group, guard, tell) for group in groups]
    try:
        for one in running:
            one.start()
        while not stopping.wait(LOOK_S):
            for one in running:
                one.look()
            if all(one.given_up for one in running):
                raise Refused(Reason.ENGINE_STOPPED, "; ".join(one.given_up for one in running))
    finally:
        _stop_all([process for one in running for process in one.take_processes()])
        guard.close()


class _RunningGroup:
    """A group, what runs of it now, and how often it died."""

    def __init__(self, group: Group, guard: Guard, tell: Tell) -> None:
        self._group = group
        self._guard = guard
        self._tell = tell
        self._processes: list[_Process] = []
        self._begun_s = 0.0
        self._starts = 0
        self._next_s = 0.0
        self._given_up = ""

    @property
    def given_up(self) -> str:
        """Say why it is not started any more, nothing where it is."""
        return self._given_up

    def start(self) -> None:
        """Start every program."""
        self._begun_s = time.monotonic()
        self._starts += 1
        for program in self._group.programs:
            self._processes.append(_Process(program, self._guard))

    def look(self) -> None:
        """Start again what is due; where one program has ended, end the others."""
        now_s = time.monotonic()
        if self._given_up:
            return
        if not self._processes:
            if now_s >= self._next_s:
                try:
                    self.start()
                except Refused as refused:  # as where no process can be made; the other groups go on
                    self._end(now_s, f"{self._group.name}: {refused.detail}")
            return
        dead = next((one for one in self._processes if one.has_ended), None)
        if dead is None:
            return
        _stop_all(self.take_processes())  # before it is asked how the dead one ended: it may live on
        if now_s - self._begun_s >= HEALTHY_S:
            self._starts = 0
        self._end(now_s, f"{self._group.name}: {dead.describe_end()}")

    def _end(self, now_s: float, story: str) -> None:
        """End what still runs; give up, or say when everything starts again."""
        _stop_all(self.take_processes())
        if self._starts >= STARTS_MAX:
            self._given_up = f"{story}. It was started {self._starts} times"
            self._tell(f"{self._given_up} and is given up")
            return
        pause_s = min(PAUSE_FIRST_S * 2 ** max(self._starts - 1, 0), PAUSE_MAX_S)
        self._next_s = now_s + pause_s
        self._tell(f"{story}. Everything of {self._group.name} starts again in {pause_s:g} s")

    def take_processes(self) -> list["_Process"]:
        """Hand over what runs."""
        taken, self._processes = self._processes, []
        return taken


class _Process:
    """One process, and the thread that writes down what it says."""

    def __init__(self, program: Program, guard: Guard) -> None:
        self._program = program
        self._guard = guard
        self._tail: collections.deque[str] = collections.deque(maxlen=1)
        self._has_given_up = False
        try:
            program.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._process = spawn(program, subprocess.PIPE)
        except OSError as error:
            raise Refused(Reason.ENGINE_STOPPED, f"{program.name}: {error.strerror}") from error
        guard.keep(self._process.pid)
        self._writer = threading.Thread(
            target=self._write_log, name=f"iamata-log-{program.name}", daemon=True
        )
        self._writer.start()

    @property
    def has_ended(self) -> bool:
        """Tell whether it runs no more, or runs to no end."""
        return self._process.poll() is not None or self._has_given_up

    def describe_end(self) -> str:
        """Say how it ended, and what it said last."""
        self._writer.join(STOP_S)
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
        if self._has_given_up:
            how = "can do no more"
        said = f", saying: {self._tail[0][:SAID_CHARS_MAX]}" if self._tail else ""
        return f"{self._program.name} {how}{said} (its log: {self._program.log})"

    def ask_to_stop(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def await_end(self, deadline_s: float) -> None:
        """Wait until it has ended; kill it when it takes too long."""
        try:
            self._process.wait(max(deadline_s - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._guard.let_go(self._process.pid)
        self._writer.join(STOP_S)

    def _write_log(self) -> None:
        source = self._process.stdout
        if source is None:
            return
        with source, _rotating_file(self._program.log) as write:
            for line, is_begin in _read_lines(source):
                write(line)
                if line.strip() and not self._has_given_up:
                    self._tail.append(line.strip())
                    last_words = self._program.last_words if is_begin else None
                    self._has_given_up = last_words is not None and last_words.match(line) is not None


def _stop_all(processes: Sequence[_Process]) -> None:
    """End processes in the reverse order of their starts, all asked before any is waited for."""
    for one in reversed(processes):
        one.ask_to_stop()
    deadline_s = time.monotonic() + STOP_S
    for one in reversed(processes):
        one.await_end(deadline_s)


class _LogFile(logging.handlers.RotatingFileHandler):
    """A log that loses lines when they cannot be written, for whoever prints them must not stop for it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the library's name
        """Let the line be lost: it is the disk that is full, and there is nowhere else to say it."""


@contextlib.contextmanager
def _rotating_file(path: Path) -> Iterator[Callable[[str], None]]:
    file = _LogFile(
        path,
        maxBytes=LOG_BYTES_MAX,
        backupCount=LOG_FILES,
        encoding="utf-8",
        errors="replace",
        delay=True,  # what goes wrong at opening is then lost like a line
    )
    try:
        yield lambda line: file.emit(logging.makeLogRecord({"msg": line}))
    finally:
        with contextlib.suppress(OSError):
            file.close()


def _read_lines(source: IO[bytes]) -> Iterator[tuple[str, bool]]:
    """Read lines, those that are too long in pieces; say of each whether a line begins with it."""
    is_begin = True
    while line := source.readline(LINE_CHARS_MAX):
        yield line.decode("utf-8", "replace").rstrip("\n"), is_begin
        is_begin = line.endswith(b"\n")
