"""A site's table out of any data frame, for the estimators that learn from sums."""

from typing import Any

import pyarrow as pa

from iamata.learning.schemas import Schema
from iamata.learning.tables import Table, parse_table
from iamata.model.reasons import Reason, Refused, require


def read_frame(frame: Any, schema: Schema, *, patient: str) -> Table:  # noqa: ANN401  any library's frame
    """Read a site's table out of a data frame of pandas, Polars, DuckDB or Arrow, or refuse it.

    The schema says which columns are wanted; `patient` names the column that says whose each row is.
    Others are passed over. Null and NaN are missing values.
    """
    try:
        table = pa.table(frame)
    except (TypeError, ValueError) as error:  # Arrow's errors are ValueErrors
        raise Refused(Reason.TABLE_CLASHES, "no data frame that Arrow can take") from error
    names = [patient, schema.outcome.name, *(column.name for column in schema.columns)]
    for name in names:
        require(table.column_names.count(name) == 1, Reason.TABLE_CLASHES, f"no column {name}, or several")
    columns = {name: table.column(name).to_pylist() for name in names}
    require(None not in columns[patient], Reason.VALUE_MISSING, patient)
    return parse_table(schema, columns, [str(one) for one in columns[patient]])
