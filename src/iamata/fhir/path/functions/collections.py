"""Existence, filtering, subsetting and combining (FHIRPath N1, 5.1 to 5.4)."""

import functools
from collections.abc import Iterable
from typing import Final

from iamata.fhir.path.comparing import Seen, order
from iamata.fhir.path.elements import Item, to_value
from iamata.fhir.path.evaluation import SMALL, Frame, Items, Step, Types
from iamata.fhir.path.functions.calls import (
    BOOLEAN,
    INTEGER,
    Call,
    Function,
    always,
    each,
    keep_types,
    on_items,
    plain,
)
from iamata.fhir.path.refusals import Place
from iamata.fhir.path.singles import take_boolean, take_integer, take_truth
from iamata.fhir.path.syntax import Unary


def keep_distinct(items: Iterable[Item], frame: Frame) -> Items:
    """Drop what equals something before it."""
    seen = Seen(frame.environment.spend)
    found = [item for item in items if seen.add(item)]
    if len(found) > SMALL:
        frame.environment.spend(len(found))
    return found


def _where(call: Call) -> Step:
    criteria, place = call.arguments[0], call.place

    def step(items: Items, frame: Frame) -> Items:
        inner, found = frame.open(), []
        frame.environment.spend(len(items))
        for index, item in enumerate(items):
            inner.this = [item]
            inner.index = index
            answer = criteria(inner)
            if answer and take_truth(answer, place):
                found.append(item)
        return found

    return step


def _select(call: Call) -> Step:
    projection = call.arguments[0]

    def step(items: Items, frame: Frame) -> Items:
        inner = frame.open()
        found: Items = []
        frame.environment.spend(len(items))
        for index, item in enumerate(items):
            inner.this = [item]
            inner.index = index
            answer = projection(inner)
            if len(answer) > SMALL:
                frame.environment.spend(len(answer))
            found += answer
        return found

    return step


def _exists(call: Call) -> Step:
    if not call.arguments:
        return lambda items, _: [bool(items)]
    where = _where(call)
    return lambda items, frame: [bool(where(items, frame))]


def _all(items: Items, call: Call, frame: Frame) -> Items:
    answers = each(items, frame, call.arguments[0])
    return [all(take_truth(answer, call.place) is True for _, answer in answers)]


def _read_booleans(items: Items, place: Place) -> list[bool]:
    return [value for item in items if (value := take_boolean([item], place)) is not None]


def _all_true(items: Items, call: Call, frame: Frame) -> Items:
    del frame
    return [all(_read_booleans(items, call.place))]


def _any_true(items: Items, call: Call, frame: Frame) -> Items:
    del frame
    return [any(_read_booleans(items, call.place))]


def _all_false(items: Items, call: Call, frame: Frame) -> Items:
    del frame
    return [not any(_read_booleans(items, call.place))]


def _any_false(items: Items, call: Call, frame: Frame) -> Items:
    del frame
    return [not all(_read_booleans(items, call.place))]


def _is_within(small: Items, large: Items, frame: Frame) -> bool:
    frame.environment.spend(len(small) + len(large))
    seen = Seen(frame.environment.spend, large)
    return all(seen.has(item) for item in small)


def _subset_of(items: Items, call: Call, frame: Frame) -> Items:
    return [_is_within(items, call.arguments[0](frame), frame)]


def _superset_of(items: Items, call: Call, frame: Frame) -> Items:
    return [_is_within(call.arguments[0](frame), items, frame)]


def _distinct(items: Items, frame: Frame) -> Items:
    return keep_distinct(items, frame)


def _is_distinct(items: Items, frame: Frame) -> Items:
    return [len(keep_distinct(items, frame)) == len(items)]


def _repeat(items: Items, call: Call, frame: Frame) -> Items:
    """Project again and again what came out, each thing once: so a circle ends."""
    seen, found = Seen(frame.environment.spend), []
    level = items
    while level:
        answers = each(level, frame, call.arguments[0])
        level = [item for _, answer in answers for item in answer if seen.add(item)]
        found += level
    return found


def _repeat_all(items: Items, call: Call, frame: Frame) -> Items:
    found: Items = []
    level = items
    while level:
        answers = [answer for _, answer in each(level, frame, call.arguments[0])]
        frame.environment.spend(sum(map(len, answers)) + 1)
        level = [item for answer in answers for item in answer]
        found += level
    return found


def _single(items: Items, call: Call, frame: Frame) -> Items:
    del frame
    if len(items) > 1:
        call.place.refuse("several items stand where one is expected")
    return items


def _skip(items: Items, call: Call, frame: Frame) -> Items:
    count = take_integer(call.arguments[0](frame), call.place)
    return [] if count is None else items[max(count, 0) :]


def _take(items: Items, call: Call, frame: Frame) -> Items:
    count = take_integer(call.arguments[0](frame), call.place)
    return [] if count is None else items[: max(count, 0)]


def _intersect(items: Items, call: Call, frame: Frame) -> Items:
    other = Seen(frame.environment.spend, call.arguments[0](frame))
    return [item for item in keep_distinct(items, frame) if other.has(item)]


def _exclude(items: Items, call: Call, frame: Frame) -> Items:
    excluded = call.arguments[0](frame)
    other = Seen(frame.environment.spend, excluded)
    frame.environment.spend(len(items) + len(excluded))
    return [item for item in items if not other.has(item)]


def _union(items: Items, call: Call, frame: Frame) -> Items:
    return keep_distinct(items + call.arguments[0](frame), frame)


def _combine(items: Items, call: Call, frame: Frame) -> Items:
    other = call.arguments[0](frame)
    frame.environment.spend(len(items) + len(other))
    return items + other


