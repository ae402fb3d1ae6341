"""Transactions whose signatures were found to hold, remembered by all their bytes.

Consensus shows each transaction again and again: when it arrives, after every block, in each proposal and
in the final block. It is read and its signatures are checked once.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from iamata.engines.embedded.checking import SignatureChecker
from iamata.ledger.envelope import SignedTransaction, read_transaction
from iamata.model.reasons import Reason, Refused

RECALL_MAX: Final = 20_000
"""Transactions that are remembered: more than two of the largest blocks."""


class Recall:
    """Bounded; the oldest is forgotten first. One thread asks, any may announce."""

    def __init__(self, checker: SignatureChecker, count_max: int = RECALL_MAX) -> None:
        self.checker = checker
        """Checks beside the rules what comes in greater numbers."""
        self._count_max = count_max
        self._checked: dict[bytes, SignedTransaction] = {}
        self._announced: dict[bytes, SignedTransaction] = {}

    def announce(self, transaction: SignedTransaction) -> None:
        """Keep what was read already, so that it need not be read again; its signatures are unchecked."""
        if len(self._announced) >= self._count_max:  # what nobody asked for until now
            self._announced.clear()
        self._announced[hashlib.sha256(transaction.raw).digest()] = transaction

    def read_all(self, raws: Sequence[bytes]) -> list[SignedTransaction | Refused]:
        """Read lines of which each may be bad: return what it is, validly signed, or why it is refused."""
        found = [self._find_or_refuse(raw) for raw in raws]
        unchecked = [one[0] for one in found if not isinstance(one, Refused) and not one[1]]
        self.checker.send(unchecked)
        verdicts = self.checker.receive()
        self._keep([one for one, is_valid in zip(unchecked, verdicts, strict=True) if is_valid])
        answers = iter(verdicts)
        return [
            one if isinstance(one, Refused) else _judge(one[0], is_valid=one[1] or bool(next(answers)))
            for one in found
        ]

    def find(self, raw: bytes) -> tuple[SignedTransaction, bool]:
        """Return a well-formed transaction, and whether its signatures were checked, or refuse it."""
        digest = hashlib.sha256(raw).digest()
        checked = self._checked.get(digest)
        if checked is not None:
            return checked, True
        return self._announced.pop(digest, None) or read_transaction(raw), False

    def _find_or_refuse(self, raw: bytes) -> tuple[SignedTransaction, bool] | Refused:
        try:
            return self.find(raw)
        except Refused as refused:
            return refused

    def _keep(self, transactions: Sequence[SignedTransaction]) -> None:
        for transaction in transactions:
            self._checked[hashlib.sha256(transaction.raw).digest()] = transaction
        while len(self._checked) > self._count_max:
            del self._checked[next(iter(self._checked))]


def _judge(transaction: SignedTransaction, *, is_valid: bool) -> SignedTransaction | Refused:
    return transaction if is_valid else Refused(Reason.BAD_SIGNATURE)
