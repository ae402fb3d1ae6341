"""What was submitted and not yet answered: bounded, in order, taken out by the batch.

Every future in here ends: with what became of its transaction, or with the word that the engine stopped.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

import msgspec

from iamata.ledger.envelope import SignedTransaction
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality

WAITING_MAX: Final = 50_000


class Answer(Future[Finality]):
    """What became of a transaction. Nobody can cancel it: what was submitted cannot be taken back."""

    def cancel(self) -> bool:
        """Refuse, as a future does that is under way."""
        return False


class Submission(msgspec.Struct, frozen=True, gc=False):
    """A transaction, and who waits for it."""

    transaction: SignedTransaction
    future: "Future[Finality]"


class Inbox:
    """Between the many who submit and the one thread that gathers."""

    def __init__(self, waiting_max: int = WAITING_MAX) -> None:
        self._waiting_max = waiting_max
        self._waiting: list[Submission] = []
        # By all bytes, signature included: a forged copy must not answer for the true transaction.
        self._unanswered: dict[bytes, Future[Finality]] = {}
        self._is_open = True
        self._changed = threading.Condition(threading.Lock())

    def put(self, transaction: SignedTransaction) -> "Future[Finality]":
        """Take a transaction in; the same one twice shares one answer."""
        future = Answer()
        with self._changed:
            require(self._is_open, Reason.ENGINE_STOPPED)
            known = self._unanswered.get(transaction.raw)
            if known is not None:
                return known
            is_full = len(self._waiting) >= self._waiting_max
            require(not is_full, Reason.TOO_BUSY, f"{self._waiting_max} transactions are waiting")
            self._unanswered[transaction.raw] = future
            self._waiting.append(Submission(transaction, future))
            if len(self._waiting) == 1:
                self._changed.notify()
        return future

    def take(self, count_max: int, *, is_patient: bool) -> list[Submission] | None:
        """Take the oldest out, awaiting the first if asked to; None when no more will come."""
        with self._changed:
            while is_patient and self._is_open and not self._waiting:
                self._changed.wait()
            taken, self._waiting = self._waiting[:count_max], self._waiting[count_max:]
            return taken if taken or self._is_open else None

    def forget(self, submissions: Sequence[Submission]) -> None:
        """Let go of what was answered."""
        with self._changed:
            for submission in submissions:
                self._unanswered.pop(submission.transaction.raw, None)

    def close(self) -> None:
        """Let nothing more in; what is inside can still be taken."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def abandon(self) -> None:
        """Let nothing more in or out."""
        with self._changed:
            self._is_open = False
            self._waiting.clear()
            self._changed.notify_all()

    def end_all(self) -> None:
        """Tell everybody who still waits that no answer will come; the log knows what became final."""
        with self._changed:
            futures = list(self._unanswered.values())
            self._unanswered.clear()
        for future in futures:
            if not future.done():
                future.set_exception(
                    Refused(Reason.ENGINE_STOPPED, "the engine stopped before it answered")
                )
