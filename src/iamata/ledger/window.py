"""Which transactions the log took in during the last ten minutes: those could be replayed."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from iamata.model.ids import TxId
from iamata.model.instants import MS_PER_MINUTE

WINDOW_MS: Final = 10 * MS_PER_MINUTE
"""A transaction expires at most this long after its block, so older ones refuse themselves."""


class Window:
    """The ids of recent blocks with the times at which the log took them in."""

    def __init__(self) -> None:
        self._times: dict[TxId, tuple[int, ...]] = {}
        self._blocks: deque[tuple[int, tuple[TxId, ...]]] = deque()

    def __len__(self) -> int:
        return len(self._times)

    def holds(self, tx_id: TxId, *, at_ms: int) -> bool:
        """Tell whether the log took a transaction in within the window before an instant.

        The answer depends on the log alone, not on how much of it happens to be remembered.
        """
        times = self._times.get(tx_id)
        return times is not None and times[-1] >= at_ms - WINDOW_MS

    def extend(self, time_ms: int, tx_ids: Iterable[TxId]) -> None:
        """Remember a block's transactions, and forget what the block before had already left behind.

        The new block may still be taken back, and the next one may then come earlier than it did; so it
        is not the new block's time that decides what may be forgotten.
        """
        if self._blocks:
            self._forget_before(self._blocks[-1][0] - WINDOW_MS)
        ids = tuple(dict.fromkeys(tx_ids))
        self._blocks.append((time_ms, ids))
        for tx_id in ids:
            self._times[tx_id] = (*self._times.get(tx_id, ()), time_ms)

    def forget_last(self) -> None:
        """Take back the newest block, which was not kept after all."""
        _, tx_ids = self._blocks.pop()
        for tx_id in tx_ids:
            self._keep(tx_id, self._times[tx_id][:-1])

    def _forget_before(self, time_ms: int) -> None:
        while self._blocks and self._blocks[0][0] < time_ms:
            _, tx_ids = self._blocks.popleft()
            for tx_id in tx_ids:
                self._keep(tx_id, self._times[tx_id][1:])

    def _keep(self, tx_id: TxId, times: tuple[int, ...]) -> None:
        if times:
            self._times[tx_id] = times
        else:
            del self._times[tx_id]
