"""Check signatures beside the writer: in the same thread while they are few, in a process when many.

The process knows no state and holds no key; it is asked for batches and answers with a byte for each
transaction.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from iamata.crypto.ed25519 import is_valid
from iamata.ledger.envelope import SignedTransaction, has_valid_signatures, list_tokens
from iamata.workers.process import WorkerProcess

INLINE_MAX: Final = 48
"""Up to this many, asking another process takes longer than checking."""

Check: TypeAlias = tuple[str, bytes, bytes]
"""A key, a message and the signature to be checked."""


class SignatureChecker:
    """Checks batches in their order. While one is checked the next can be sent: at most two."""

    def __init__(self) -> None:
        self._process = WorkerProcess("iamata.engines.embedded.checking:answer_batch")
        self._sent: deque[tuple[Sequence[SignedTransaction], bytes | None]] = deque()

    def send(self, batch: Sequence[SignedTransaction]) -> None:
        """Begin to check the signatures of a batch."""
        is_elsewhere = len(batch) > INLINE_MAX and self._process.ask(_encode(batch))
        self._sent.append((batch, None if is_elsewhere else check_batch(batch)))

    def receive(self) -> bytes:
        """Return a byte for each transaction of the oldest batch: 1 where every signature holds."""
        batch, answer = self._sent.popleft()
        if answer is not None:
            return answer
        answer = self._process.await_answer()
        if answer is not None and len(answer) == len(batch):
            return answer
        if answer is not None:
            self._process.give_up()
        # Of a process that died, the answers never come: this batch's, nor those of the ones after it.
        return check_batch(batch)

    def close(self) -> None:
        """End the process, if there is one."""
        self._process.close()


def check_batch(batch: Iterable[SignedTransaction]) -> bytes:
    """Check every signature of every transaction of a batch."""
    return bytes(map(has_valid_signatures, batch))


def answer_batch(raw: bytes) -> bytes:
    """Check a batch in the other process."""
    return bytes([_are_valid(checks) for checks in _CHECKS.decode(raw)])


def _encode(batch: Iterable[SignedTransaction]) -> bytes:
    return msgspec.msgpack.encode(
        [
            [(token.key, token.signing_input, token.signature) for token in list_tokens(transaction)]
            for transaction in batch
        ]
    )


def _are_valid(checks: Iterable[Check]) -> bool:
    return all(is_valid(key, message, signature) for key, message, signature in checks)  # type: ignore[arg-type]


_CHECKS: Final = msgspec.msgpack.Decoder(list[list[Check]])
