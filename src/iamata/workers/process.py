"""A process that answers what it is asked, in order, and is never waited for too long.

It starts with an empty environment and ends when its input does, so it never outlives its parent. It
answers with the function that it was started for, and dies of whatever that raises.
"""

import contextlib
import fcntl
import importlib
import os
import queue
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Final

from iamata.workers.collecting import collecting_rarely

FRAME_BYTES_MAX: Final = 256 * 1024 * 1024
FAILURES_MAX: Final = 3
"""After so many processes that died there is no other."""
PATIENCE_S: Final = 10
"""A process that does not take a question, or does not answer one, within this time is killed."""

_FRAME: Final = struct.Struct(">I")
_PIPE_BYTES: Final = 1024 * 1024
_READ_BYTES_MAX: Final = 1024 * 1024
_PROGRAM: Final = """
import sys
name, sys.path[:] = sys.argv[1], sys.argv[2:]
from iamata.workers.process import main
main(name)
"""
"""The process finds its modules where its parent found them, and nowhere else."""


class WorkerProcess:
    """A process, from the first question that it is asked; where it fails, another takes its place."""

    def __init__(self, answer: str) -> None:
        """Take the module and the name of a function from bytes to bytes: `package.module:function`."""
        self._answer = answer
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._failures = 0
        self._under_way = 0

    @property
    def pid(self) -> int | None:
        """Tell which process it is, while there is one."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process, unless it runs, has failed too often, or an older one owes answers."""
        if self._process is None and self._failures < FAILURES_MAX and not self._under_way:
            self._is_ready = False
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-I", "-c", _PROGRAM, self._answer, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a traceback may quote what was asked
                bufsize=0,
                env={},
            )
            for stream in (self._process.stdin, self._process.stdout):
                _prepare_pipe(_get_descriptor(stream))

    def ask(self, question: bytes) -> bool:
        """Hand a question over; tell whether that went well. Answers are then awaited in this order."""
        try:
            self.start()
            if self._process is None:
                return False
            self._write_frame(self._process.stdin, question)
        except OSError:
            self.give_up()
            return False
        self._under_way += 1
        return True

    def await_answer(self) -> bytes | None:
        """Return the oldest answer that was not awaited yet; None where it will never come."""
        self._under_way -= 1
        try:
            return self._read_answer() if self._process is not None else None
        except OSError:
            self.give_up()
            return None

    def has_answered(self) -> bool:
        """Tell whether the oldest answer that is owed can be had without waiting."""
        return self._under_way > 0 and (self._process is None or (self.is_ready() and self._has_output()))

    def is_ready(self) -> bool:
        """Tell whether the process runs and has said that it is there."""
        if self._process is not None and not self._is_ready and self._has_output():
            try:
                self._greet()
            except OSError:
                self.give_up()
        return self._process is not None and self._is_ready

    def give_up(self) -> None:
        """Let go of a process that fails. What it owes never comes."""
        self._failures += 1
        self.close()

    def discard(self) -> None:
        """End the process; what it owes is not wanted any more."""
        self.close()
        self._under_way = 0

    def close(self) -> None:
        """End the process at once, if there is one: it keeps nothing, and may be loading modules still."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()

    def _has_output(self) -> bool:
        stream = self._process.stdout if self._process is not None else None
        poll = select.poll()  # not select(), which knows no descriptor beyond 1,023
        poll.register(_get_descriptor(stream), select.POLLIN)
        return bool(poll.poll(0))

    def _greet(self) -> None:
        """Take the empty frame that the process sends when it has loaded its modules."""
        stream = self._process.stdout if self._process is not None else None
        self._is_ready = _read_exactly(stream, _FRAME.size, time.monotonic() + PATIENCE_S) == bytes(4)
        if not self._is_ready:
            raise ConnectionAbortedError

    def _read_answer(self) -> bytes:
        if not self._is_ready:
            self._greet()
        stream = self._process.stdout if self._process is not None else None
        deadline_s = time.monotonic() + PATIENCE_S
        (size,) = _FRAME.unpack(_read_exactly(stream, _FRAME.size, deadline_s))
        if size > FRAME_BYTES_MAX:
            raise ConnectionAbortedError
        return _read_exactly(stream, size, deadline_s)

    @staticmethod
    def _write_frame(stream: IO[bytes] | None, body: bytes) -> None:
        if len(body) > FRAME_BYTES_MAX:
            message = "too much for one question"
            raise OSError(message)
        descriptor, deadline_s = _get_descriptor(stream), time.monotonic() + PATIENCE_S
        # In one piece: each write wakes the other process, which may then take this very core for a while.
        rest = memoryview(_FRAME.pack(len(body)) + body)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                _wait(descriptor, select.POLLOUT, deadline_s)


def main(name: str) -> None:
    """Serve on the standard streams until the parent closes them or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    module, _, function = name.partition(":")
    try:
        answer = getattr(importlib.import_module(module), function)
        with collecting_rarely():
            serve(sys.stdin.buffer, sys.stdout.buffer, answer)
    finally:
        os._exit(0)  # at once, whatever happened: nobody reads what an orderly end would say


def serve(source: IO[bytes], sink: IO[bytes], answer: Callable[[bytes], bytes]) -> None:
    """Say that we are there, and answer until the input ends."""
    questions: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    # Questions are taken in while an answer waits to be read, or both sides could wait for the other.
    threading.Thread(target=_take_in, args=(source, questions), daemon=True).start()
    _put_frame(sink, b"")
    while (question := questions.get()) is not None:
        _put_frame(sink, answer(question))


def _take_in(source: IO[bytes], questions: "queue.SimpleQueue[bytes | None]") -> None:
    while len(head := source.read(_FRAME.size)) == _FRAME.size:
        (size,) = _FRAME.unpack(head)
        body = source.read(size)
        if len(body) != size:
            break
        questions.put(body)
    questions.put(None)


def _put_frame(sink: IO[bytes], body: bytes) -> None:
    sink.write(_FRAME.pack(len(body)))
    sink.write(body)
    sink.flush()


def _read_exactly(stream: IO[bytes] | None, size: int, deadline_s: float) -> bytes:
    descriptor, parts = _get_descriptor(stream), []
    while size:
        try:
            part = os.read(descriptor, min(size, _READ_BYTES_MAX))
        except BlockingIOError:
            _wait(descriptor, select.POLLIN, deadline_s)
            continue
        if not part:
            raise ConnectionAbortedError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _wait(descriptor: int, event: int, deadline_s: float) -> None:
    """Wait until a pipe has something, or has room; no longer than to the deadline."""
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
        raise TimeoutError


def _prepare_pipe(descriptor: int) -> None:
    """Let a pipe hold a question or an answer whole, if the system allows, and never block us."""
    os.set_blocking(descriptor, False)
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _get_descriptor(stream: IO[bytes] | None) -> int:
    if stream is None:
        raise ConnectionAbortedError
    return stream.fileno()
