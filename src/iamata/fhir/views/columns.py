"""The types of columns, as a table has them: what the definition says, else what the path can give."""

import enum
import re
from typing import Final

import msgspec

from iamata.fhir.path.evaluation import Types
from iamata.fhir.views.definition import Column
from iamata.model.reasons import Reason, Refused

DECIMAL_DIGITS: Final = 38
DECIMAL_PLACES: Final = 18
"""A decimal keeps so many places unless a tag asks for others; what is finer is rounded."""


class Kind(enum.Enum):
    """How a column's values lie in a table."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    """32 bits."""
    BIGINT = "bigint"
    DECIMAL = "decimal"
    DOUBLE = "double"
    TEXT = "text"
    """Dates and moments too: FHIR lets them be of partial precision, which no type of SQL can hold."""
    DATE = "date"
    """Only where a tag asks for it; a partial date is then refused."""
    TIMESTAMP = "timestamp"
    """Only where a tag asks for it: UTC, microseconds."""


class ColumnType(msgspec.Struct, frozen=True):
    """The type of a column."""

    kind: Kind
    is_collection: bool = False
    digits: int = DECIMAL_DIGITS
    places: int = DECIMAL_PLACES


_KINDS: Final = {
    "boolean": Kind.BOOLEAN,
    "integer": Kind.INTEGER,
    "positiveInt": Kind.INTEGER,
    "unsignedInt": Kind.INTEGER,
    "integer64": Kind.BIGINT,
    "decimal": Kind.DECIMAL,
}
_SYSTEM_KINDS: Final = {
    "System.Boolean": Kind.BOOLEAN,
    "System.Integer": Kind.INTEGER,
    "System.Decimal": Kind.DECIMAL,
}
_SQL: Final = re.compile(r"([A-Z ]+?) *(?:\((\d{1,2})(?: *, *(\d{1,2}))?\))?(?: WITH TIME ZONE)?")
_SQL_KINDS: Final = {
    **dict.fromkeys(("BOOLEAN",), Kind.BOOLEAN),
    **dict.fromkeys(("INT", "INTEGER", "SMALLINT"), Kind.INTEGER),
    **dict.fromkeys(("BIGINT",), Kind.BIGINT),
    **dict.fromkeys(("DECIMAL", "NUMERIC", "DEC"), Kind.DECIMAL),
    **dict.fromkeys(("DOUBLE PRECISION", "DOUBLE", "FLOAT", "REAL"), Kind.DOUBLE),
    **dict.fromkeys(("DATE",), Kind.DATE),
    **dict.fromkeys(("TIMESTAMP",), Kind.TIMESTAMP),
    **dict.fromkeys(("CHARACTER VARYING", "VARCHAR", "CHARACTER", "CHAR", "TEXT"), Kind.TEXT),
}


def find_column_type(column: Column, types: Types) -> ColumnType:
    """Find the type of a column whose path can give some types."""
    if column.sql_type is not None:
        return _read_sql_type(column)
    if column.type is not None:
        return ColumnType(_KINDS.get(column.type, Kind.TEXT), column.is_collection)
    known = types[0] if types is not None and len(types) == 1 else ""
    kind = _KINDS.get(known) or _SYSTEM_KINDS.get(known, Kind.TEXT)
    return ColumnType(kind, column.is_collection)


def _read_sql_type(column: Column) -> ColumnType:
    match = _SQL.fullmatch((column.sql_type or "").strip().upper())
    kind = None if match is None else _SQL_KINDS.get(match[1].strip())
    if match is None or kind is None:
        raise Refused(Reason.INPUT_INVALID, f"{column.place}.tag: no type of SQL that is known here")
    if kind is not Kind.DECIMAL:
        return ColumnType(kind, column.is_collection)
    digits, places = int(match[2] or DECIMAL_DIGITS), int(match[3] or (0 if match[2] else DECIMAL_PLACES))
    if not 0 <= places <= digits <= DECIMAL_DIGITS or not digits:
        raise Refused(Reason.INPUT_INVALID, f"{column.place}.tag: at most {DECIMAL_DIGITS} digits")
    return ColumnType(kind, column.is_collection, digits, places)
