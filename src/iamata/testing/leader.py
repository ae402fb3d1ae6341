"""A leader in the same process, for followers in tests: honest, or as dishonest as a test wants it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final, Protocol

from iamata.ledger.blocks import StoredBlock
from iamata.model.reasons import Reason, Refused
from iamata.ports import Engine, Finality

PAGE_BLOCKS: Final = 20
_TICK_S: Final = 0.01

Tamper = Callable[[StoredBlock], StoredBlock]


class LeadingEngine(Engine, Protocol):
    """An engine whose blocks can be read."""

    def read_blocks(self, *, first_height: int = 1) -> Iterator[StoredBlock]:
        """Read blocks in order."""
        ...


class LocalLeader:
    """Hands an engine's blocks on, changed by `tamper`; while silent it answers nothing."""

    def __init__(self, engine: LeadingEngine) -> None:
        self.engine = engine
        self.tamper: Tamper = lambda block: block
        self.is_silent = False
        self._closing = threading.Event()

    def submit(self, raw: bytes) -> "Future[Finality]":
        """Hand a transaction in."""
        self._speak()
        return self.engine.submit(raw)

    def read_blocks(self, *, first_height: int, wait_s: float) -> Sequence[StoredBlock]:
        """Return the next blocks, or none when none came in time."""
        ticks = max(1, round(wait_s / _TICK_S))
        for _ in range(ticks):
            self._speak()
            blocks = self.engine.read_blocks(first_height=first_height)
            page = [self.tamper(block) for block, _ in zip(blocks, range(PAGE_BLOCKS), strict=False)]
            if page or self._closing.wait(_TICK_S if wait_s else 0):
                return page
        return []

    def close(self) -> None:
        """End what is open."""
        self._closing.set()

    def _speak(self) -> None:
        if self.is_silent:
            raise Refused(Reason.NODE_UNREACHABLE, "the leader is silent")
