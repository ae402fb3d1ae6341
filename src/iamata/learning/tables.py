"""A site's rows, parsed once into arrays: columns as a schema says, an outcome, and whose each row is.

Nothing here leaves a site. Refusals name columns, never values or patients; and rows, if somebody who has
the file asks for them.

A truth value, or `true` or `false` as a word in any case, is 1 or 0 where a column has just the bounds 0
and 1, or the outcome is yes or no. In a column with just two categories it is the one that reads so, in
any case, or 1 or 0. Anywhere else it does not fit.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from iamata.learning.schemas import Categorical, Column, Numeric, Outcome, Schema
from iamata.model.reasons import Reason, Refused, require

ROWS_MAX: Final = 2**20
"""The rows of one site: what the fixed scales of sums have room for."""


Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Cell: TypeAlias = float | int | str | None
TellRows: TypeAlias = Callable[[Sequence[int]], str]
"""Says where rows stand in their file; they are counted from 0."""

TRUTHS: Final[Mapping[str, int]] = {"false": 0, "true": 1}
NO_NUMBER: Final = "not a number"
NO_FLAG: Final = "neither a number nor true or false"
NO_TRUTH: Final = "none of 0, 1, true and false"
CATEGORIES_TOLD_MAX: Final = 10
"""More of a column's categories are not listed in a refusal."""


@dataclass(frozen=True)
class Table:
    """Rows at one site. NaN is a missing value; a category is its place in the schema's list."""

    schema: Schema
    columns: Mapping[str, Floats]
    outcome: Floats
    patients: tuple[str, ...]
    """Whose each row is; a patient may have several."""

    def __len__(self) -> int:
        return len(self.patients)

    def count_patients(self) -> int:
        """Count the patients, however many rows each has."""
        return len(dict.fromkeys(self.patients))

    def select(self, chosen: NDArray[np.bool_]) -> "Table":
        """Return a table of the rows that are chosen."""
        patients = tuple(one for one, keep in zip(self.patients, chosen, strict=True) if keep)
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Table(self.schema, columns, self.outcome[chosen], patients)

    def without(self, patients: Collection[str]) -> "Table":
        """Return the table as if these patients had never been in it."""
        return self.select(np.array([one not in patients for one in self.patients], dtype=np.bool_))


def parse_table(
    schema: Schema,
    columns: Mapping[str, Sequence[Cell]],
    patients: Sequence[str],
    *,
    tell_rows: TellRows | None = None,
) -> Table:
    """Read columns of plain values, None or "" where one is missing, or refuse naming the column.

    The outcome may not be missing. NaN counts as missing; infinity is refused. With `tell_rows` a refusal
    also says in which rows: for whoever has the file anyway, and for nobody else.
    """
    require(len(patients) <= ROWS_MAX, Reason.INPUT_TOO_LARGE, f"more than {ROWS_MAX} rows")
    cells: dict[str, _Cells] = {}
    for name in (*(column.name for column in schema.columns), schema.outcome.name):
        require(name in columns, Reason.TABLE_CLASHES, f"no column {name}")
        require(len(columns[name]) == len(patients), Reason.TABLE_CLASHES, f"length of {name}")
        cells[name] = _Cells(name, [spell_truth(cell) for cell in columns[name]], tell_rows)
    parsed = {column.name: _parse_column(column, cells[column.name]) for column in schema.columns}
    outcome = _parse_outcome(schema.outcome, cells[schema.outcome.name])
    return Table(schema, parsed, outcome, tuple(patients))


@dataclass(frozen=True)
class _Cells:
    """The cells of one column, without truth values, and who says where they stand."""

    name: str
    values: Sequence[Cell]
    tell_rows: TellRows | None

    def require_each(self, fits: NDArray[np.bool_], reason: Reason, what: str) -> None:
        """Refuse cells that do not fit, by the column's name and, if somebody may tell, by their rows."""
        wrong: list[int] = np.flatnonzero(~fits).tolist()
        if wrong:
            where = "" if self.tell_rows is None else f" ({self.tell_rows(wrong)})"
            raise Refused(reason, f"{self.name}: {what}{where}")


