"""Plant one error in a valid resource, and say at which path a validator must name it.

Each kind of error knows from the definitions where it fits. The paths are FHIRPath, as people write it:
`Observation.value.ofType(Quantity).unit`.
"""

import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

from iamata.fhir.definitions import Element, Kind, get_type, list_resource_types

Node = dict[str, Any]
TEXTS: Final = ("string", "markdown", "code", "uri", "url", "canonical", "id", "dateTime", "date", "xhtml")


class Place(NamedTuple):
    """One value of an element of a resource: what holds it, and where."""

    node: Node
    key: str
    at: int | None
    """Its place in a list; None where the element stands once."""
    path: str
    element: Element
    kind: str
    """The type that the value has here."""
    owner: str
    """The type of what holds it."""

    @property
    def value(self) -> Any:
        held = self.node[self.key]
        return held if self.at is None else held[self.at]

    @property
    def whole_path(self) -> str:
        """Where all values of the element stand."""
        return self.path if self.at is None else self.path.rpartition("[")[0]

    @property
    def is_primitive(self) -> bool:
        return get_type(self.kind).kind is Kind.PRIMITIVE

    def put(self, value: object) -> str:
        """Put another value there, and return the path."""
        if self.at is None:
            self.node[self.key] = value
        else:
            self.node[self.key][self.at] = value
        return self.path


Plant = Callable[[Place], str | None]
"""Plants an error and returns its path, or None where this kind of error does not fit."""


def find_places(node: Node, type_name: str, path: str) -> Iterator[Place]:
    """List every value in a valid resource, those of values with elements before what is in them."""
    for element in get_type(type_name).elements:
        for key, kind in element.spell_names().items():
            if key in node:
                spelled = f"{element.name}.ofType({kind})" if element.is_choice else key
                held = node[key]
                for index, value in enumerate(held) if element.is_list else [(None, held)]:
                    here = f"{path}.{spelled}" + ("" if index is None else f"[{index}]")
                    yield Place(node, key, index, here, element, kind, type_name)
                    if isinstance(value, dict):
                        inner = value["resourceType"] if kind == "Resource" else kind
                        yield from find_places(value, inner, here)


def plant(resource: Node, kind: str, chance: random.Random) -> str | None:
    """Plant one error of a kind somewhere in a resource; None where it fits nowhere."""
    places = list(find_places(resource, resource["resourceType"], resource["resourceType"]))
    chance.shuffle(places)
    return next((path for place in places if (path := KINDS[kind](place)) is not None), None)


def _add_unknown(place: Place) -> str | None:
    if not isinstance(place.value, dict):
        return None
    place.value["inventedElement"] = "x"
    return f"{place.path}.inventedElement"


def _rename(place: Place) -> str:
    holder = place.whole_path.removesuffix(f".ofType({place.kind})").rpartition(".")[0]
    place.node[f"{place.key}Xx"] = place.node.pop(place.key)
    return f"{holder}.{place.key}Xx"


def _make_number_of_text(place: Place) -> str | None:
    return place.put(17) if place.kind in TEXTS else None


def _make_text_of_object(place: Place) -> str | None:
    return None if place.is_primitive else place.put("text")


def _make_text_of_number(place: Place) -> str | None:
    is_plain = place.kind in {"boolean", "decimal", "integer", "positiveInt", "unsignedInt"}
    return place.put(str(place.value)) if is_plain else None


def _wrap(place: Place) -> str | None:
    return place.put([place.value]) if place.at is None else None


def _unwrap(place: Place) -> str | None:
    if place.at is None:
        return None
    place.node[place.key] = place.value
    return place.whole_path


def _drop_required(place: Place) -> str | None:
    if not place.element.min or place.kind == "Resource":
        return None
    for key in place.element.spell_names():
        place.node.pop(key, None)
        place.node.pop(f"_{key}", None)
    return place.whole_path.removesuffix(f".ofType({place.kind})")


def _empty_text(place: Place) -> str | None:
    return place.put("") if isinstance(place.value, str) else None


def _empty_object(place: Place) -> str | None:
    return place.put({}) if isinstance(place.value, dict) and place.kind != "Resource" else None


def _empty_list(place: Place) -> str | None:
    if place.at is None:
        return None
    place.node[place.key] = []
    place.node.pop(f"_{place.key}", None)
    return place.whole_path


def _put_null(place: Place) -> str | None:
    return None if f"_{place.key}" in place.node else place.put(None)


