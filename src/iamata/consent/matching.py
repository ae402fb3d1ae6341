"""Whether a rule matches: first the request, then the kind of record, then the record itself.

Many records are decided in one request, so each question is asked as rarely as its answer can change. A
question that a record leaves open is answered against release: an unknown day lies outside a permitted
period and inside a denied one.
"""

from typing import Final

import msgspec

from iamata.consent.labels import (
    CONFIDENTIALITY,
    NORMAL,
    RESTRICTED,
    compute_rank,
    is_named,
    list_ranks,
    list_sensitivities,
)
from iamata.consent.profiles import Profile
from iamata.consent.purposes import is_known, list_broader
from iamata.consent.requests import RecordFacts, Request
from iamata.consent.terms import DataPeriod, Meaning, Rule, Ruling, Span
from iamata.model.reasons import Reason

_NORMAL_RANK: Final = CONFIDENTIALITY.index(NORMAL)
_RESTRICTED_RANK: Final = CONFIDENTIALITY.index(RESTRICTED)


def find_obstacle(rule: Rule, request: Request, *, day: int) -> Reason | None:
    """Tell which of day, purpose and recipient keeps a rule from speaking to a request, if one does."""
    if not is_within(day, rule.validity):
        return Reason.CONSENT_EXPIRED
    if rule.purposes:
        if not any(purpose in rule.purposes for purpose in list_broader(request.purpose)):
            return Reason.PURPOSE_NOT_PERMITTED
    elif rule.decision is Ruling.PERMIT and not is_known(request.purpose):
        return Reason.PURPOSE_NOT_PERMITTED
    if rule.recipients and not any(recipient in rule.recipients for recipient in request.recipients):
        return Reason.RECIPIENT_NOT_PERMITTED
    return None


def find_kind_obstacle(rule: Rule, facts: RecordFacts, profile: Profile) -> Reason | None:
    """Tell whether the labels or the type of a record keep a rule from matching it."""
    is_labelled = (
        releases(rule, facts.labels, profile)
        if rule.decision is Ruling.PERMIT
        else bars(rule, facts.labels)
    )
    if not is_labelled:
        return Reason.LABEL_NOT_PERMITTED
    if rule.classes and facts.resource_type not in rule.classes:
        return Reason.DATA_NOT_PERMITTED
    return None


def releases(rule: Rule, labels: tuple[str, ...], profile: Profile) -> bool:
    """Tell whether a permit reaches a record so labelled: it reaches down from its highest label."""
    if not labels:
        return False
    rank = compute_rank(labels)
    ceiling = max(list_ranks(rule.labels), default=-1)
    sensitivities = tuple(list_sensitivities(labels))
    if profile.is_naming_needed:
        if not rule.labels:
            ceiling = _NORMAL_RANK
        if not sensitivities:
            return rank <= ceiling
        has_all_named = all(is_named(sensitivity, rule.labels) for sensitivity in sensitivities)
        return has_all_named and rank <= max(ceiling, _RESTRICTED_RANK)
    if not rule.labels or rank <= ceiling:
        return True
    return any(is_named(sensitivity, rule.labels) for sensitivity in sensitivities)


def bars(rule: Rule, labels: tuple[str, ...]) -> bool:
    """Tell whether a denial reaches a record so labelled: it reaches up from its lowest label."""
    if not rule.labels:
        return True
    floor = min(list_ranks(rule.labels), default=len(CONFIDENTIALITY))
    return compute_rank(labels) >= floor or any(
        is_named(sensitivity, rule.labels) for sensitivity in list_sensitivities(labels)
    )


class Sieve(msgspec.Struct, frozen=True):
    """A rule made ready for asking about thousands of records."""

    rule: Rule
    is_permit: bool
    is_open: bool
    """Nothing is left to ask of a single record."""
    has_period: bool
    period: DataPeriod
    has_data: bool
    instances: dict[str, None]
    related: dict[str, None]
    authors: dict[str, None]
    codes: dict[tuple[str, ...], None]


def make_sieve(rule: Rule) -> Sieve:
    """Turn a rule's selectors round for looking up."""
    has_period = not rule.data_period.is_unbounded
    return Sieve(
        rule=rule,
        is_permit=rule.decision is Ruling.PERMIT,
        is_open=not (has_period or rule.data or rule.codes),
        has_period=has_period,
        period=rule.data_period,
        has_data=bool(rule.data),
        instances=_list_references(rule, Meaning.INSTANCE),
        related=_list_references(rule, Meaning.RELATED),
        authors=_list_references(rule, Meaning.AUTHORED_BY),
        codes=dict.fromkeys(tuple(code.rsplit("|", 1)) for code in rule.codes),
    )


def passes(sieve: Sieve, facts: RecordFacts) -> bool:
    """Tell whether a record meets every element of a rule that asks about single records."""
    if sieve.has_period and not _is_in_period(sieve, facts.days):
        return False
    if sieve.has_data and not _is_selected(sieve, facts):
        return False
    return not sieve.codes or not sieve.codes.keys().isdisjoint(facts.codes)


def is_within(day: int, period: Span) -> bool:
    """Tell whether a day lies in a period."""
    return (period.first is None or period.first <= day) and (period.last is None or day <= period.last)


def _is_in_period(sieve: Sieve, days: tuple[int, int] | None) -> bool:
    if days is None:
        return not sieve.is_permit
    period, (earliest, latest) = sieve.period, days
    if sieve.is_permit:
        return is_within(earliest, period) and is_within(latest, period)
    is_after = period.last is not None and earliest > period.last
    is_before = period.first is not None and latest < period.first
    return not (is_after or is_before)


def _is_selected(sieve: Sieve, facts: RecordFacts) -> bool:
    if facts.record in sieve.instances:
        return True
    if sieve.related and not sieve.related.keys().isdisjoint(facts.related):
        return True
    if not sieve.authors:
        return False
    # A record that names no author may be by anybody, so a denial reaches it.
    return not sieve.authors.keys().isdisjoint(facts.authors) or not (facts.authors or sieve.is_permit)


def _list_references(rule: Rule, meaning: Meaning) -> dict[str, None]:
    return dict.fromkeys(selector.reference for selector in rule.data if selector.meaning is meaning)