def spell_truth(cell: Cell) -> Cell:
    """Spell a truth value as the word that a row keeps; leave anything else."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell


def spell_word(cell: Cell) -> str:
    """Spell a cell as a word: a whole number without a point, which files add where a cell is empty."""
    return str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell)


def _is_missing(cell: Cell) -> bool:
    return cell is None or cell == "" or cell != cell  # noqa: PLR0124  so is NaN


def _parse_column(column: Column, cells: _Cells) -> Floats:
    if isinstance(column, Numeric):
        is_flag = (column.low, column.high) == (0, 1)
        fault = NO_FLAG if is_flag else NO_NUMBER
        values = _bound(column, _parse_numbers(cells, is_flag=is_flag, fault=fault), cells)
    else:
        values = _parse_categories(column, cells)
    if column.missing == "refuse":
        cells.require_each(~np.isnan(values), Reason.VALUE_MISSING, "a value is missing")
    return values


def _parse_numbers(cells: _Cells, *, is_flag: bool, fault: str) -> Floats:
    """Read numbers, and where they are a flag, true and false as such; `fault` says what others are."""
    numbers = [_read_number(cell, is_flag=is_flag) for cell in cells.values]
    is_number = np.array([number is not None for number in numbers], dtype=np.bool_)
    cells.require_each(is_number, Reason.TABLE_CLASHES, fault)
    values = np.array(numbers, dtype=np.float64)
    cells.require_each(~np.isinf(values), Reason.VALUE_OUT_OF_BOUNDS, "infinite")
    return values


def _read_number(cell: Cell, *, is_flag: bool) -> float | None:
    """Return a cell's number, NaN where it is missing, None where it is no number."""
    if _is_missing(cell):
        return float("nan")
    if isinstance(cell, str):
        if is_flag and cell.casefold() in TRUTHS:
            return float(TRUTHS[cell.casefold()])
        if "_" in cell or not cell.isascii():
            return None  # Python would read 1_000 as a number, and digits of other scripts
    try:
        return float(cell)  # type: ignore[arg-type]  # None is missing
    except (TypeError, ValueError, OverflowError):
        return None


def _bound(column: Numeric, values: Floats, cells: _Cells) -> Floats:
    is_beyond = (values < column.low) | (values > column.high)
    match column.outside:
        case "clip":
            return np.clip(values, column.low, column.high)
        case "missing":
            return np.where(is_beyond, np.nan, values)
        case "refuse":
            beyond = f"beyond {column.low:g} to {column.high:g}"
            cells.require_each(~is_beyond, Reason.VALUE_OUT_OF_BOUNDS, beyond)
            return values


def _parse_categories(column: Categorical, cells: _Cells) -> Floats:
    codes = {category: float(code) for code, category in enumerate(column.categories)}
    truths, nothing = _find_truths(codes), float("nan")
    words = [None if _is_missing(cell) else spell_word(cell) for cell in cells.values]
    values = [nothing if one is None else codes.get(one, truths.get(one.casefold())) for one in words]
    if column.outside == "refuse":
        is_known = np.array([value is not None for value in values], dtype=np.bool_)
        known = list_some(column.categories)
        cells.require_each(is_known, Reason.TABLE_CLASHES, f"none of its categories, {known}")
    return np.array([nothing if one is None else one for one in values], dtype=np.float64)


def _find_truths(codes: Mapping[str, float]) -> dict[str, float]:
    """Find which of two categories are true and false; none where they are anything else."""
    folded = {category.casefold(): code for category, code in codes.items()}
    for no, yes in (("false", "true"), ("0", "1")):
        if len(codes) == len(TRUTHS) and no in folded and yes in folded:
            return {"false": folded[no], "true": folded[yes]}
    return {}


def list_some(categories: Sequence[str]) -> str:
    """Spell a column's categories, or the first of many."""
    left = len(categories) - CATEGORIES_TOLD_MAX
    return ", ".join(categories[:CATEGORIES_TOLD_MAX]) + (f" and {left} more" if left > 0 else "")


def _parse_outcome(outcome: Outcome, cells: _Cells) -> Floats:
    is_binary = outcome.kind == "binary"
    is_flag = is_binary or (outcome.low, outcome.high) == (0, 1)
    fault = NO_TRUTH if is_binary else NO_FLAG if is_flag else NO_NUMBER
    values = _parse_numbers(cells, is_flag=is_flag, fault=fault)
    cells.require_each(~np.isnan(values), Reason.VALUE_MISSING, "the outcome is missing")
    if is_binary:
        cells.require_each(np.isin(values, (0.0, 1.0)), Reason.VALUE_OUT_OF_BOUNDS, NO_TRUTH)
    is_within = (values >= outcome.low) & (values <= outcome.high)
    beyond = f"beyond {outcome.low:g} to {outcome.high:g}"
    cells.require_each(is_within, Reason.VALUE_OUT_OF_BOUNDS, beyond)
    if outcome.kind == "count":
        cells.require_each(values == np.floor(values), Reason.VALUE_OUT_OF_BOUNDS, "no whole number")
    return values
