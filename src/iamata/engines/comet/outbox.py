"""What this node submitted: lines to be sent, and who waits for each until a durable block answers.

Every future in here ends: with where its transaction came to stand, or with why it will not.
"""

import threading
import time
from concurrent.futures import Future
from typing import Final

import msgspec

from iamata.engines.embedded.inbox import Answer
from iamata.ledger.envelope import SignedTransaction
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality

WAITING_MAX: Final = 50_000
GATHER_S: Final = 0.003
"""How long the first line waits for others to share its bundle."""
GRACE_MS: Final = 10_000
"""So long after its end, by our clock, no validator's clock lets a transaction in any more."""


class Submission(msgspec.Struct, frozen=True, gc=False):
    """A transaction, and who waits for it."""

    transaction: SignedTransaction
    future: "Future[Finality]"


class Outbox:
    """Between those who submit, the thread that sends, and the blocks that answer."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._unsent: dict[bytes, None] = {}
        # By all bytes, signature included: a forged copy must not answer for the true transaction.
        self._unanswered: dict[bytes, Submission] = {}
        self._is_open = True
        self._changed = threading.Condition(threading.Lock())

    def put(self, transaction: SignedTransaction) -> "Future[Finality]":
        """Take a transaction in; the same one twice shares one answer."""
        with self._changed:
            require(self._is_open, Reason.ENGINE_STOPPED)
            known = self._unanswered.get(transaction.raw)
            if known is not None:
                return known.future
            is_full = len(self._unanswered) >= self._waiting_max
            require(not is_full, Reason.TOO_BUSY, f"{self._waiting_max} transactions are waiting")
            submission = Submission(transaction, Answer())
            self._unanswered[transaction.raw] = submission
            self._unsent[transaction.raw] = None
            if len(self._unsent) == 1:
                self._changed.notify()
        return submission.future

    def take(self, wait_s: float) -> list[bytes] | None:
        """Take all unsent lines, awaiting a first one and then its company; None when no more will come."""
        with self._changed:
            if self._is_open and not self._unsent:
                self._changed.wait(wait_s)
            is_first = bool(self._unsent)
        if is_first:
            time.sleep(GATHER_S)
        with self._changed:
            lines = list(self._unsent)
            self._unsent.clear()
            return lines if lines or self._is_open else None

    def keep_unanswered(self, lines: list[bytes]) -> list[bytes]:
        """Return those lines for which somebody still waits."""
        with self._changed:
            return [line for line in lines if line in self._unanswered]

    def send_again(self) -> None:
        """Send everything again that is not answered: CometBFT has begun with an empty mempool."""
        with self._changed:
            self._unsent |= dict.fromkeys(self._unanswered)
            self._changed.notify()

    def answer(self, line: bytes, *, height: int, index: int, time_ms: int, reason: int) -> None:
        """Tell who waits where a line came to stand."""
        submission = self._pop(line)
        if submission is not None:
            submission.future.set_result(
                Finality(
                    id=submission.transaction.id,
                    height=height,
                    index=index,
                    time_ms=time_ms,
                    reason=reason,
                )
            )

    def refuse(self, line: bytes, refused: Refused) -> None:
        """Tell who waits why a line will be in no block."""
        submission = self._pop(line)
        if submission is not None:
            submission.future.set_exception(Refused(refused.reason, refused.detail))

    def expire(self, now_ms: int) -> None:
        """Tell who waits for what can be in no block any more."""
        with self._changed:
            late = [
                line
                for line, one in self._unanswered.items()
                if one.transaction.body.expires_ms + GRACE_MS < now_ms
            ]
        for line in late:
            self.refuse(line, Refused(Reason.EXPIRED, "no block took it in before its end"))

    def end_all(self) -> None:
        """Let nothing more in, and tell everybody who waits; the log knows what became final."""
        with self._changed:
            self._is_open = False
            lines = list(self._unanswered)
            self._unsent.clear()
            self._changed.notify_all()
        for line in lines:
            self.refuse(line, Refused(Reason.ENGINE_STOPPED, "the engine stopped before it answered"))

    def _pop(self, line: bytes) -> Submission | None:
        with self._changed:
            self._unsent.pop(line, None)
            return self._unanswered.pop(line, None)
