"""A site's rows, parsed once into arrays: columns as a schema says, an outcome, and whose each row is.

Nothing here leaves a site. Refusals name columns, never values or patients.
"""

from collections.abc import Collection, Mapping, Sequence
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


def parse_table(schema: Schema, columns: Mapping[str, Sequence[Cell]], patients: Sequence[str]) -> Table:
    """Read columns of plain values, None or "" where one is missing, or refuse naming the column.

    The outcome may not be missing. NaN counts as missing; infinity is refused.
    """
    require(len(patients) <= ROWS_MAX, Reason.INPUT_TOO_LARGE, f"more than {ROWS_MAX} rows")
    for name in (*(column.name for column in schema.columns), schema.outcome.name):
        require(name in columns, Reason.TABLE_CLASHES, f"no column {name}")
        _require_plain(name, columns[name])
        require(len(columns[name]) == len(patients), Reason.TABLE_CLASHES, f"length of {name}")
    parsed = {column.name: _parse_column(column, columns[column.name]) for column in schema.columns}
    outcome = _parse_outcome(schema.outcome, columns[schema.outcome.name])
    return Table(schema, parsed, outcome, tuple(patients))


def _require_plain(name: str, cells: Sequence[Cell]) -> None:
    """Refuse truth values: they would count as 1 and 0 here, and could not be kept as a row's cell."""
    require(
        not any(isinstance(cell, bool) for cell in cells), Reason.TABLE_CLASHES, f"{name}: true or false"
    )


def _parse_column(column: Column, cells: Sequence[Cell]) -> Floats:
    if isinstance(column, Numeric):
        values = _bound(column, _parse_numbers(column.name, cells))
    else:
        values = _parse_categories(column, cells)
    if column.missing == "refuse":
        require(not bool(np.isnan(values).any()), Reason.VALUE_MISSING, column.name)
    return values


def _parse_numbers(name: str, cells: Sequence[Cell]) -> Floats:
    try:
        numbers = [float("nan") if cell is None or cell == "" else float(cell) for cell in cells]
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(Reason.TABLE_CLASHES, f"{name} is not a number") from error
    values = np.array(numbers, dtype=np.float64)
    require(not bool(np.isinf(values).any()), Reason.VALUE_OUT_OF_BOUNDS, f"{name} is infinite")
    return values


def _bound(column: Numeric, values: Floats) -> Floats:
    match column.outside:
        case "clip":
            return np.clip(values, column.low, column.high)
        case "missing":
            return np.where((values < column.low) | (values > column.high), np.nan, values)
        case "refuse":
            is_beyond = bool(((values < column.low) | (values > column.high)).any())
            require(not is_beyond, Reason.VALUE_OUT_OF_BOUNDS, column.name)
            return values


def _parse_categories(column: Categorical, cells: Sequence[Cell]) -> Floats:
    codes = {category: float(code) for code, category in enumerate(column.categories)}
    nothing = float("nan")
    values = [nothing if cell is None or cell == "" else codes.get(str(cell)) for cell in cells]
    if column.outside == "refuse":
        require(None not in values, Reason.VALUE_OUT_OF_BOUNDS, column.name)
    return np.array([nothing if one is None else one for one in values], dtype=np.float64)


def _parse_outcome(outcome: Outcome, cells: Sequence[Cell]) -> Floats:
    values = _parse_numbers(outcome.name, cells)
    require(not bool(np.isnan(values).any()), Reason.VALUE_MISSING, outcome.name)
    is_within = bool(((values >= outcome.low) & (values <= outcome.high)).all())
    require(is_within, Reason.VALUE_OUT_OF_BOUNDS, outcome.name)
    if outcome.kind == "binary":
        require(bool(np.isin(values, (0.0, 1.0)).all()), Reason.VALUE_OUT_OF_BOUNDS, outcome.name)
    if outcome.kind == "count":
        require(bool((values == np.floor(values)).all()), Reason.VALUE_OUT_OF_BOUNDS, outcome.name)
    return values
