"""Rows out of any data frame: a site's table to learn from, and rows to ask a model about."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from iamata.learning.schemas import Schema
from iamata.learning.tables import Cell, Table, parse_table
from iamata.model.reasons import Reason, Refused, require
from iamata.notebook.refusals import speaking


@speaking
def read_frame(frame: Any, schema: Schema, *, patient: str) -> Table:  # noqa: ANN401  any library's frame
    """Read a site's table out of a data frame of pandas, Polars, DuckDB or Arrow, or refuse it.

    The schema says which columns are wanted; `patient` names the column that says whose each row is.
    Others are passed over. Null and NaN are missing values.
    """
    features = [column.name for column in schema.columns]
    columns = _read_columns(frame, [patient, schema.outcome.name, *features])
    require(None not in columns[patient], Reason.VALUE_MISSING, patient)
    return parse_table(schema, columns, [str(one) for one in columns[patient]])


def read_inputs(frame: Any, schema: Schema) -> Table:  # noqa: ANN401  any library's frame
    """Read rows whose outcome nobody knows yet, as `read_frame` reads a site's, or refuse them."""
    columns = _read_columns(frame, [column.name for column in schema.columns])
    rows = len(columns[schema.columns[0].name])
    columns[schema.outcome.name] = [schema.outcome.lowest] * rows
    return parse_table(schema, columns, [""] * rows)


def _read_columns(frame: Any, names: Sequence[str]) -> dict[str, Sequence[Cell]]:  # noqa: ANN401  as above
    try:
        table = pa.table(frame)
    except (TypeError, ValueError) as error:  # Arrow's errors are ValueErrors
        raise Refused(Reason.TABLE_CLASHES, "no data frame that Arrow can take") from error
    for name in names:
        require(table.column_names.count(name) == 1, Reason.TABLE_CLASHES, f"no column {name}, or several")
    return {name: table.column(name).to_pylist() for name in names}
