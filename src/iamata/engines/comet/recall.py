"""Transactions whose signatures were found to hold, remembered by all their bytes.

Consensus shows each transaction again and again: when it arrives, after every block, in each proposal and
in the final block. It is read and its signatures are checked once.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from typing import Final

from iamata.engines.embedded.checking import check_batch
from iamata.ledger.envelope import SignedTransaction, read_transaction
from iamata.model.reasons import Reason, require

RECALL_MAX: Final = 20_000
"""Transactions that are remembered: more than two of the largest blocks."""


class Recall:
    """Bounded; the oldest is forgotten first. One thread asks, any may announce."""

    def __init__(self, count_max: int = RECALL_MAX) -> None:
        self._count_max = count_max
        self._checked: dict[bytes, SignedTransaction] = {}
        self._announced: dict[bytes, SignedTransaction] = {}

    def announce(self, transaction: SignedTransaction) -> None:
        """Keep what was read already, so that it need not be read again; its signatures are unchecked."""
        digest = hashlib.sha256(transaction.raw).digest()
        if digest not in self._checked:
            self._announced[digest] = transaction
        if len(self._announced) > self._count_max:  # some were never shown: they must not stay for ever
            with contextlib.suppress(KeyError, StopIteration, RuntimeError):  # the other thread took it
                del self._announced[next(iter(self._announced))]

    def count_announced(self) -> int:
        """Count what was announced and not shown since."""
        return len(self._announced)

    def read(self, raw: bytes) -> SignedTransaction:
        """Return a transaction that is well formed and validly signed, or refuse it."""
        transaction, is_checked = self.find(raw)
        if not is_checked:
            require(bool(check_batch([transaction])[0]), Reason.BAD_SIGNATURE)
            self.keep([transaction])
        return transaction

    def find(self, raw: bytes) -> tuple[SignedTransaction, bool]:
        """Return a well-formed transaction, and whether its signatures were checked, or refuse it."""
        digest = hashlib.sha256(raw).digest()
        checked = self._checked.get(digest)
        if checked is not None:
            return checked, True
        return self._announced.pop(digest, None) or read_transaction(raw), False

    def keep(self, transactions: Sequence[SignedTransaction]) -> None:
        """Remember that signatures hold."""
        for transaction in transactions:
            self._checked[hashlib.sha256(transaction.raw).digest()] = transaction
        while len(self._checked) > self._count_max:
            del self._checked[next(iter(self._checked))]
