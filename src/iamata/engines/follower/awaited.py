"""Answers that the leader has given, until our own copy holds what they speak of."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import msgspec

from iamata.ledger.leaves import Leaf
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Finality

AWAITED_MAX: Final = 50_000


class Awaited(msgspec.Struct, frozen=True, gc=False):
    """What the leader says of a transaction, and who waits until we have seen it."""

    finality: Finality
    future: "Future[Finality]"


class AwaitedAnswers:
    """Futures by the height that our copy must reach. Every one of them ends."""

    def __init__(self, read_leaf: Callable[[int], Leaf | None]) -> None:
        self._read_leaf = read_leaf
        self._waiting: dict[int, list[Awaited]] = {}
        self._count = 0
        self._height = 0
        self._is_open = True
        self._guard = threading.Lock()

    def put(self, finality: Finality, future: "Future[Finality]") -> None:
        """Take an answer in, and give it at once where our copy is there already."""
        awaited = Awaited(finality, future)
        with self._guard:
            require(self._is_open, Reason.ENGINE_STOPPED)
            require(self._count < AWAITED_MAX, Reason.TOO_BUSY, f"{AWAITED_MAX} answers are awaited")
            is_reached = finality.height <= self._height
            if not is_reached:
                self._waiting.setdefault(finality.height, []).append(awaited)
                self._count += 1
        if is_reached:
            self._answer(awaited)

    def reach(self, height: int) -> None:
        """Give what waits for a height up to this one."""
        with self._guard:
            self._height = height
            reached = [one for one in self._waiting if one <= height]
            awaited = [answer for one in reached for answer in self._waiting.pop(one)]
            self._count -= len(awaited)
        for one in awaited:
            self._answer(one)

    def end_all(self, refused: Refused) -> None:
        """Let nothing more in, and tell everybody who waits why no answer will come."""
        with self._guard:
            self._is_open = False
            awaited = [answer for answers in self._waiting.values() for answer in answers]
            self._waiting.clear()
        for one in awaited:
            one.future.set_exception(Refused(refused.reason, refused.detail))

    def _answer(self, awaited: Awaited) -> None:
        said = awaited.finality
        leaf = self._read_leaf(said.index)
        is_same = leaf is not None and (leaf.id, leaf.reason) == (said.id, said.reason)
        if is_same:
            awaited.future.set_result(said)
        else:
            awaited.future.set_exception(
                Refused(Reason.FAULT_FOUND, "the leader's answer is not what its ledger holds")
            )
