"""A study's cohort: which events bring patients in, what was known by then, and what came after.

Part of a protocol, read by reviewers with it. Views (SQL-on-FHIR v2) make rows of records, each over
one patient's records at a time; a cohort says how the rows of one patient become one row of the study's
table. What a view's definition may say is checked where views are compiled. The terms are those of
OHDSI's cohort definitions and patient-level prediction (The Book of OHDSI, chapters 10 and 13).

Days count from the index day. A span `[from, until]` is half-open: from <= day - index day < until.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from iamata.learning.schemas import Schema
from iamata.model.reasons import Reason, require

VIEWS_MAX: Final = 32
VALUES_MAX: Final = 1_000
"""Values of one condition."""
CONDITIONS_MAX: Final = 16
DAYS_MAX: Final = 36_525
"""A hundred years."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Values = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=VALUES_MAX)]
Where = Annotated[dict[Name, Values], msgspec.Meta(max_length=CONDITIONS_MAX)]
"""By column, the values of which a row must have one, compared as text."""
DayOffset = Annotated[int, msgspec.Meta(ge=-DAYS_MAX, le=DAYS_MAX)]
Span: TypeAlias = tuple[DayOffset, DayOffset]
"""Days from the index day: the first, and the one after the last."""
TELLING: Final = ("deceased", "children(", "descendants(")
"""What a view with a death in it says, by name or by whatever lies below."""
EVER_BEFORE: Final[Span] = (-DAYS_MAX, 1)
"""All that is known by the end of the index day."""


class Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The event that brings a patient in; who never had it has no row."""

    view: Name
    date: Name
    """The column with the day of the event."""
    which: Literal["first", "last"] = "first"
    where: Where = {}


class Fixed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="fixed"):
    """What a Patient says that does not change with time, such as sex; missing where records differ."""

    view: Name
    column: Name


class Age(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="age"):
    """Completed years on the index day; a birth date without a day counts from the first that it may be."""

    view: Name
    birth: Name


class History(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="history"):
    """What the rows within a span that ends with the index day, or before, say."""

    view: Name
    date: Name
    take: Literal["last", "first", "min", "max", "mean", "count", "any"]
    column: Name | None = None
    """What is taken; `count` and `any` count rows, and want none."""
    days: Span = EVER_BEFORE
    where: Where = {}


Feature: TypeAlias = Fixed | Age | History


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is predicted: whether there is such an event within a span after the index day, or how many."""

    view: Name
    date: Name
    days: Span
    where: Where = {}
    is_first_only: bool = False
    """Leave out whoever had such an event on the index day or before."""


class Cohort(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the rows of a study come from."""

    views: Annotated[dict[Name, dict[str, Any]], msgspec.Meta(min_length=1, max_length=VIEWS_MAX)]
    """ViewDefinitions by name."""
    index: Index
    features: dict[Name, Feature]
    """By the names of the schema's columns."""
    outcome: Outcome
    known_days_before: Annotated[int, msgspec.Meta(ge=0, le=DAYS_MAX)] = 0
    """Leave out whose first dated row is not this long before the index day."""
    followed_days_after: Annotated[int, msgspec.Meta(ge=0, le=DAYS_MAX)] = 0
    """Leave out whose last dated row is not this long after it, unless the outcome is there already."""


def check_cohort(cohort: Cohort, schema: Schema) -> None:
    """Refuse a cohort that does not fill a schema's columns, or that predicts from what comes later."""
    for column in schema.columns:
        require(column.name in cohort.features, Reason.SCHEMA_INVALID, f"no feature {column.name}")
    names = [column.name for column in schema.columns]
    for name, feature in cohort.features.items():
        require(name in names, Reason.SCHEMA_INVALID, f"no column for the feature {name}")
        if isinstance(feature, History):
            first, end = feature.days
            require(first < end <= 1, Reason.SCHEMA_INVALID, f"the days of {name}")
            is_counting = feature.take in ("count", "any")
            require(is_counting == (feature.column is None), Reason.SCHEMA_INVALID, f"the column of {name}")
    first, end = cohort.outcome.days
    require(1 <= first < end, Reason.SCHEMA_INVALID, "the days of the outcome begin after the index day")
    require(schema.outcome.kind != "number", Reason.SCHEMA_INVALID, "a cohort's outcome is no number")
    for view, _ in list_columns(cohort):
        require(view in cohort.views, Reason.SCHEMA_INVALID, f"no view {view}")
    for name, feature in cohort.features.items():
        if isinstance(feature, Fixed | Age):
            _require_timeless(cohort, name, feature.view)


def _require_timeless(cohort: Cohort, name: str, view: str) -> None:
    """Refuse a feature without a date that could say what came after the index day.

    Of rows without a date nobody knows since when they hold: only a Patient's are taken, but for its death.
    """
    definition = cohort.views[view]
    dated = [one.view for one in list_dated(cohort)]
    require(view not in dated, Reason.SCHEMA_INVALID, f"{name} is taken from the dated view {view}")
    require(definition.get("resource") == "Patient", Reason.SCHEMA_INVALID, f"{name} is not of a Patient")
    said = msgspec.json.encode(definition).decode("utf-8")
    is_about_life = not any(word in said for word in TELLING)
    require(is_about_life, Reason.SCHEMA_INVALID, f"{name} is taken from a view that may tell of a death")


def check_columns(cohort: Cohort, columns: Mapping[str, Collection[str]]) -> None:
    """Refuse a cohort that names a column which its view has not."""
    for view, column in list_columns(cohort):
        require(column in columns[view], Reason.SCHEMA_INVALID, f"no column {column} in the view {view}")


def list_columns(cohort: Cohort) -> Iterator[tuple[str, str]]:
    """List each view and column that a cohort names."""
    for feature in cohort.features.values():
        match feature:
            case Fixed(view=view, column=column) | Age(view=view, birth=column):
                yield view, column
            case History(view=view, column=taken):
                if taken is not None:
                    yield view, taken
    for dated in list_dated(cohort):
        yield dated.view, dated.date
        for column in dated.where:
            yield dated.view, column


def list_dated(cohort: Cohort) -> list[Index | History | Outcome]:
    """List what a cohort says of dated rows."""
    histories = [one for one in cohort.features.values() if isinstance(one, History)]
    return [cohort.index, *histories, cohort.outcome]
