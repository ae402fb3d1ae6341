"""The mempool's door: what may wait there, and what may go on waiting after each block."""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from iamata.engines.comet.bundles import split_bundle
from iamata.engines.comet.recall import Recall
from iamata.engines.comet.waiting import NOBODY, WaitingBundles, find_member
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.execution import PoisonTransactionError, Position, check_admission
from iamata.ledger.state import LedgerState
from iamata.model.ids import KeyId
from iamata.model.reasons import Reason, Refused, require


class Verdict(msgspec.Struct, frozen=True):
    """Why a bundle may not wait, None where it may; and each line that is turned away, with its reason."""

    refused: Refused | None
    turned_away: tuple[tuple[bytes, Refused], ...] = ()


class Door:
    """Lets a bundle in while one of its lines can be admitted; proposers leave the others out."""

    def __init__(
        self,
        state: LedgerState,
        recall: Recall,
        waiting: WaitingBundles,
        *,
        clock: Callable[[], int],
    ) -> None:
        self._state = state
        self._recall = recall
        self._waiting = waiting
        self._clock = clock
        self._members: dict[KeyId, str] = {}
        """Whom a key speaks for, until the next block."""

    def check(self, bundle: bytes, *, is_recheck: bool) -> Verdict:
        """Say whether a bundle may wait, or may go on waiting."""
        sizes: Counter[str] = Counter()
        turned_away: list[tuple[bytes, Refused]] = []
        try:
            # The next block's time is not known yet, but it will be near to ours.
            position = self._state.place(self._clock())
            lines = split_bundle(bundle)
        except Refused as whole:
            return Verdict(whole)
        for line, found in zip(lines, self._recall.read_all(lines), strict=True):
            try:
                self._admit(found, position, sizes, is_recheck=is_recheck)
            except Refused as one:
                turned_away.append((line, one))
            except PoisonTransactionError as poison:
                turned_away.append((line, Refused(Reason.MALFORMED, str(poison))))
        if not sizes:
            self._waiting.remove([bundle])
            return Verdict(turned_away[-1][1], tuple(turned_away))
        self._waiting.add(bundle, sizes)
        return Verdict(None, tuple(turned_away))

    def leave(self, bundles: Iterable[bytes]) -> None:
        """Count bundles out that came into a block, which may have changed whom a key speaks for."""
        self._members.clear()
        self._waiting.remove(bundles)

    def clear(self) -> None:
        """Begin again: the mempool is empty."""
        self._waiting.clear()

    def _admit(
        self,
        transaction: SignedTransaction | Refused,
        position: Position,
        sizes: Counter[str],
        *,
        is_recheck: bool,
    ) -> None:
        if isinstance(transaction, Refused):
            raise transaction
        check_admission(self._state.entries, self._state.window, position, transaction)
        if is_recheck:  # its place was counted when it came in
            sizes[NOBODY] += 1
            return
        member = self._members.get(transaction.key)
        if member is None:
            member = self._members[transaction.key] = find_member(self._state.entries, transaction.key)
        size = len(transaction.raw)
        has_room = self._waiting.has_room(member, size, sizes)
        require(has_room, Reason.TOO_BUSY, "too much of this member is waiting")
        sizes[member] += size
