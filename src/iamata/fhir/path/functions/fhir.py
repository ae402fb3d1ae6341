"""What FHIR and SQL-on-FHIR add to FHIRPath (FHIR R4, 2.9; SQL-on-FHIR 2)."""

import re
from collections.abc import Mapping
from typing import Final

from iamata.fhir.definitions import find_type, list_codes
from iamata.fhir.path.elements import Element, Item, find_children, make_element, to_value
from iamata.fhir.path.evaluation import SMALL, Environment, Frame, Items, Step
from iamata.fhir.path.functions.calls import BOOLEAN, STRING, Call, Function, always, on_items
from iamata.fhir.path.kinds import read_kind_argument
from iamata.fhir.path.refusals import Place
from iamata.fhir.path.singles import take_item, take_string

STRUCTURE: Final = "http://hl7.org/fhir/StructureDefinition/"
VALUE_SET: Final = "http://hl7.org/fhir/ValueSet/"
_RELATIVE: Final = re.compile(
    r"([A-Z][A-Za-z]{0,63}/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?"
)


def _extension(items: Items, call: Call, frame: Frame) -> Items:
    url = take_string(call.arguments[0](frame), call.place)
    found: Items = []
    for item in items:
        extensions = find_children(item, "extension") if type(item) is Element else []
        frame.environment.spend(1 + len(extensions))
        found += [
            one
            for one in extensions
            if type(one) is Element and type(one.value) is dict and one.value.get("url") == url
        ]
    return found


def has_value(item: Item) -> bool:
    """Tell whether an item is a primitive with a value, and not only with extensions."""
    return type(item) is not Element or (item.type.is_primitive and item.value is not None)


def _has_value(items: Items, call: Call, frame: Frame) -> Items:
    del call, frame
    return [len(items) == 1 and has_value(items[0])]


def _get_value(items: Items, call: Call, frame: Frame) -> Items:
    del call, frame
    return [to_value(items[0])] if len(items) == 1 and has_value(items[0]) else []


def _resolve(items: Items, call: Call, frame: Frame) -> Items:
    """Follow references; what they point to and nobody here has is left out."""
    del call
    found: Items = []
    frame.environment.spend(len(items))
    for item in items:
        literal = find_literal(item)
        target = None if literal is None else find_target(literal, frame.environment)
        if target is not None:
            found.append(target)
    return found


def find_target(literal: str, environment: Environment) -> Element | None:
    """Find what a reference points to: contained, in the same bundle, or where the caller looks."""
    root = environment.root
    if literal.startswith("#"):
        found = root if literal == "#" else _find_contained(root, literal[1:])
    else:
        found = _find_entry(root, literal, environment)
    elsewhere = environment.resolve_elsewhere
    return found if found is not None or elsewhere is None else elsewhere(literal)


def _find_contained(root: Element, name: str) -> Element | None:
    for one in find_children(root, "contained"):
        if type(one) is Element and type(one.value) is dict and one.value.get("id") == name:
            return one
    return None


def _find_entry(root: Element, literal: str, environment: Environment) -> Element | None:
    if root.type.name != "Bundle":
        return None
    entries = find_children(root, "entry")
    environment.spend(len(entries))
    for entry in entries:
        value = entry.value if type(entry) is Element and type(entry.value) is dict else {}
        resource = value.get("resource")
        if type(resource) is dict:
            local = f"{resource.get('resourceType')}/{resource.get('id')}"
            if literal in {value.get("fullUrl"), local}:
                return make_element(resource)
    return None


def find_literal(item: Item) -> str | None:
    """Find the literal reference in a Reference, or in a string that is one."""
    value = (
        item.value.get("reference")
        if type(item) is Element and type(item.value) is dict
        else to_value(item)
    )
    return value if type(value) is str else None


def _member_of(items: Items, call: Call, frame: Frame) -> Items:
    item = take_item(items, call.place)
    url = take_string(call.arguments[0](frame), call.place)
    if item is None or url is None:
        return []
    codes = _get_codes(url, call.place)
    return [any(_is_member(system, code, codes) for system, code in _list_codings(item))]


def _get_codes(url: str, place: Place) -> Mapping[str, tuple[str, ...]]:
    try:
        return list_codes(url.partition("|")[0].removeprefix(VALUE_SET))
    except KeyError:
        place.refuse("the codes of this value set are not known here")


def _is_member(system: str | None, code: str, codes: Mapping[str, tuple[str, ...]]) -> bool:
    if system is not None:
        return code in codes.get(system, ())
    return any(code in known for known in codes.values())


def _list_codings(item: Item) -> list[tuple[str | None, str]]:
    if type(item) is Element and type(item.value) is dict:
        codings = item.value.get("coding") if item.type.name == "CodeableConcept" else [item.value]
        return [
            (str(one.get("system", "")), str(one.get("code", "")))
            for one in (codings if type(codings) is list else [])
            if type(one) is dict
        ]
    value = to_value(item)
    return [(None, value)] if type(value) is str else []


def _conforms_to(items: Items, call: Call, frame: Frame) -> Items:
    """Tell whether an item is what a definition of R4 itself describes; profiles are not known here."""
    item = take_item(items, call.place)
    url = take_string(call.arguments[0](frame), call.place)
    if item is None or url is None:
        return []
    name = url.removeprefix(STRUCTURE)
    if not url.startswith(STRUCTURE) or find_type(name) is None:
        call.place.refuse("the structure is not known here")
    return [type(item) is Element and item.type.is_kind_of(name)]


def _resource_key(items: Items, call: Call, frame: Frame) -> Items:
    """Return `Type/id`: the same as a reference to the resource has."""
    del call, frame
    return [
        f"{item.type.name}/{item.value['id']}"
        for item in items
        if type(item) is Element
        and item.type.is_resource
        and type(item.value) is dict
        and type(item.value.get("id")) is str
    ]


def _reference_key(call: Call) -> Step:
    wanted = read_kind_argument(call.written[0], call.place).fhir if call.written else None

    def step(items: Items, frame: Frame) -> Items:
        if len(items) > SMALL:
            frame.environment.spend(len(items))
        keys = [find_reference_key(literal, wanted) for item in items if (literal := find_literal(item))]
        return [key for key in keys if key is not None]

    return step


def find_reference_key(literal: str, wanted: str | None) -> str | None:
    """Find the key of what a reference points to: `Type/id`, or as it stands where it leads elsewhere."""
    match = _RELATIVE.fullmatch(literal)
    if match is not None:
        return match[1] if wanted is None or match[1].startswith(f"{wanted}/") else None
    if literal.startswith("#") or (wanted is not None and f"/{wanted}/" not in literal):
        return None
    return literal


FHIR: Final[dict[str, Function]] = {
    "extension": on_items(_extension, gives=always(("Extension",)), least=1),
    "hasValue": on_items(_has_value, gives=always(BOOLEAN)),
    "getValue": on_items(_get_value),
    "resolve": on_items(_resolve),
    "memberOf": on_items(_member_of, gives=always(BOOLEAN), least=1),
    "conformsTo": on_items(_conforms_to, gives=always(BOOLEAN), least=1),
    "getResourceKey": on_items(_resource_key, gives=always(STRING)),
    "getReferenceKey": Function(make=_reference_key, most=1, gives=always(STRING), focus="type"),
}
