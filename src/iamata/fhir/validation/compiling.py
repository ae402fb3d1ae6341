"""Turn the definitions of types into the functions that check values, once for all types.

A check returns None where nothing is wrong. The path of what is wrong is put together on the way up, so
that a value that is right costs no path.
"""

import functools
from collections.abc import Mapping
from typing import Final

from iamata.fhir.definitions import Element, Kind, get_type, list_codes, list_types
from iamata.fhir.validation.findings import Check, Findings, state
from iamata.fhir.validation.formats import TEXTS, IsText
from iamata.fhir.validation.issues import IssueType
from iamata.fhir.validation.objects import Shape, make_list_check, make_object_check
from iamata.fhir.validation.primitives import make_plain_check, make_text_check
from iamata.fhir.validation.special import (
    make_coded_check,
    make_contained_check,
    make_reference_check,
    make_resource_check,
)

_ELEMENT: Final = "Element"
_EXTENSION: Final = "Extension"
_RESOURCE: Final = "Resource"


@functools.cache
def compile_checks() -> Mapping[str, Check]:
    """Compile the checks of all types, by name; that of `Resource` looks for the type in the value."""
    checks: dict[str, Check] = {}
    shapes: dict[str, Shape] = {}
    for name in list_types():
        if name in TEXTS:
            checks[name] = make_text_check(*_expect_text(name))
        elif get_type(name).kind is Kind.PRIMITIVE:
            checks[name] = make_plain_check(name)
        else:
            shapes[name] = Shape()
            checks[name] = make_object_check(shapes[name])
    checks[_RESOURCE] = make_resource_check(checks)
    for name, shape in shapes.items():
        _fill(shape, name, checks)
    return checks


def _fill(shape: Shape, type_name: str, checks: Mapping[str, Check]) -> None:
    """Describe a type's elements, now that there is a check for every type that they may have."""
    definition, shape.extensions = get_type(type_name), checks[_ELEMENT]
    if definition.kind is Kind.RESOURCE:
        shape.texts["resourceType"] = type_name.__eq__
    for element in definition.elements:
        for name, kind in element.spell_names().items():
            _add(shape, element, name, kind, checks)
        if element.min and element.is_choice:
            shape.required_choices.append(element.name)
        elif element.min:
            shape.required.append((element.name, f"_{element.name}"))
    if type_name == _EXTENSION:
        # ext-1: a value or extensions, never both and never neither.
        shape.choices["extension"] = ("value", "extension")
        shape.required_choices.append("value")


def _add(shape: Shape, element: Element, name: str, kind: str, checks: Mapping[str, Check]) -> None:
    """Describe one name under which an element may stand."""
    check = checks[kind]
    if kind in TEXTS:
        is_text, wrong = _expect_text(kind, element.codes)
        check = make_text_check(is_text, wrong)
        if not element.is_list:
            shape.texts[name] = is_text
    elif kind == "Reference":
        check = make_reference_check(check, element.targets)
    elif element.codes and kind == "CodeableConcept":
        check = make_coded_check(check, _expect_code(element.codes), list_codes(element.codes))
    shape.rules[name] = make_list_check(check) if element.is_list else check
    if element.name == "contained":
        shape.rules[name] = make_contained_check(checks)
    if get_type(kind).kind is Kind.PRIMITIVE:
        shape.values[name] = check
        if element.is_list:
            shape.lists[name] = None
    if element.is_choice:
        shape.paths[name] = f"{element.name}.ofType({kind})"
        shape.choices[name] = shape.choices[f"_{name}"] = (element.name, name)


@functools.cache
def _expect_text(kind: str, codes: str = "") -> tuple[IsText, Findings]:
    """Return the test of a string and what to say of one that fails it."""
    if kind == "code" and codes:
        known = {code: None for listed in list_codes(codes).values() for code in listed}
        return known.__contains__, _expect_code(codes)
    is_text, expected = TEXTS[kind]
    return is_text, state(IssueType.VALUE, f"{expected} is expected")


def _expect_code(value_set: str) -> Findings:
    return state(IssueType.CODE, f"a code of the value set {value_set} is expected")
