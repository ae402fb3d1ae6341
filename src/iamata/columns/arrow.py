"""Arrow batches: each column of a view in its type, or a refusal that names the column and no value."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any, Final, TypeAlias

import pyarrow as pa

from iamata.fhir.views.columns import DECIMAL_DIGITS, ColumnType, Kind
from iamata.fhir.views.definition import Column
from iamata.model.reasons import Reason, Refused

Columns: TypeAlias = Sequence[tuple[Column, ColumnType]]
Values: TypeAlias = Sequence[Sequence[Any]]
"""The values of each column; a column of collections holds lists."""

_DAY_CHARS: Final = 10
_EXACT: Final = Context(prec=2 * DECIMAL_DIGITS, rounding=ROUND_HALF_EVEN)
_TYPES: Final[dict[Kind, pa.DataType]] = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int32(),
    Kind.BIGINT: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}


def make_schema(columns: Columns) -> pa.Schema:
    """Describe a table; every column may be empty."""
    return pa.schema([pa.field(column.name, _find_type(kind)) for column, kind in columns])


def make_batch(columns: Columns, schema: pa.Schema, values: Values) -> pa.RecordBatch:
    """Make a batch of rows, or refuse the first column with a value that is not of its type."""
    arrays = [
        _make_array(column, kind, field.type, found)
        for (column, kind), field, found in zip(columns, schema, values, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _find_type(kind: ColumnType) -> pa.DataType:
    one = pa.decimal128(kind.digits, kind.places) if kind.kind is Kind.DECIMAL else _TYPES[kind.kind]
    return pa.list_(one) if kind.is_collection else one


def _make_array(
    column: Column, kind: ColumnType, arrow_type: pa.DataType, values: Sequence[Any]
) -> pa.Array:
    try:
        convert = _CONVERTERS.get(kind.kind)
        if convert is not None:
            values = _apply(convert, kind, values)
        return pa.array(values, type=arrow_type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError, InvalidOperation) as error:
        what = f"{column.place}: {column.name} has a value that is no {kind.kind.value}"
        raise Refused(Reason.INPUT_INVALID, what) from error


def _apply(
    convert: Callable[[Any, ColumnType], Any], kind: ColumnType, values: Sequence[Any]
) -> Sequence[Any]:
    if kind.is_collection:
        return [None if many is None else [convert(one, kind) for one in many] for many in values]
    return [None if one is None else convert(one, kind) for one in values]


def _to_decimal(value: Any, kind: ColumnType) -> Decimal:  # noqa: ANN401  JSON
    if type(value) is Decimal:
        exponent = value.as_tuple().exponent
        if type(exponent) is int and exponent >= -kind.places:
            return value
        return value.quantize(Decimal(1).scaleb(-kind.places), context=_EXACT)
    if type(value) is not int:
        raise TypeError
    return Decimal(value)


def _to_double(value: Any, kind: ColumnType) -> float:  # noqa: ANN401
    del kind
    if type(value) not in {int, Decimal}:
        raise TypeError
    return float(value)


def _to_integer(value: Any, kind: ColumnType) -> int:  # noqa: ANN401
    del kind
    if type(value) is not int:
        raise TypeError
    return value


def _to_date(value: Any, kind: ColumnType) -> date:  # noqa: ANN401
    del kind
    if type(value) is not str or len(value) != _DAY_CHARS:
        raise TypeError
    return date.fromisoformat(value)


def _to_timestamp(value: Any, kind: ColumnType) -> datetime:  # noqa: ANN401
    del kind
    moment = datetime.fromisoformat(value)
    if len(value) <= _DAY_CHARS or moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


_CONVERTERS: Final[dict[Kind, Callable[[Any, ColumnType], Any]]] = {
    Kind.INTEGER: _to_integer,
    Kind.BIGINT: _to_integer,
    Kind.DECIMAL: _to_decimal,
    Kind.DOUBLE: _to_double,
    Kind.DATE: _to_date,
    Kind.TIMESTAMP: _to_timestamp,
}
"""What pyarrow would take too lightly: a truth for a number, a day for a moment."""
