"""Where a programme runs: over tables in this process, or over sites that share nothing but sums."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from iamata.learning.programmes import Add, Programme, Site, run
from iamata.learning.schemas import Schema
from iamata.learning.tables import Table
from iamata.model.reasons import Reason, require

Result = TypeVar("Result")


class Federation(Protocol):
    """What an estimator is fitted over."""

    @property
    def schema(self) -> Schema:
        """The columns that all sites agree on."""

    def run(self, programme: Callable[[], Programme[Result]]) -> Result:
        """Run a programme to its end, or refuse."""


@dataclass(frozen=True)
class Tables:
    """Tables of several sites in one process: for tests, simulations, and the pooled twin of one table."""

    tables: Sequence[Table]
    add: Add | None = None

    @property
    def schema(self) -> Schema:
        """The columns that all sites agree on."""
        require(len(self.tables) > 0, Reason.TABLE_CLASHES, "no table")
        return self.tables[0].schema

    def run(self, programme: Callable[[], Programme[Result]]) -> Result:
        """Run a programme to its end, or refuse."""
        sites = [Site(table, number) for number, table in enumerate(self.tables)]
        return run(programme, sites, self.add)
