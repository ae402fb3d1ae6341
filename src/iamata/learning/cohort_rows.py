"""Make a patient's row out of what views found in the patient's records, as a cohort says.

A day is the one that is written, in the zone in which it was written; rows of one day are in the order of
their instants, after those that tell none. A date without a day (2019, 2019-05) is no event and enters no
span, for nobody knows on which side of the index day it lies.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final, NamedTuple, TypeAlias

from iamata.learning.cohorts import (
    Age,
    Cohort,
    Fixed,
    History,
    Index,
    Outcome,
    Span,
    Where,
    list_dated,
)
from iamata.learning.schemas import Schema
from iamata.learning.tables import Cell
from iamata.model.reasons import Reason, Refused, require

DAY_CHARACTERS: Final = len("2019-05-17")

ViewRow: TypeAlias = Mapping[str, object]
ViewRows: TypeAlias = Mapping[str, Sequence[ViewRow]]
"""By view, the rows of one patient."""


class Dated(NamedTuple):
    """A row with its day, as an ordinal, and its moment, by which rows of one day are put in order."""

    day: int
    moment: tuple[bool, str]
    """Whether it is an instant, and that in UTC; otherwise as it is written."""
    row: ViewRow


def make_row(cohort: Cohort, schema: Schema, rows: ViewRows) -> dict[str, Cell] | None:
    """Make the row of one patient, None for one who is not in the cohort."""
    index = find_index(cohort.index, rows)
    if index is None or not _is_known(cohort, rows, index):
        return None
    events = [one.day - index for one in _find_dated(cohort.outcome, rows)]
    if cohort.outcome.is_first_only and any(day <= 0 for day in events):
        return None
    count = sum(_is_within(cohort.outcome.days, day) for day in events)
    if count == 0 and not _is_followed(cohort, rows, index):
        return None
    row = make_features(cohort, rows, index)
    row[schema.outcome.name] = count if schema.outcome.kind == "count" else int(count > 0)
    return row


def choose_last_index(cohort: Cohort, rows: ViewRows, *, until: int) -> int:
    """Choose the day on which a model may be asked about a patient: of the last index event so far.

    Days are ordinals, `until` being today. Refuse (NOT_IN_COHORT) where training would have left the
    patient out for what is known by that day; what comes after it nobody waits for.
    """
    days = [one.day for one in _find_dated(cohort.index, rows) if one.day <= until]
    require(bool(days), Reason.NOT_IN_COHORT, "no index event in the records that may be read")
    index = days[-1]
    require(_is_known(cohort, rows, index), Reason.NOT_IN_COHORT, "known for too short a time")
    if cohort.outcome.is_first_only:
        had_it = any(one.day <= index for one in _find_dated(cohort.outcome, rows))
        require(not had_it, Reason.NOT_IN_COHORT, "the outcome is there already")
    return index


def make_features(cohort: Cohort, rows: ViewRows, index: int) -> dict[str, Cell]:
    """Say what is known of a patient by an index day, given as an ordinal; None where nothing is."""
    features: dict[str, Cell] = {}
    for name, feature in cohort.features.items():
        match feature:
            case Fixed(view=view, column=column):
                features[name] = _find_fixed(column, rows[view])
            case Age(view=view, birth=column):
                features[name] = _compute_age(_find_fixed(column, rows[view]), index)
            case History():
                features[name] = _look_back(name, feature, rows, index)
    return features


def find_index(index: Index, rows: ViewRows) -> int | None:
    """Find the index day, as an ordinal, None without such an event."""
    events = _find_dated(index, rows)
    if not events:
        return None
    return events[0 if index.which == "first" else -1].day


def parse_day(text: object) -> int | None:
    """Return the day of a FHIR date or dateTime as an ordinal, None where it names no day."""
    if not isinstance(text, str) or len(text) < DAY_CHARACTERS:
        return None
    try:
        return date.fromisoformat(text[:DAY_CHARACTERS]).toordinal()
    except ValueError:
        return None


def _find_dated(wanted: Index | History | Outcome, rows: ViewRows) -> list[Dated]:
    found = [
        Dated(day, _find_moment(str(row[wanted.date])), row)
        for row in rows[wanted.view]
        if _matches(wanted.where, row) and (day := parse_day(row[wanted.date])) is not None
    ]
    return sorted(found, key=lambda one: (one.day, one.moment))


def _find_moment(text: str) -> tuple[bool, str]:
    """Return what puts rows of one day in order: two instants compare as such, whatever their zones."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return True, moment.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, OverflowError):  # a date, a leap second, or the end of the calendar
        pass
    return False, text


