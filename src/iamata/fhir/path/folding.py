"""Find the parts of an expression that no resource can change; they are worked out only once."""

from typing import Final

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
)

_CHANGING: Final = ("now", "today", "timeOfDay", "resolve", "defineVariable")
"""Functions whose answer depends on more than their input."""
_OWN_FOCUS: Final = ("item", "whole", "key", "deep")
"""Arguments in which `$this` is the function's own input."""


def is_constant(  # noqa: PLR0911  one for each kind of node
    node: Expression, *, is_bound: bool = False
) -> bool:
    """Tell whether a part means the same for every resource; bound, `$this` is a constant too."""
    match node:
        case Literal():
            return True
        case Member() | Special():
            return is_bound
        case Function():
            return is_bound and _is_constant_step(node, is_bound=is_bound)
        case Unary() | TypeTest():
            return is_constant(node.operand, is_bound=is_bound)
        case Binary():
            return is_constant(node.left, is_bound=is_bound) and is_constant(node.right, is_bound=is_bound)
        case Chain():
            return is_constant(node.head, is_bound=is_bound) and all(
                _is_constant_step(step, is_bound=is_bound) for step in node.steps
            )
    return False


def _is_constant_step(step: Member | Function | Index, *, is_bound: bool) -> bool:
    if isinstance(step, Member):
        return True
    if isinstance(step, Index):
        return is_constant(step.position, is_bound=is_bound)
    function = FUNCTIONS.get(step.name)
    if function is None or step.name in _CHANGING:
        return False
    if function.focus == "type":
        return True
    within = is_bound or function.focus in _OWN_FOCUS
    return all(is_constant(one, is_bound=within) for one in step.arguments)
