"""Checks of values with elements: which may stand there, which must, and which exclude each other."""

import re
from itertools import zip_longest
from typing import Final

import msgspec

from iamata.fhir.validation.findings import Check, Findings, gather, state
from iamata.fhir.validation.formats import IsText
from iamata.fhir.validation.issues import ISSUES_MAX, IssueType
from iamata.fhir.validation.references import Contained

_NO_OBJECT: Final = state(IssueType.STRUCTURE, "a JSON object is expected")
_NO_LIST: Final = state(IssueType.STRUCTURE, "a JSON list is expected, because the element may repeat")
_EMPTY_LIST: Final = state(IssueType.STRUCTURE, "a list must not be empty")
_EMPTY: Final = state(IssueType.INVARIANT, "an element must have a value or elements, besides its id")
_UNKNOWN: Final = state(IssueType.STRUCTURE, "there is no such element here")
_ABSENT: Final = state(IssueType.REQUIRED, "an element that must be there is missing")
_TOO_MANY: Final = state(IssueType.INVARIANT, "only one of these may stand at once")

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_NAMELESS: Final = ".(a name that no element has)"
"""Stands in paths for a key that may be anything, and so may be somebody's name."""


class Shape(msgspec.Struct, gc=False):
    """What may stand in an object, by the names under which it stands in JSON."""

    rules: dict[str, Check] = {}
    texts: dict[str, IsText] = {}
    """Of the elements that are one string, the test alone: most of what stands anywhere is strings."""
    values: dict[str, Check] = {}
    """The check of one value of each primitive element; what extends it stands under `_name`."""
    lists: dict[str, None] = {}
    """The primitive elements that may repeat."""
    paths: dict[str, str] = {}
    """How FHIRPath spells a name that is spelt otherwise: `value.ofType(Quantity)`."""
    required: list[tuple[str, str]] = []
    """What must stand there, each with the name of what may stand there instead: its extensions."""
    choices: dict[str, tuple[str, str]] = {}
    """Names that belong to a choice: the element, and which of its spellings this is."""
    required_choices: list[str] = []
    extensions: Check | None = None
    """The check of what extends a primitive: an object with an id and extensions."""


def make_object_check(shape: Shape) -> Check:
    """Make the check of a type whose shape may still be empty, because types contain each other."""
    find_text, find_rule, required, choices = (
        shape.texts.get,
        shape.rules.get,
        shape.required,
        shape.choices,
    )

    def check_object(node: object, contained: Contained) -> Findings | None:
        if type(node) is not dict:
            return _NO_OBJECT
        found: Findings | None = None
        for name, value in node.items():
            bad: Findings | None = None
            if type(value) is str:
                is_text = find_text(name)
                if is_text is not None and is_text(value):
                    continue
            elif (rule := find_rule(name)) is not None:
                bad = rule(value, contained)
                if bad is None:
                    continue
            bad = _explain(node, name, shape, contained, bad)
            if bad is not None:
                found = gather(found, _spell(name, shape), bad)
        if len(node) <= 1 and (not node or "id" in node):
            found = gather(found, "", _EMPTY)
        return _check_presence(node, shape, found) if required or choices else found

    return check_object


def make_list_check(check_item: Check) -> Check:
    """Make the check of an element that may repeat."""

    def check_list(value: object, contained: Contained) -> Findings | None:
        if type(value) is not list:
            return _NO_LIST
        found = None if value else _EMPTY_LIST
        for index, item in enumerate(value):
            bad = check_item(item, contained)
            if bad is not None:
                found = gather(found, f"[{index}]", bad)
                if len(found) > ISSUES_MAX:
                    break
        return found

    return check_list


def _explain(
    node: dict[str, object], name: str, shape: Shape, contained: Contained, bad: Findings | None
) -> Findings | None:
    """Say what is wrong with a name and its value, if after a second look it is.

    What was found already is not looked for again: at each level that would double the work.
    """
    rule, value = shape.rules.get(name), node[name]
    if rule is None:
        return _check_beside(node, name, shape, contained)
    if f"_{name}" in node and name in shape.lists:
        return _check_extended_list(value, shape.values[name], contained)
    return bad or rule(value, contained)


def _check_presence(node: dict[str, object], shape: Shape, found: Findings | None) -> Findings | None:
    """Check that what must stand there does, and of each choice one spelling at most."""
    for name, instead in shape.required:
        if name not in node and instead not in node:
            found = gather(found, f".{name}", _ABSENT)
    if not shape.choices:
        return found
    seen: dict[str, str] = {}
    for name in node:
        if name in shape.choices:
            element, spelling = shape.choices[name]
            if seen.setdefault(element, spelling) != spelling:
                found = gather(found, f".{element}", _TOO_MANY)
    for element in shape.required_choices:
        if element not in seen:
            found = gather(found, f".{element}", _ABSENT)
    return found


def _check_beside(
    node: dict[str, object], name: str, shape: Shape, contained: Contained
) -> Findings | None:
    """Check a name that no element has: it may be what extends a primitive.

    Where the primitive may repeat, both are lists, and null stands where only the other says something.
    Nulls at the end of either are often left out, which nobody can misunderstand.
    """
    primitive, value, check = name[1:], node[name], shape.extensions
    if name[:1] != "_" or primitive not in shape.values or check is None:
        return _UNKNOWN
    if primitive not in shape.lists:
        return check(value, contained)
    if type(value) is not list:
        return _NO_LIST
    values = node.get(primitive)
    pairs = zip_longest(value, values if type(values) is list else ())
    found: Findings | None = None
    for index, (extensions, item) in enumerate(pairs):
        bad = check(extensions, contained) if extensions is not None else None
        if extensions is None and item is None:
            bad = _EMPTY
        if bad is not None:
            found = gather(found, f"[{index}]", bad)
    return found


def _check_extended_list(value: object, check_value: Check, contained: Contained) -> Findings | None:
    """Check a list of primitives in which null may stand for a value that has extensions only."""
    check_all = make_list_check(lambda item, local: None if item is None else check_value(item, local))
    return check_all(value, contained)


def _spell(name: str, shape: Shape) -> str:
    """Spell a name as FHIRPath does; one that cannot be an element's is not repeated."""
    element = name.removeprefix("_")
    spelled = shape.paths.get(element, element)
    return f".{spelled}" if _NAME.fullmatch(element) else _NAMELESS