def _matches(where: Where, row: ViewRow) -> bool:
    return all(_spell(row[column]) in values for column, values in where.items())


def _is_within(span: Span, day: int) -> bool:
    first, end = span
    return first <= day < end


def _is_known(cohort: Cohort, rows: ViewRows, index: int) -> bool:
    days = _list_days(cohort, rows)
    return index - min(days) >= cohort.known_days_before


def _is_followed(cohort: Cohort, rows: ViewRows, index: int) -> bool:
    return max(_list_days(cohort, rows)) - index >= cohort.followed_days_after


def _list_days(cohort: Cohort, rows: ViewRows) -> list[int]:
    """List the days of all rows that the cohort has a date for, whatever they say."""
    places = dict.fromkeys((one.view, one.date) for one in list_dated(cohort))
    days = (parse_day(row[column]) for view, column in places for row in rows[view])
    return [day for day in days if day is not None]


def _find_fixed(column: str, rows: Sequence[ViewRow]) -> Cell:
    values = dict.fromkeys(_read(column, row[column]) for row in rows if row[column] is not None)
    return next(iter(values)) if len(values) == 1 else None


def _compute_age(birth: Cell, index: int) -> Cell:
    if not isinstance(birth, str):
        return None
    born = parse_day(birth[:DAY_CHARACTERS] + "-01-01"[len(birth) - len("2019") :])
    if born is None or born > index:
        return None
    then, now = date.fromordinal(born), date.fromordinal(index)
    return now.year - then.year - ((now.month, now.day) < (then.month, then.day))


def _look_back(name: str, feature: History, rows: ViewRows, index: int) -> Cell:
    found = [one for one in _find_dated(feature, rows) if _is_within(feature.days, one.day - index)]
    if feature.column is None:
        return len(found) if feature.take == "count" else int(bool(found))
    known = [
        (one, _read(feature.column, one.row[feature.column]))
        for one in found
        if one.row[feature.column] is not None
    ]
    if not known:
        return None
    match feature.take:
        case "first" | "last":
            return _choose(feature, known)
        case _:
            return _summarise(name, feature, [value for _, value in known])


def _choose(feature: History, known: Sequence[tuple[Dated, Cell]]) -> Cell:
    """Choose the value of the first or the last moment; of several at one, the least as text."""
    moments = [one.moment for one, _ in known]
    moment = moments[0] if feature.take == "first" else moments[-1]
    return min((value for one, value in known if one.moment == moment), key=str)


def _summarise(name: str, feature: History, values: Sequence[Cell]) -> Cell:
    numbers = [value for value in values if isinstance(value, int | float)]
    require(len(numbers) == len(values), Reason.TABLE_CLASHES, f"{name} is not a number")
    match feature.take:
        case "min":
            return min(numbers)
        case "max":
            return max(numbers)
        case _:
            return sum(sorted(numbers)) / len(numbers)


def _read(column: str, value: object) -> Cell:
    match value:
        case bool():
            return _spell(value)
        case int() | float() | str():
            return value
        case Decimal():
            return float(value)
        case _:
            raise Refused(Reason.TABLE_CLASHES, f"{column} holds lists")


def _spell(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
