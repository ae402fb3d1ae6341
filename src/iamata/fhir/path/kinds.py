"""Types as an expression names them: `Patient`, `FHIR.string`, `System.Integer`."""

from collections.abc import Callable
from typing import Final

from iamata.fhir.definitions import find_type
from iamata.fhir.path.elements import SYSTEM_TYPES, Element, Item, get_node_type, get_type_name
from iamata.fhir.path.refusals import Place
from iamata.fhir.path.syntax import Chain, Expression, Member

_SYSTEM: Final = "System."
_FHIR: Final = "FHIR."
_SYSTEM_NAMES: Final = (*SYSTEM_TYPES.values(), "Any")

Matches = Callable[[Item], bool]


class KindSpec:
    """A type that an expression names: in FHIR, in System, or in both (Quantity)."""

    __slots__ = ("fhir", "system")

    def __init__(self, fhir: str | None, system: str | None) -> None:
        self.fhir = fhir
        self.system = system

    def matches(self, item: Item) -> bool:
        """Tell whether an item is of this type or of one that specialises it: `is`."""
        if type(item) is Element:
            return self.fhir is not None and item.type.is_kind_of(self.fhir)
        return self.system is not None and self.system in {get_type_name(item)[1], "Any"}

    def picks(self, item: Item) -> bool:
        """Tell whether an item is picked by `as` and `ofType`: a primitive must be just this type."""
        if type(item) is Element and item.type.is_primitive:
            return item.type.name == self.fhir
        return self.matches(item)

    def list_types(self) -> tuple[str, ...]:
        """Name the types for the checks before an evaluation."""
        names = (self.fhir, None if self.system is None else _SYSTEM + self.system)
        return tuple(name for name in names if name is not None)


def read_kind(name: str, place: Place) -> KindSpec:
    """Find the type that a name means, or refuse a name that means none."""
    if name.startswith(_SYSTEM):
        return KindSpec(None, name.removeprefix(_SYSTEM))
    bare = name.removeprefix(_FHIR)
    fhir = bare if find_type(bare) is not None else None
    system = bare if bare in _SYSTEM_NAMES and not name.startswith(_FHIR) else None
    if fhir is None and system is None:
        place.refuse_meaning(f"{bare[:64]} is no type of FHIR R4")
    return KindSpec(fhir, system)


def read_kind_argument(written: Expression, place: Place) -> KindSpec:
    """Read the type that stands as the argument of a function."""
    names: list[str] = []
    head = written.head if isinstance(written, Chain) else written
    steps = written.steps if isinstance(written, Chain) else ()
    for part in (head, *steps):
        if not isinstance(part, Member):
            place.refuse_meaning("the name of a type is expected")
        names.append(part.name)
    return read_kind(".".join(names), place)


def is_open(name: str) -> bool:
    """Tell whether the definitions cannot say what an element of this type has."""
    found = find_type(name)
    return found is None or found.is_abstract or name in {"Element", "BackboneElement"}


def has_value(name: str) -> bool:
    """Tell whether something of this type can be a value of FHIRPath's own types."""
    return name.startswith(_SYSTEM) or is_open(name) or get_node_type(name).convert is not None