def _iif(call: Call) -> Step:
    place = call.place
    criterion, then = call.arguments[0], call.arguments[1]
    otherwise = call.arguments[2] if len(call.arguments) > 2 else None  # noqa: PLR2004  the third

    def step(items: Items, frame: Frame) -> Items:
        if len(items) > 1:
            place.refuse("several items stand where one is expected")
        inner = frame.open()
        inner.this = items
        if take_boolean(criterion(inner), place):
            return then(inner)
        return [] if otherwise is None else otherwise(inner)

    return step


def _aggregate(items: Items, call: Call, frame: Frame) -> Items:
    inner = frame.open()
    inner.total = call.arguments[1](frame) if len(call.arguments) > 1 else []
    frame.environment.spend(len(items))
    for index, item in enumerate(items):
        inner.this = [item]
        inner.index = index
        inner.total = call.arguments[0](inner)
    return inner.total


def _sort(items: Items, call: Call, frame: Frame) -> Items:
    """Put items in the order of some keys; `-` before a key turns it round, what has no key comes first."""
    found = list(items)
    # Python compares about as often as this, and each time in a closure of ours.
    frame.environment.spend(len(items) * len(items).bit_length() * max(1, len(call.arguments)))
    for run, written in reversed([*zip(call.arguments, call.written, strict=True)]):
        is_turned = isinstance(written, Unary) and written.operator == "-"
        keyed = each(found, frame, run)
        found = _order_by(
            [(item, _take_key(key, call.place)) for item, key in keyed], call.place, is_turned
        )
    if not call.arguments:
        found = _order_by([(item, to_value(item)) for item in found], call.place, is_turned=False)
    return found


def _take_key(key: Items, place: Place) -> Item | None:
    if len(key) > 1:
        place.refuse("several items stand where one is expected")
    return to_value(key[0]) if key else None


def _order_by(keyed: list[tuple[Item, Item | None]], place: Place, is_turned: bool) -> Items:  # noqa: FBT001
    def compare(one: tuple[Item, Item | None], other: tuple[Item, Item | None]) -> int:
        left, right = one[1], other[1]
        if left is None or right is None:
            return (left is not None) - (right is not None)
        try:
            answer = order(left, right) or 0
        except TypeError:
            place.refuse("values that have no order")
        return -answer if is_turned else answer

    return [item for item, _ in sorted(keyed, key=functools.cmp_to_key(compare))]


def _give_argument(call: Call) -> Types:
    return call.argument_types[0]


def _give_both(call: Call) -> Types:
    """Say that items of both collections come out."""
    if call.types is None or call.argument_types[0] is None:
        return None
    return tuple(dict.fromkeys(call.types + call.argument_types[0]))


def _give_branches(call: Call) -> Types:
    found: tuple[str, ...] = ()
    for types in call.argument_types[1:]:
        if types is None:
            return None
        found += types
    return tuple(dict.fromkeys(found))


def _first(items: Items, frame: Frame) -> Items:
    del frame
    return items[:1]


def _last(items: Items, frame: Frame) -> Items:
    del frame
    return items[-1:]


def _tail(items: Items, frame: Frame) -> Items:
    if len(items) > SMALL:
        frame.environment.spend(len(items))
    return items[1:]


def _count(items: Items, frame: Frame) -> Items:
    del frame
    return [len(items)]


def _empty(items: Items, frame: Frame) -> Items:
    del frame
    return [not items]


_TRUTH: Final = always(BOOLEAN)

COLLECTIONS: Final[dict[str, Function]] = {
    "empty": plain(_empty, gives=_TRUTH),
    "exists": Function(make=_exists, most=1, gives=_TRUTH, focus="item"),
    "all": on_items(_all, gives=_TRUTH, least=1, focus="item"),
    "allTrue": on_items(_all_true, gives=_TRUTH),
    "anyTrue": on_items(_any_true, gives=_TRUTH),
    "allFalse": on_items(_all_false, gives=_TRUTH),
    "anyFalse": on_items(_any_false, gives=_TRUTH),
    "subsetOf": on_items(_subset_of, gives=_TRUTH, least=1),
    "supersetOf": on_items(_superset_of, gives=_TRUTH, least=1),
    "count": plain(_count, gives=always(INTEGER)),
    "distinct": plain(_distinct, gives=keep_types),
    "isDistinct": plain(_is_distinct, gives=_TRUTH),
    "where": Function(make=_where, least=1, most=1, gives=keep_types, focus="item"),
    "select": Function(make=_select, least=1, most=1, gives=_give_argument, focus="item"),
    "repeat": on_items(_repeat, least=1, focus="deep"),
    "repeatAll": on_items(_repeat_all, least=1, focus="deep"),
    "single": on_items(_single, gives=keep_types),
    "first": plain(_first, gives=keep_types),
    "last": plain(_last, gives=keep_types),
    "tail": plain(_tail, gives=keep_types),
    "skip": on_items(_skip, gives=keep_types, least=1),
    "take": on_items(_take, gives=keep_types, least=1),
    "intersect": on_items(_intersect, gives=keep_types, least=1),
    "exclude": on_items(_exclude, gives=keep_types, least=1),
    "union": on_items(_union, gives=_give_both, least=1),
    "combine": on_items(_combine, gives=_give_both, least=1, most=2),
    "iif": Function(make=_iif, least=2, most=3, gives=_give_branches, focus="whole"),
    "aggregate": on_items(_aggregate, least=1, most=2, focus="item"),
    "sort": on_items(_sort, gives=keep_types, least=0, most=8, focus="key"),
}
