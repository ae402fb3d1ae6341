"""How far a run has come, for those who watch: the same from a home and from a node."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec

from iamata.model.ids import MemberId
from iamata.workflows.run_rounds import Round


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What a site does in a run."""

    site: MemberId
    round: Round | None = None
    """The sum that it adds to; None as it begins and when it is done. A node does not know its query."""
    is_done: bool = False

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.round is None:
            return f"{self.site} is done" if self.is_done else f"{self.site} takes part"
        return f"{self.site}, {spell_round(self.round)}"


Tell: TypeAlias = Callable[[Step], None]
"""Hears how far each site has come."""


def ignore(_step: Step) -> None:
    """Hear it, and do nothing."""


def spell_round(told: Round) -> str:
    """Say which sum a site adds to."""
    query = f"{told.query}, " if told.query else ""
    return f"round {told.number}: {query}{told.values:,} values"


@contextlib.contextmanager
def watching(tell: Tell) -> Iterator[Tell]:
    """Let somebody hear one step at a time; what they raise ends the watching, and no run.

    It is raised when what they watched is over.
    """
    lock, raised = threading.Lock(), list[Exception]()

    def pass_on(step: Step) -> None:
        with lock:
            if raised:
                return
            try:
                tell(step)
            except Exception as error:  # noqa: BLE001  a site that stopped for it would fail the run
                raised.append(error)

    yield pass_on
    if raised:
        raise raised[0]