def _misdate(place: Place) -> str | None:
    wrong = {
        "date": "2023-02-29",
        "dateTime": "2023-02-03T04:05:06",
        "instant": "2023-02-03",
        "time": "24:00:00",
    }
    return place.put(wrong[place.kind]) if place.kind in wrong else None


def _miscount(place: Place) -> str | None:
    wrong = {"integer": 2**31, "positiveInt": 0, "unsignedInt": -1}
    return place.put(wrong[place.kind]) if place.kind in wrong else None


def _put_fraction(place: Place) -> str | None:
    return place.put(Decimal("1.0")) if place.kind in {"integer", "positiveInt", "unsignedInt"} else None


def _misspell(place: Place) -> str | None:
    wrong = {
        "base64Binary": "a===",
        "canonical": "http://a b",
        "code": " padded",
        "id": "under_score",
        "oid": "urn:oid:9.1",
        "uri": "http://a b",
        "url": "http://a b",
        "uuid": "urn:uuid:0",
        "xhtml": "no div",
    }
    is_bound = bool(place.element.codes)
    return place.put(wrong[place.kind]) if place.kind in wrong and not is_bound else None


def _miscode(place: Place) -> str | None:
    if not place.element.codes:
        return None
    if place.kind == "code":
        return place.put("no-such-code")
    return place.put({"coding": [{"system": "urn:none", "code": "no-such-code"}]})


def _misrefer(place: Place) -> str | None:
    if place.kind != "Reference" or not place.element.targets:
        return None
    wrong = next(name for name in list_resource_types() if name not in place.element.targets)
    place.value.pop("type", None)
    place.value["reference"] = f"{wrong}/1"
    return f"{place.path}.reference"


def _dangle(place: Place) -> str | None:
    if place.kind != "Reference":
        return None
    place.value["reference"] = "#nothing-has-this-id"
    return f"{place.path}.reference"


def _misspell_reference(place: Place) -> str | None:
    if place.kind != "Reference":
        return None
    place.value["reference"] = "Martian/1"
    return f"{place.path}.reference"


def _choose_twice(place: Place) -> str | None:
    if not place.element.is_choice or len(place.element.types) < 2:
        return None
    other = next(key for key in place.element.spell_names() if key != place.key)
    place.node[other] = place.value
    return place.path.removesuffix(f".ofType({place.kind})")


def _contain_twice(place: Place) -> str | None:
    if place.element.name != "contained":
        return None
    place.value["contained"] = [{"resourceType": "Basic", "id": "deeper"}]
    return f"{place.path}.contained"


def _mistype(place: Place) -> str | None:
    if place.kind != "Resource":
        return None
    place.value["resourceType"] = "Martian"
    return f"{place.path}.resourceType"


def _extend_twice(place: Place) -> str | None:
    if place.kind != "Extension":
        return None
    place.value.update({"extension": [{"url": "x", "valueBoolean": True}], "valueBoolean": True})
    return f"{place.path}.value"


def _extend_nothing(place: Place) -> str | None:
    if not place.is_primitive or place.element.name in {"id", "url"}:
        return None
    place.node[f"_{place.key}"] = {"id": "alone"} if place.at is None else [{"id": "alone"}]
    if place.at is not None:
        place.node[place.key] = [place.value]
        return f"{place.whole_path}[0]"
    return place.path


def _extend_unevenly(place: Place) -> str | None:
    if not place.is_primitive or place.at is None:
        return None
    count = len(place.node[place.key])
    place.node[f"_{place.key}"] = [None] * (count + 1)
    return f"{place.whole_path}[{count}]"


KINDS: Final[dict[str, Plant]] = {
    "an unknown element": _add_unknown,
    "a misspelt name": _rename,
    "a number for a text": _make_number_of_text,
    "a text for an object": _make_text_of_object,
    "a text for a number or truth": _make_text_of_number,
    "a list for one value": _wrap,
    "one value for a list": _unwrap,
    "a missing element": _drop_required,
    "an empty text": _empty_text,
    "an empty object": _empty_object,
    "an empty list": _empty_list,
    "null": _put_null,
    "a date of no calendar": _misdate,
    "a number out of range": _miscount,
    "a fraction for a whole number": _put_fraction,
    "a misspelt value": _misspell,
    "a code of no value set": _miscode,
    "a reference to another type": _misrefer,
    "a reference to nothing contained": _dangle,
    "a malformed reference": _misspell_reference,
    "two of a choice": _choose_twice,
    "a resource contained twice": _contain_twice,
    "an unknown type of resource": _mistype,
    "an extension with value and extensions": _extend_twice,
    "extensions that say nothing": _extend_nothing,
    "extensions of other values": _extend_unevenly,
}
