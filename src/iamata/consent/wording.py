"""Terms in plain words: who will see what, for what, for how long, and how to undo it.

What a patient signs is shown like this first, and a release of protected records carries it as the scope
of the consent. Nothing is left out: what a rule leaves open is said as the decision will read it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from iamata.consent import labels, purposes
from iamata.consent.profiles import STRICT, Profile
from iamata.consent.terms import Meaning, Rule, Ruling, Selector, Span, Terms, inherit
from iamata.model.instants import format_day

HOW_TO_UNDO: Final = (
    "You can narrow or withdraw this at any time, alone and without giving a reason; that holds at once. "
    "What was read before stays read, and you can see every reading."
)
HOW_TO_UNDO_DENIAL: Final = "You can change your mind at any time by signing a new consent."
ONLY_WHAT_IS_NAMED: Final = (
    f"Nothing about {', '.join(labels.CATEGORIES)} is included unless it is named above."
)

_ROLES: Final = "role:"
_SELECTED: Final = {
    Meaning.INSTANCE: "the record {}",
    Meaning.RELATED: "everything that belongs to {}",
    Meaning.AUTHORED_BY: "what {} wrote",
}
_UP_TO: Final = (
    "least confidential",
    "less confidential",
    "less confidential",
    "ordinary",
    "ordinary and restricted",
    "ordinary, restricted and very restricted",
)
_FROM: Final = (
    "",
    "not wholly public",
    "not wholly public",
    "ordinary, restricted and very restricted",
    "restricted and very restricted",
    "very restricted",
)
"""How a permit up to a level of confidentiality, and a denial from it, are said; in the order of levels."""


def describe(
    terms: Terms, *, profile: Profile = STRICT, names: Mapping[str, str] | None = None
) -> list[str]:
    """Say in sentences what terms mean under a profile, with the names that references are known by."""
    rules = (terms, *(inherit(exception, terms) for exception in terms.exceptions))
    say = _name_with(names or {})
    sentences = [_say_rule(terms, say, profile)]
    for rule in rules[1:]:
        sentences.append(f"Except: {_say_rule(rule, say, profile)}")
        if not rule.validity.is_unbounded:
            sentences.append(f"This exception holds {_say_period(rule.validity)}.")
    if profile.is_naming_needed and any(rule.decision is Ruling.PERMIT for rule in rules):
        sentences.append(ONLY_WHAT_IS_NAMED)
    sentences.append(
        "This holds until you change it."
        if terms.validity.is_unbounded
        else f"This holds {_say_period(terms.validity)}."
    )
    sentences.append(HOW_TO_UNDO if terms.decision is Ruling.PERMIT else HOW_TO_UNDO_DENIAL)
    return sentences


def _say_rule(rule: Rule, say: Callable[[str], str], profile: Profile) -> str:
    is_permit = rule.decision is Ruling.PERMIT
    if rule.recipients:
        who = f"{_join(map(say, rule.recipients))} {'may' if is_permit else 'may not'} read"
    else:
        who = "Every member of the network may read" if is_permit else "Nobody may read"
    aims = _join(purposes.PLAIN_WORDS.get(purpose, purpose) for purpose in rule.purposes)
    return f"{who} {_say_data(rule, say, profile)}, for {aims or 'any purpose'}."


def _say_data(rule: Rule, say: Callable[[str], str], profile: Profile) -> str:
    what = _say_labels(rule, profile)
    if rule.classes:
        what += f" of the types {_join(rule.classes)}"
    if rule.codes:
        what += f" with the codes {_join(rule.codes)}"
    if rule.data:
        what += f", namely {_join(_say_selector(selector, say) for selector in rule.data)}"
    if not rule.data_period.is_unbounded:
        what += f", made {_say_period(rule.data_period)}"
    return what


def _say_labels(rule: Rule, profile: Profile) -> str:
    """Say labels as they are read: a permit reaches down, a denial reaches up."""
    is_permit = rule.decision is Ruling.PERMIT
    ranks = labels.list_ranks(rule.labels)
    if is_permit and profile.is_naming_needed and not rule.labels:
        ranks = [labels.CONFIDENTIALITY.index(labels.NORMAL)]
    about = [labels.PLAIN_WORDS.get(code, code) for code in labels.list_sensitivities(rule.labels)]
    level = ""
    if ranks:
        level = _UP_TO[max(ranks)] if is_permit else _FROM[min(ranks)]
    parts = [f"your {level} records"] if level else []
    parts += [f"your records about {_join(about)}"] if about else []
    return " and ".join(parts) or "your records"


def _say_selector(selector: Selector, say: Callable[[str], str]) -> str:
    return _SELECTED[selector.meaning].format(say(selector.reference))


def _say_period(period: Span) -> str:
    first = "" if period.first is None else f"from {format_day(period.first)}"
    last = "" if period.last is None else f"until the end of {format_day(period.last)}"
    return f"{first} {last}".strip()


def _name_with(names: Mapping[str, str]) -> Callable[[str], str]:
    def say(reference: str) -> str:
        if reference in names:
            return names[reference]
        if reference.startswith(_ROLES):
            return f"everyone who acts as {reference.removeprefix(_ROLES)}"
        return reference

    return say


def _join(words: Iterable[str]) -> str:
    *most, last = [*words] or [""]
    return f"{', '.join(most)} or {last}" if most else last
