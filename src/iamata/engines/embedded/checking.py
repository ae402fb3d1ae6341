"""Check signatures beside the writer: in the same thread while they are few, in a process when many.

The process knows no state and holds no key; it reads batches on its standard input and answers with a
byte for each transaction. It ends when its input does, so it never outlives its parent.
"""

import contextlib
import os
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Final, TypeAlias

import msgspec

from iamata.crypto.ed25519 import is_valid
from iamata.ledger.envelope import SignedTransaction, has_valid_signatures, list_tokens

BATCH_BYTES_MAX: Final = 256 * 1024 * 1024
INLINE_MAX: Final = 48
"""Up to this many, asking another process takes longer than checking."""
FAILURES_MAX: Final = 3
"""After so many processes that died, the checker goes on without one."""
PATIENCE_S: Final = 10
"""A process that does not take a batch, or does not answer one, within this time is killed."""

_FRAME: Final = struct.Struct(">I")
_GRACE_S: Final = 5
_PROGRAM: Final = """
import sys
sys.path[:] = sys.argv[1:]
from iamata.engines.embedded.checking import main
main()
"""
"""The process finds its modules where its parent found them, and nowhere else."""

Check: TypeAlias = tuple[str, bytes, bytes]
"""A key, a message and the signature to be checked."""


class SignatureChecker:
    """Checks batches in their order. While one is checked the next can be sent: two at most are under way.

    An answer is a byte for each transaction, far less than a pipe holds, so that neither side ever waits
    for the other to read.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._sent: deque[tuple[Sequence[SignedTransaction], bytes | None]] = deque()

    def send(self, batch: Sequence[SignedTransaction]) -> None:
        """Begin to check the signatures of a batch."""
        is_elsewhere = len(batch) > INLINE_MAX and self._ask(batch)
        self._sent.append((batch, None if is_elsewhere else check_batch(batch)))

    def receive(self) -> bytes:
        """Return a byte for each transaction of the oldest batch: 1 where every signature holds."""
        batch, answer = self._sent.popleft()
        if answer is None and self._process is not None:
            answer = self._await_answer(len(batch))
        # Of a process that died, the answers never come: this batch's, nor those of the ones after it.
        return check_batch(batch) if answer is None else answer

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ask(self, batch: Sequence[SignedTransaction]) -> bool:
        checks = [
            [(token.key, token.signing_input, token.signature) for token in list_tokens(transaction)]
            for transaction in batch
        ]
        try:
            process = self._get_process()
            if process is not None:
                with _killing_after(process, PATIENCE_S):
                    _write_frame(process.stdin, msgspec.msgpack.encode(checks))
        except OSError:
            self._give_up()
            return False
        return process is not None

    def _await_answer(self, size: int) -> bytes | None:
        answer = None
        if self._process is not None:
            with _killing_after(self._process, PATIENCE_S):
                answer = _read_frame(self._process.stdout)
        if answer is None or len(answer) != size:
            self._give_up()
            return None
        return answer

    def _give_up(self) -> None:
        """Let go of a process that fails. What it was asked and has not answered is checked here."""
        self._failures += 1
        self.close()

    def _get_process(self) -> "subprocess.Popen[bytes] | None":
        is_unanswered = any(answer is None for _, answer in self._sent)
        if self._process is None and self._failures < FAILURES_MAX and not is_unanswered:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-I", "-c", _PROGRAM, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._process


def check_batch(batch: Iterable[SignedTransaction]) -> bytes:
    """Check every signature of every transaction of a batch."""
    return bytes(map(has_valid_signatures, batch))


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer batches until the input ends."""
    decoder = msgspec.msgpack.Decoder(list[list[Check]])
    while (frame := _read_frame(source)) is not None:
        _write_frame(sink, bytes([_are_valid(checks) for checks in decoder.decode(frame)]))


def main() -> None:
    """Serve on the standard streams until the parent closes them or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    with contextlib.suppress(OSError):
        serve(sys.stdin.buffer, sys.stdout.buffer)
    os._exit(0)  # nobody reads what an orderly end would still flush


def _are_valid(checks: Iterable[Check]) -> bool:
    return all(is_valid(key, message, signature) for key, message, signature in checks)  # type: ignore[arg-type]


@contextlib.contextmanager
def _killing_after(process: "subprocess.Popen[bytes]", seconds: float) -> Iterator[None]:
    """Kill a process that keeps us waiting, a stopped one too; its pipes break, and so the waiting ends."""
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _write_frame(stream: IO[bytes] | None, body: bytes) -> None:
    if stream is None or len(body) > BATCH_BYTES_MAX:
        message = "a batch is too large to check"
        raise OSError(message)
    stream.write(_FRAME.pack(len(body)))
    stream.write(body)
    stream.flush()


def _read_frame(stream: IO[bytes] | None) -> bytes | None:
    head = stream.read(_FRAME.size) if stream is not None else b""
    if stream is None or len(head) < _FRAME.size:
        return None
    (size,) = _FRAME.unpack(head)
    body = stream.read(size) if size <= BATCH_BYTES_MAX else b""
    return body if len(body) == size else None
