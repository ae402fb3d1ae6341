"""What columns a study's tables have: public, reviewed with the study, and the same at every site.

A numeric column has public bounds. They give its sums a fixed scale, its bins a range, and differential
privacy a limit to what one patient can change; they come from medicine, never from the rows.
"""

import math
from typing import Final, Literal, TypeAlias

import msgspec

from iamata.model.reasons import Reason, require

COLUMNS_MAX: Final = 2_000
CATEGORIES_MAX: Final = 1_000
NAME_CHARACTERS_MAX: Final = 200
NUMBER_MAX: Final = 1e15
"""No bound lies further from zero: up to here doubles tell whole numbers apart."""
WIDTH_MIN: Final = 1e-9
"""The least distance of two bounds, also as a part of the larger one."""

Missing: TypeAlias = Literal["indicator", "mean", "refuse"]
"""A missing value becomes the mean, or no category, with or without a column that says so; or a refusal."""


class Numeric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="numeric"):
    """A column of numbers within public bounds, in the unit that the study's protocol names."""

    name: str
    low: float
    high: float
    outside: Literal["refuse", "clip", "missing"] = "refuse"
    """What a value beyond the bounds is: an error, the bound itself, or missing."""
    missing: Missing = "indicator"


class Categorical(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="categorical"):
    """A column of words out of a public list; the first is what the others are compared with."""

    name: str
    categories: tuple[str, ...]
    outside: Literal["refuse", "missing"] = "refuse"
    missing: Missing = "indicator"


Column: TypeAlias = Numeric | Categorical


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is predicted: yes or no (1 or 0), a count, or a number; the latter two within public bounds."""

    name: str
    kind: Literal["binary", "count", "number"] = "binary"
    low: float = 0.0
    high: float = 1.0

    @property
    def lowest(self) -> float:
        """The lowest value that a row may have."""
        match self.kind:
            case "binary":
                return 0.0 if self.low <= 0 else 1.0
            case "count":
                return float(math.ceil(self.low))
            case "number":
                return self.low


class Schema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table's columns and its outcome. Columns that are no feature may still name subgroups."""

    columns: tuple[Column, ...]
    outcome: Outcome
    features: tuple[str, ...] = ()
    """Names of the columns that a model may use; empty means all of them."""

    def __post_init__(self) -> None:
        """Refuse what no table could have."""
        names = [*(column.name for column in self.columns), self.outcome.name]
        require(0 < len(self.columns) <= COLUMNS_MAX, Reason.SCHEMA_INVALID, "number of columns")
        require(len(dict.fromkeys(names)) == len(names), Reason.SCHEMA_INVALID, "two columns have one name")
        for name in names:
            require(0 < len(name) <= NAME_CHARACTERS_MAX, Reason.SCHEMA_INVALID, "length of a name")
        for column in self.columns:
            _require_sound(column)
        _require_sound_outcome(self.outcome)
        for name in self.features:
            require(name in names[:-1], Reason.SCHEMA_INVALID, f"no column {name}")

    def get_features(self) -> tuple[Column, ...]:
        """Return the columns that a model may use, in the schema's order."""
        return tuple(one for one in self.columns if not self.features or one.name in self.features)

    def get_column(self, name: str) -> Column:
        """Return a column by its name, or refuse."""
        for column in self.columns:
            if column.name == name:
                return column
        require(False, Reason.SCHEMA_INVALID, f"no column {name}")  # noqa: FBT003  refuses always
        raise AssertionError

    def list_categories(self, name: str) -> tuple[str, ...]:
        """Return a column's categories; none where it has numbers."""
        column = self.get_column(name)
        return column.categories if isinstance(column, Categorical) else ()


def _require_sound(column: Column) -> None:
    match column:
        case Numeric():
            require(_is_range(column.low, column.high), Reason.SCHEMA_INVALID, f"bounds of {column.name}")
        case Categorical(name=name, categories=categories):
            require(0 < len(categories) <= CATEGORIES_MAX, Reason.SCHEMA_INVALID, f"categories of {name}")
            is_distinct = len(dict.fromkeys(categories)) == len(categories)
            require(is_distinct and "" not in categories, Reason.SCHEMA_INVALID, f"categories of {name}")


def _require_sound_outcome(outcome: Outcome) -> None:
    require(_is_range(outcome.low, outcome.high), Reason.SCHEMA_INVALID, outcome.name)
    is_possible = outcome.kind != "count" or outcome.lowest >= 0
    require(is_possible, Reason.SCHEMA_INVALID, f"{outcome.name}: no count is below 0")


def _is_range(low: float, high: float) -> bool:
    """Tell whether numbers within these bounds can be told apart, by their place between them."""
    largest = max(abs(low), abs(high))
    return math.isfinite(largest) and largest <= NUMBER_MAX and high - low >= WIDTH_MIN * max(1.0, largest)
