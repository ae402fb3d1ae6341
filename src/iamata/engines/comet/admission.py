"""The mempool's door: what may wait there, and what may go on waiting after each block."""

from collections import Counter
from collections.abc import Callable, Iterable

from iamata.engines.comet.bundles import split_bundle
from iamata.engines.comet.recall import Recall
from iamata.engines.comet.waiting import WaitingBundles, find_member
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.execution import PoisonTransactionError, Position, check_admission
from iamata.ledger.state import LedgerState
from iamata.model.reasons import Reason, Refused, require

Hear = Callable[[bytes, Refused], None]
"""Told of each line that is turned away, and why."""


class Door:
    """Lets a bundle in while one of its lines can be admitted; proposers leave the others out."""

    def __init__(
        self,
        state: LedgerState,
        recall: Recall,
        waiting: WaitingBundles,
        *,
        clock: Callable[[], int],
        hear: Hear,
    ) -> None:
        self._state = state
        self._recall = recall
        self._waiting = waiting
        self._clock = clock
        self._hear = hear

    def check(self, bundle: bytes, *, is_recheck: bool) -> Refused | None:
        """Return why a bundle may not wait, None where it may."""
        sizes: Counter[str] = Counter()
        refused = Refused(Reason.MALFORMED, "a bundle")
        try:
            # The next block's time is not known yet, but it will be near to ours.
            position = self._state.place(self._clock())
            lines = split_bundle(bundle)
        except Refused as whole:
            return whole
        for line in lines:
            try:
                self._admit(line, position, sizes, is_recheck=is_recheck)
            except Refused as one:
                refused = one
                self._hear(line, one)
            except PoisonTransactionError as poison:
                refused = Refused(Reason.MALFORMED, str(poison))
                self._hear(line, refused)
        if not sizes:
            self._waiting.remove([bundle])
            return refused
        self._waiting.add(bundle, sizes)
        return None

    def leave(self, bundles: Iterable[bytes]) -> None:
        """Count bundles out that came into a block."""
        self._waiting.remove(bundles)

    def clear(self) -> None:
        """Begin again: the mempool is empty."""
        self._waiting.clear()

    def _admit(
        self, line: bytes, position: Position, sizes: Counter[str], *, is_recheck: bool
    ) -> SignedTransaction:
        transaction = self._recall.read(line)
        check_admission(self._state.entries, self._state.window, position, transaction)
        member = find_member(self._state.entries, transaction)
        if not is_recheck:
            has_room = self._waiting.has_room(member, len(line), sizes)
            require(has_room, Reason.TOO_BUSY, "too much of this member is waiting")
        sizes[member] += len(line)
        return transaction
