"""Make a view's columns from rows that were taken out of a vault: a function of its question alone.

So another process can answer it too. What goes between the two are bytes: columns as JSON, in which every
number is spelt as it was.
"""

import functools
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

from iamata.fhir.views.compiling import CompiledView
from iamata.fhir.views.definition import read_view
from iamata.model.reasons import Reason, require
from iamata.vault.bulk_opening import RowsToOpen, open_rows

ROWS_PER_QUESTION: Final = 1_024
ANSWER_BYTES_MAX: Final = 128 * 2**20

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_DECODER: Final = msgspec.json.Decoder(list[list[Any]], float_hook=Decimal)


class RowsToTabulate(msgspec.Struct, frozen=True, array_like=True):
    """Rows to open, and the definition of the view that is to be made of them."""

    definition: bytes
    rows: list[RowsToOpen]

    def __len__(self) -> int:
        """Tell how many answers there are: one, for all rows together."""
        return 1

    def count(self) -> int:
        """Count the rows."""
        return sum(len(one.rows) for one in self.rows)

    def open(self) -> Iterator[bytes]:
        """Open every row."""
        return (body for rows in self.rows for body in open_rows(rows))


def ask_for_columns(definition: bytes, rows: Iterable[RowsToOpen]) -> Iterator[RowsToTabulate]:
    """Put rows together into questions."""
    together: list[RowsToOpen] = []
    for one in rows:
        together.append(one)
        if sum(len(each.rows) for each in together) >= ROWS_PER_QUESTION:
            yield RowsToTabulate(definition, together)
            together = []
    if together:
        yield RowsToTabulate(definition, together)


def tabulate_rows(asked: RowsToTabulate) -> list[bytes]:
    """Open every row, and make the columns: some rows on each line of the one answer."""
    view, lines, size_bytes = compile_view(asked.definition), [], 0
    for columns in view.make_batches([view.read(body) for body in asked.open()]):
        lines.append(_ENCODER.encode(columns))
        size_bytes += len(lines[-1])
        require(size_bytes <= ANSWER_BYTES_MAX, Reason.INPUT_TOO_LARGE, f"rows of {asked.count()} records")
    return [b"\n".join(lines)]


def read_columns(answer: bytes) -> Iterator[list[list[Any]]]:
    """Read the columns in an answer."""
    return map(_DECODER.decode, answer.splitlines())


@functools.lru_cache(maxsize=8)
def compile_view(definition: bytes) -> CompiledView:
    """Compile a definition as it lies in its file, once."""
    return CompiledView(read_view(definition))
