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
        """Remember a block's transactions, and forget blocks that its time has left behind."""
        ids = tuple(tx_ids)
        self._blocks.append((time_ms, ids))
        self._ids.update(dict.fromkeys(ids, time_ms))
        while self._blocks and self._blocks[0][0] < time_ms - WINDOW_MS:
            block_time_ms, old = self._blocks.popleft()
            for tx_id in old:
                if self._ids.get(tx_id) == block_time_ms:
                    del self._ids[tx_id]

    def forget_last(self) -> None:
        """Take back the newest block, which was not kept after all."""
        block_time_ms, newest = self._blocks.pop()
        for tx_id in newest:
            if self._ids.get(tx_id) == block_time_ms:
                del self._ids[tx_id]
