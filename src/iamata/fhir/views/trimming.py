"""Which elements of a resource a view looks at: the others need not be read from its bytes."""

from collections.abc import Iterable, Iterator
from typing import Final

from iamata.fhir.definitions import get_type
from iamata.fhir.path.functions.catalogue import FUNCTIONS
from iamata.fhir.path.syntax import (
    Binary,
    Chain,
    Expression,
    Function,
    Index,
    Literal,
    Member,
    Special,
    TypeTest,
    Unary,
    Variable,
)

_ALWAYS: Final = ("resourceType", "id", "extension")
_WHOLE: Final = ("children", "descendants", "repeat", "repeatAll", "resolve", "conformsTo")
"""Functions that may reach any element."""
_CONTEXTS: Final = ("resource", "rootResource", "context")

ANYTHING: Final = "*"
"""Stands for elements that are not named."""


def find_keys(paths: Iterable[Expression], resource_type: str) -> tuple[str, ...] | None:
    """List the keys under which a resource has what some paths look at; None where that may be anything.

    Every name in a path counts, wherever it stands: a few elements too many do no harm.
    """
    names = {name: None for path in paths for name in _list_names(path, is_top=True)}
    if ANYTHING in names:
        return None
    keys = dict.fromkeys(_ALWAYS)
    for element in get_type(resource_type).elements:
        if element.name in names:
            keys.update(dict.fromkeys(element.spell_names()))
    return tuple(one for key in keys for one in (key, f"_{key}"))


def _list_names(  # noqa: C901  one for each kind of node
    node: Expression | Index, *, is_top: bool, is_step: bool = False
) -> Iterator[str]:
    """List the names in a part; `is_top` where `$this` is the resource there."""
    match node:
        case Literal():
            return
        case Member():
            yield node.name
        case Variable():
            yield ANYTHING if node.name in _CONTEXTS else ""
        case Special():
            yield ANYTHING if is_top else ""
        case Index():
            yield from _list_names(node.position, is_top=is_top)
        case Function():
            yield ANYTHING if node.name in _WHOLE else ""
            is_inside = is_step and node.name in FUNCTIONS and FUNCTIONS[node.name].focus != "outer"
            for argument in node.arguments:
                yield from _list_names(argument, is_top=is_top and not is_inside)
        case Unary() | TypeTest():
            yield from _list_names(node.operand, is_top=is_top)
        case Binary():
            yield from _list_names(node.left, is_top=is_top)
            yield from _list_names(node.right, is_top=is_top)
        case Chain():
            is_named = isinstance(node.head, Special) and isinstance(node.steps[0], Member)
            yield from _list_names(node.head, is_top=is_top and not is_named)
            for step in node.steps:
                yield from _list_names(step, is_top=is_top, is_step=True)
