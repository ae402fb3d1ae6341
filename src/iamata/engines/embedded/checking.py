"""Check signatures beside the writer: in the same thread while they are few, in a process when many.

The process knows no state and holds no key; it reads batches on its standard input and answers with a
byte for each transaction. It ends when its input does, so it never outlives its parent.
"""

import contextlib
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Final

import msgspec

from iamata.ledger.envelope import has_valid_signatures, read_transaction
from iamata.model.reasons import Refused

BATCH_BYTES_MAX: Final = 256 * 1024 * 1024
INLINE_MAX: Final = 48
"""Up to this many, asking another process takes longer than checking."""

_FRAME: Final = struct.Struct(">I")
_GRACE_S: Final = 5


class SignatureChecker:
    """Checks batches in their order; at most two may be on their way at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._inline: list[bytes | None] = []

    def send(self, batch: Sequence[bytes]) -> None:
        """Begin to check a batch of transactions, whose form was found good before."""
        if len(batch) <= INLINE_MAX:
            self._inline.append(check_batch(batch))
            return
        process = self._get_process()
        try:
            _write_frame(process.stdin, msgspec.msgpack.encode(batch))
        except OSError:
            self.close()
            self._inline.append(check_batch(batch))
        else:
            self._inline.append(None)
            self._pending = batch

    def receive(self) -> bytes:
        """Return a byte for each transaction of the oldest batch: 1 where every signature holds."""
        answer = self._inline.pop(0)
        if answer is not None or self._process is None:
            return answer if answer is not None else check_batch(self._pending)
        answer = _read_frame(self._process.stdout)
        if answer is None:
            self.close()
            return check_batch(self._pending)
        return answer

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

    def _get_process(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-m", "iamata.engines.embedded.checking"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._process


def check_batch(batch: Sequence[bytes]) -> bytes:
    """Check every signature of every transaction of a batch."""
    return bytes(map(_is_valid, batch))


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer batches until the input ends."""
    while (frame := _read_frame(source)) is not None:
        _write_frame(sink, check_batch(msgspec.msgpack.decode(frame, type=list[bytes])))


def _is_valid(raw: bytes) -> bool:
    try:
        return has_valid_signatures(read_transaction(raw))
    except Refused:
        return False


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


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
