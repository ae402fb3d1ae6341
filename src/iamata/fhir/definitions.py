"""What FHIR R4 (4.0.1) defines: types and their elements, required codes, search parameters, compartments.

The facts lie in `tables/r4.json`, written from the official package by scripts/make_fhir_definitions.py
and read once, when somebody first asks. What they are used for stands elsewhere.
"""

import enum
import functools
from collections.abc import Mapping
from importlib import resources
from typing import Final

import msgspec

TABLE: Final = "r4.json"


class Kind(enum.StrEnum):
    """What a type is a type of."""

    PRIMITIVE = "primitive"
    """A single value: a JSON string, number or boolean."""
    COMPLEX = "complex"
    """A data type with elements, such as `HumanName`."""
    BACKBONE = "backbone"
    """The unnamed type of an element with elements of its own, called by its path: `Patient.contact`."""
    RESOURCE = "resource"


class Element(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One element of a type."""

    name: str
    """Without the `[x]` of a choice."""
    types: tuple[str, ...]
    """The types that a value may have: one, or several where it is a choice."""
    min: int = 0
    max: int | None = 1
    """1, or None for any number: then JSON has a list."""
    is_choice: bool = False
    """Whether JSON spells the type after the name: `valueQuantity`."""
    targets: tuple[str, ...] = ()
    """The resource types to which a Reference may point; none where it may point to any."""
    codes: str = ""
    """The value set of a required binding whose codes are known; `list_codes` has them."""

    @property
    def is_list(self) -> bool:
        """Tell whether the element may stand more than once."""
        return self.max is None

    def spell_names(self) -> dict[str, str]:
        """Map each name under which the element may stand in JSON to the type that it then has."""
        if not self.is_choice:
            return {self.name: self.types[0]}
        return {f"{self.name}{name[0].upper()}{name[1:]}": name for name in self.types}


class Type(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A type, its elements in their order, those of its base first."""

    name: str
    kind: Kind
    base: str = ""
    """The type that this one specialises; empty for `Element` and `Resource`."""
    is_abstract: bool = False
    elements: tuple[Element, ...] = ()

    def find_element(self, name: str) -> Element | None:
        """Find an element by its name, without the type of a choice."""
        return next((element for element in self.elements if element.name == name), None)


class SearchParameter(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A search parameter of one resource type."""

    code: str
    type: str
    """`token`, `reference`, `string`, `date`, `composite`, `uri`, `quantity`, `number` or `special`."""
    expression: str = ""
    """FHIRPath on the resource; empty where the specification says in words what is searched."""
    targets: tuple[str, ...] = ()
    """The resource types to which a reference may point."""
    components: tuple[tuple[str, str], ...] = ()
    """The parts of a composite: another parameter's code, and FHIRPath on what `expression` finds."""


class Table(msgspec.Struct, frozen=True):
    """The table as it lies in its file: a type has only the elements that its base has not."""

    version: str
    types: dict[str, Type]
    codes: dict[str, dict[str, tuple[str, ...]]]
    """Value set, system, codes."""
    parameters: dict[str, tuple[SearchParameter, ...]]
    """By resource type; those of all resources stand at `Resource` and `DomainResource`."""
    compartments: dict[str, dict[str, tuple[str, ...]]]
    """Compartment, resource type, codes of search parameters."""


def find_type(name: str) -> Type | None:
    """Find a type with all its elements; a type of a backbone element is called by its path."""
    return get_type(name) if name in _read_table().types else None


@functools.cache
def get_type(name: str) -> Type:
    """Return a type that must be there, because the table itself names it."""
    found = _read_table().types[name]
    if not found.base:
        return found
    return msgspec.structs.replace(found, elements=get_type(found.base).elements + found.elements)


def list_types() -> tuple[str, ...]:
    """List all types: primitives, complex types, resources, those of backbone elements, abstract ones."""
    return tuple(_read_table().types)


def is_kind_of(name: str, ancestor: str) -> bool:
    """Tell whether a type is another one or specialises it, directly or not."""
    types = _read_table().types
    while name != ancestor and name in types:
        name = types[name].base
    return name == ancestor


def is_resource_type(name: str) -> bool:
    """Tell whether a resource can be of this type."""
    return name in _list_resource_types()


def list_resource_types() -> tuple[str, ...]:
    """List the types that a resource can have, in order."""
    return tuple(_list_resource_types())


def list_codes(value_set: str) -> Mapping[str, tuple[str, ...]]:
    """List the codes of a required binding's value set, by their system."""
    return _read_table().codes[value_set]


@functools.cache
def list_parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """List a resource type's search parameters by code, those of every resource included."""
    known = _read_table()
    inherited = list_parameters(known.types[resource_type].base) if known.types[resource_type].base else {}
    return {**inherited, **{one.code: one for one in known.parameters.get(resource_type, ())}}


def get_compartment(name: str) -> Mapping[str, tuple[str, ...]]:
    """Map each resource type of a compartment (`Patient`) to the parameters that confer membership."""
    return _read_table().compartments[name]


@functools.cache
def _list_resource_types() -> dict[str, None]:
    types = _read_table().types.values()
    return {one.name: None for one in types if one.kind is Kind.RESOURCE and not one.is_abstract}


@functools.cache
def _read_table() -> Table:
    content = resources.files("iamata.fhir.tables").joinpath(TABLE).read_bytes()
    return msgspec.json.decode(content, type=Table)
