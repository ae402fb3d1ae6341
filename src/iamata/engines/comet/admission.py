"""The mempool's door: what may wait there, and what may go on waiting after each block."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from iamata.engines.comet.bundles import split_bundle
from iamata.engines.comet.recall import Recall
from iamata.engines.comet.waiting import WaitingBundles, find_member
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.execution import PoisonTransactionError, Position
from iamata.ledger.state import LedgerState
from iamata.model.ids import KeyId
from iamata.model.reasons import Reason, Refused


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
        self._admission = state.make_admission()
        self._members: dict[KeyId, str] = {}
        """Whom a key speaks for, and to whose account its transactions go, while the state is this one."""
        self._parent = state.parent

    def check(self, bundle: bytes, *, is_recheck: bool) -> Verdict:
        """Say whether a bundle may wait, or may go on waiting."""
        self._follow_state()
        try:
            # The next block's time is not known yet, but it will be near to ours.
            position = self._state.place(self._clock())
            lines = split_bundle(bundle)
        except Refused as whole:
            return Verdict(whole)
        if is_recheck or bundle in self._waiting:
            return self._check_again(bundle, lines, position)
        return self._check_new(bundle, lines, position)

    def leave(self, bundles: Iterable[bytes]) -> None:
        """Count bundles out that came into a block."""
        self._waiting.remove(bundles)
        self._waiting.begin_block()

    def clear(self) -> None:
        """Begin again: the mempool is empty."""
        self._waiting.clear()

    def _check_again(self, bundle: bytes, lines: Sequence[bytes], position: Position) -> Verdict:
        """Let a bundle go on waiting while one of its lines can be admitted; its place was counted."""
        turned_away = []
        is_wanted = False
        for line, found in zip(lines, self._recall.read_all(lines), strict=True):
            try:
                self._admit(found, position)
                is_wanted = True
            except Refused as one:
                turned_away.append((line, one))
        if is_wanted:
            self._waiting.notice(bundle)
            return Verdict(None, tuple(turned_away))
        self._waiting.remove([bundle])
        return Verdict(turned_away[-1][1], tuple(turned_away))

    def _check_new(self, bundle: bytes, lines: Sequence[bytes], position: Position) -> Verdict:
        """Let a bundle wait that brings a good line which no other bundle has, with room for all such.

        What waits elsewhere is on nobody's account here: else whoever wraps another member's line again and
        again would use up that member's room. Where one line lacks room the whole bundle stays outside, as
        a proposer takes in each line that can be admitted, whether or not it was counted.
        """
        sizes: Counter[str] = Counter()
        fresh: list[bytes] = []
        turned_away: list[tuple[bytes, Refused]] = []
        junk = 0
        for line, found in zip(lines, self._recall.read_all(lines), strict=True):
            if self._waiting.has_line(line):
                continue
            try:
                member = self._find_member(self._admit(found, position).key)
            except Refused as one:
                turned_away.append((line, one))
                junk += len(line)
                continue
            if not self._waiting.has_room(member, len(line), sizes):
                busy = Refused(Reason.TOO_BUSY, "too much of this member is waiting")
                rest = [one for one in lines if not self._waiting.has_line(one)]
                return Verdict(busy, tuple((one, busy) for one in rest))
            sizes[member] += len(line)
            fresh.append(line)
        if not fresh:
            known = Refused(Reason.REPLAYED, "each line of it waits already")
            return Verdict(turned_away[-1][1] if turned_away else known, tuple(turned_away))
        sizes[next(iter(sizes))] += junk  # who brings what no block takes in has room for it
        self._waiting.add(bundle, sizes, fresh)
        return Verdict(None, tuple(turned_away))

    def _admit(self, found: SignedTransaction | Refused, position: Position) -> SignedTransaction:
        """Return a transaction that a block could take in, or refuse it."""
        if isinstance(found, Refused):
            raise found
        try:
            self._admission.check(position, found)
        except PoisonTransactionError as poison:
            raise Refused(Reason.MALFORMED, str(poison)) from poison
        return found

    def _follow_state(self) -> None:
        """Forget what was looked up, where a block came or was taken back since."""
        if self._parent != self._state.parent:
            self._parent = self._state.parent
            self._admission = self._state.make_admission()
            self._members.clear()

    def _find_member(self, key: KeyId) -> str:
        member = self._members.get(key)
        if member is None:
            member = self._members[key] = find_member(self._state.entries, key)
        return member
