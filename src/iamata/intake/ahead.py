"""Fetch what comes next while others work at what came before."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
QuestionT = TypeVar("QuestionT")


class Ahead(Generic[ItemT]):
    """Give out items in their order; the next one can be fetched before it is asked for."""

    def __init__(self, items: Iterator[ItemT]) -> None:
        self._items = items
        self._fetched: list[ItemT] = []
        """One, or none."""

    def __iter__(self) -> Iterator[ItemT]:
        while self.fetch():
            yield self._fetched.pop()

    def fetch(self) -> bool:
        """Fetch the next item, unless that is done; tell whether there is one."""
        if not self._fetched:
            self._fetched.extend(islice(self._items, 1))
        return bool(self._fetched)

    def fetch_after(self, questions: Iterable[QuestionT]) -> Iterator[QuestionT]:
        """Pass questions on, and fetch the next item while the last of them are being answered."""
        yield from questions
        self.fetch()
