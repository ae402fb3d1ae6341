"""Which transactions the log took in during the last ten minutes: those could be replayed."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from iamata.model.ids import TxId
from iamata.model.instants import MS_PER_MINUTE

WINDOW_MS: Final = 10 * MS_PER_MINUTE
"""A transaction expires at most this long after its block, so older ones refuse themselves."""


class Window:
    """The ids of recent blocks, forgotten a block at a time."""

    def __init__(self) -> None:
        self._ids: dict[TxId, int] = {}
        self._blocks: deque[tuple[int, tuple[TxId, ...]]] = deque()

    def __contains__(self, tx_id: TxId) -> bool:
        return tx_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def extend(self, time_ms: int, tx_ids: Iterable[TxId]) -> None:
        """Remember a block's transactions, and forget what the block before had already left behind.

        The new block may still be taken back, and the next one may then come earlier than it did; so it
        is not the new block's time that decides what may be forgotten.
        """
        if self._blocks:
            self._forget_before(self._blocks[-1][0] - WINDOW_MS)
        ids = tuple(tx_ids)
        self._blocks.append((time_ms, ids))
        for tx_id in ids:
            self._ids.setdefault(tx_id, time_ms)

    def forget_last(self) -> None:
        """Take back the newest block, which was not kept after all."""
        self._forget(*self._blocks.pop())

    def _forget_before(self, time_ms: int) -> None:
        while self._blocks and self._blocks[0][0] < time_ms:
            self._forget(*self._blocks.popleft())

    def _forget(self, block_time_ms: int, tx_ids: tuple[TxId, ...]) -> None:
        for tx_id in tx_ids:
            if self._ids.get(tx_id) == block_time_ms:
                del self._ids[tx_id]
