"""How a function is declared: what it takes, what it gives, and how a call of it becomes a closure."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from iamata.fhir.path.elements import Item
from iamata.fhir.path.evaluation import SMALL, Frame, Items, Run, Step, Types
from iamata.fhir.path.refusals import STRING_CHARS_MAX, Place
from iamata.fhir.path.singles import (
    take_boolean,
    take_decimal,
    take_integer,
    take_item,
    take_quantity,
    take_string,
    take_value,
)
from iamata.fhir.path.syntax import Expression

Take: TypeAlias = Callable[[Items, Place], Any]
"""How an operand is taken from a collection."""

BOOLEAN: Final = ("System.Boolean",)
INTEGER: Final = ("System.Integer",)
DECIMAL: Final = ("System.Decimal",)
STRING: Final = ("System.String",)
NUMBER: Final = ("System.Integer", "System.Decimal")

TAKES: Final[dict[str, Take]] = {
    "boolean": take_boolean,
    "string": take_string,
    "integer": take_integer,
    "number": take_decimal,
    "quantity": take_quantity,
    "value": take_value,
    "item": take_item,
}
CHARS_A_STEP: Final = 64
TOO_LONG: Final = object()
"""What a function of values returns instead of a string that would be too long to make."""


class Call(msgspec.Struct, frozen=True):
    """One call in an expression."""

    name: str
    place: Place
    types: Types
    """What the call's input can be."""
    arguments: tuple[Run, ...]
    argument_types: tuple[Types, ...]
    written: tuple[Expression, ...]
    """The arguments as they are written."""


Make: TypeAlias = Callable[[Call], Step]


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function: how many arguments it takes, what comes out, and what makes its closure."""

    make: Make
    least: int = 0
    most: int = 0
    gives: Callable[[Call], Types]
    focus: str = "outer"
    """What `$this` is in its arguments: what it is outside, each `item` of the input, or all of it."""
    takes: str = "items"
    """What the input must be able to be."""


def keep_types(call: Call) -> Types:
    """Say that what comes out is of the types that went in."""
    return call.types


def know_nothing(call: Call) -> Types:
    """Say that anything may come out."""
    del call
    return None


def always(types: Types) -> Callable[[Call], Types]:
    """Say that the same types come out of every call."""
    return lambda _: types


def on_items(
    function: Callable[[Items, Call, Frame], Items],
    *,
    gives: Callable[[Call], Types] = know_nothing,
    least: int = 0,
    most: int | None = None,
    focus: str = "outer",
) -> Function:
    """Declare a function over a whole collection, which evaluates its arguments itself."""

    def make(call: Call) -> Step:
        def step(items: Items, frame: Frame) -> Items:
            if len(items) > SMALL:
                frame.environment.spend(len(items))
            return function(items, call, frame)

        return step

    return Function(make=make, least=least, most=least if most is None else most, gives=gives, focus=focus)


def plain(step: Step, *, gives: Callable[[Call], Types] = know_nothing) -> Function:
    """Declare a function without arguments, which looks at nothing but its input."""
    return Function(make=lambda _: step, gives=gives)


def on_value(
    function: Callable[..., Any],
    takes: str,
    *arguments: str,
    gives: Types = None,
    optional: int = 0,
) -> Function:
    """Declare a function of single values: where one is missing, the result is empty.

    The function may return a value, a list, None for nothing, or TOO_LONG.
    """
    take, takers = TAKES[takes], tuple(TAKES[name] for name in arguments)

    def make(call: Call) -> Step:
        place, runs = call.place, call.arguments

        def step(items: Items, frame: Frame) -> Items:
            value = take(items, place)
            if type(value) is str:
                frame.environment.spend(len(value) // CHARS_A_STEP)
            values = [take_one(run(frame), place) for take_one, run in zip(takers, runs, strict=False)]
            if value is None or None in values:
                return []
            result = function(value, *values)
            return spend_result(result, frame)

        return step

    return Function(
        make=make,
        least=len(arguments) - optional,
        most=len(arguments),
        gives=always(gives),
        takes=takes,
    )


def spend_result(result: Any, frame: Frame) -> Items:  # noqa: ANN401  whatever a function of values gives
    """Make a collection of a result, and count what it costs."""
    if result is None:
        return []
    if result is TOO_LONG:
        refuse_length(frame)
    if type(result) is str:
        check_length(result, frame)
    elif type(result) is list:
        frame.environment.spend(len(result))
        return result
    return [result]


def check_length(text: str, frame: Frame) -> str:
    """Refuse a string that grew too long."""
    frame.environment.spend(len(text) // CHARS_A_STEP)
    if len(text) > STRING_CHARS_MAX:
        refuse_length(frame)
    return text


def refuse_length(frame: Frame) -> None:
    """Refuse a string that would grow too long: it costs more than there is."""
    frame.environment.spend(frame.environment.steps + 1)


def each(items: Items, frame: Frame, run: Run) -> list[tuple[Item, Items]]:
    """Evaluate an argument for each item, with `$this` and `$index` set."""
    inner = frame.open()
    frame.environment.spend(len(items))
    found: list[tuple[Item, Items]] = []
    for index, item in enumerate(items):
        inner.this = [item]
        inner.index = index
        found.append((item, run(inner)))
    return found
