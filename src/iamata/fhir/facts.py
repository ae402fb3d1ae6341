"""State what a consent decision needs to know about a record, so that it need not read the record."""

from datetime import UTC, date, datetime
from typing import Final

from iamata.consent.requests import RecordFacts
from iamata.fhir.paths import find_references
from iamata.fhir.resources import Resource, Tree

_EPOCH: Final = date(1970, 1, 1).toordinal()
_YEAR, _MONTH, _DAY = 4, 7, 10

_MOMENTS: Final = (
    *("effectiveDateTime", "effectiveInstant", "onsetDateTime", "performedDateTime", "occurrenceDateTime"),
    *(
        "authoredOn",
        "authored",
        "started",
        "date",
        "dateTime",
        "recordedDate",
        "created",
        "recorded",
        "issued",
    ),
    *("dateWritten", "sent", "effectiveTime"),
)
"""Elements that say when the data came to be, the clinically relevant first."""
_PERIODS: Final = (
    "effectivePeriod",
    "onsetPeriod",
    "performedPeriod",
    "occurrencePeriod",
    "period",
    "billablePeriod",
)

_AUTHORS: Final = (
    *(("author",), ("performer",), ("performer", "actor"), ("recorder",), ("asserter",), ("requester",)),
    *(
        ("participant", "individual"),
        ("provider",),
        ("enterer",),
        ("sender",),
        ("agent", "who"),
        ("agent", "onBehalfOf"),
    ),
)
_RELATED: Final = (
    *(("encounter",), ("context",), ("context", "encounter"), ("item", "encounter"), ("episodeOfCare",)),
    *(("basedOn",), ("partOf",), ("carePlan",)),
)


def state_facts(
    resource: Resource, *, resource_type: str, resource_id: str, labels: tuple[str, ...]
) -> RecordFacts:
    """Gather the facts of a resource whose references are resolved."""
    elements = resource.elements
    return RecordFacts(
        record=f"{resource_type}/{resource_id}",
        resource_type=resource_type,
        labels=labels,
        days=find_days(elements),
        authors=_list_references(elements, _AUTHORS),
        related=_list_references(elements, _RELATED),
        codes=resource.codings,
    )


def find_days(elements: Tree) -> tuple[int, int] | None:
    """Find when the data came to be; None where the resource does not say."""
    for name in _MOMENTS:
        if (text := elements.get(name)) is not None:
            return parse_days(text)
    for name in _PERIODS:
        if type(period := elements.get(name)) is dict:
            first, last = parse_days(period.get("start")), parse_days(period.get("end"))
            known = first or last
            return known and ((first or known)[0], (last or known)[1])
    return None


def parse_days(text: object) -> tuple[int, int] | None:
    """Read a FHIR date, dateTime or instant as the UTC days that it may mean; None for anything else."""
    if type(text) is not str:
        return None
    try:
        if len(text) > _DAY:
            moment = datetime.fromisoformat(text)
            day = (moment.astimezone(UTC) if moment.tzinfo else moment).toordinal() - _EPOCH
            return day, day
        if len(text) == _DAY:
            day = date.fromisoformat(text).toordinal() - _EPOCH
            return day, day
        return _spread(text)
    except (ValueError, OverflowError):
        return None


def _spread(text: str) -> tuple[int, int] | None:
    """Read a year, or a year and a month, as its first and its last day."""
    if len(text) == _MONTH:
        first = date.fromisoformat(f"{text}-01")
        after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    elif len(text) == _YEAR:
        first = date(int(text), 1, 1)
        after = date(first.year + 1, 1, 1)
    else:
        return None
    return first.toordinal() - _EPOCH, after.toordinal() - 1 - _EPOCH


def _list_references(elements: Tree, paths: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for path in paths:
        if path[0] in elements:
            found.update(dict.fromkeys(find_references(elements, path)))
    return tuple(found)
