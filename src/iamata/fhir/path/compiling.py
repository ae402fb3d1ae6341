"""Turn an expression's tree into closures, and find beforehand what cannot mean anything."""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias, TypeGuard

from iamata.fhir.path.elements import SYSTEM_TYPES, Child, Element, Item, get_node_type
from iamata.fhir.path.evaluation import Environment, Frame, Items, Run, Step, Types
from iamata.fhir.path.folding import is_constant
from iamata.fhir.path.functions.calls import Call, Function
from iamata.fhir.path.functions.catalogue import FUNCTIONS
from iamata.fhir.path.kinds import has_value, read_kind
from iamata.fhir.path.members import find_known, list_types, make_member, make_path
from iamata.fhir.path.operators import OPERATORS, affirm, negate
from iamata.fhir.path.refusals import FOLDING_STEPS_MAX, HEIGHT_MAX, Place, Source, Stage
from iamata.fhir.path.singles import take_integer, take_item
from iamata.fhir.path.syntax import (
    Binary,
    Chain,
    Expression,
    Index,
    Literal,
    Member,
    Special,
    TypeTest,
    Unary,
    Variable,
)
from iamata.fhir.path.syntax import Function as FunctionCall
from iamata.model.reasons import Refused

Part: TypeAlias = Member | FunctionCall | Index

_CONSTANTS: Final = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}
_PREFIXES: Final = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}
_SINGLE: Final = ("value", "string", "integer", "number", "quantity", "boolean")


class Compiled(NamedTuple):
    """A closure, the types that it can give, and what it gives where no resource changes that."""

    run: Run
    types: Types
    constant: Items | None = None


class Compiler:
    """One expression: its text, and the variables that may stand in it."""

    def __init__(self, source: Source, variables: Mapping[str, Types]) -> None:
        self._source = source
        self._variables = variables
        self._height = 0
        self._defines = False

    def compile(self, node: Expression, this: Types) -> Compiled:
        """Compile a part of the expression; `this` says what `$this` can be there."""
        self._height += 1
        if self._height > HEIGHT_MAX:
            self._source.refuse(
                Stage.SYNTAX, node.at, f"more than {HEIGHT_MAX} operations within each other"
            )
        compiled = self._compile(node, this)
        self._height -= 1
        return _fold(compiled) if is_constant(node) else compiled

    def _compile(self, node: Expression, this: Types) -> Compiled:  # noqa: PLR0911  one for each kind of node
        match node:
            case Literal():
                return _compile_literal(node)
            case Variable():
                return self._compile_variable(node)
            case Special():
                return self._compile_special(node, this)
            case Chain():
                return self._compile_chain(node, this)
            case Unary():
                inner = self.compile(node.operand, this)
                make = negate if node.operator == "-" else affirm
                return Compiled(make(inner.run, self._place(node.at)), inner.types)
            case Binary():
                return self._compile_binary(node, this)
            case TypeTest():
                return self._compile_type_test(node, this)
            case Member() | FunctionCall():
                return self._compile_head(node, this)

    def _place(self, at: int) -> Place:
        return Place(self._source, at)

    def _compile_chain(self, node: Chain, this: Types) -> Compiled:
        before, self._defines = self._defines, False
        parts: tuple[Part, ...] = node.steps
        if isinstance(node.head, Member | FunctionCall) and _narrow(node.head.name, this) is None:
            head, parts = Compiled(_get_this, this), (node.head, *parts)
        else:
            head = self.compile(node.head, this)
        steps, types = self._compile_steps(parts, head.types, this)
        run = _chain(head.run, tuple(steps))
        if self._defines:
            run = _enclose(run)
        self._defines = before
        return Compiled(run, types)

    def _compile_head(self, node: Member | FunctionCall, this: Types) -> Compiled:
        if isinstance(node, Member) and (narrowed := _narrow(node.name, this)) is not None:
            return narrowed
        return self._compile_chain(Chain(at=node.at, head=node, steps=()), this)

    def _compile_steps(
        self, parts: tuple[Part, ...], types: Types, this: Types
    ) -> tuple[list[Step], Types]:
        """Compile steps in a row; names in a row, of which all is known, become one step."""
        steps: list[Step] = []
        place = 0
        while place < len(parts):
            path: list[Child] = []
            owner = types
            while place < len(parts) and (child := _find_known(parts[place], types)) is not None:
                path.append(child)
                types = child.types
                place += 1
            if path and owner is not None:
                steps.append(make_path(owner[0], path))
            else:
                step, types = self._compile_step(parts[place], types, this)
                steps.append(step)
                place += 1
        return steps, types

    def _compile_step(self, part: Part, types: Types, this: Types) -> tuple[Step, Types]:
        match part:
            case Member():
                below = list_types(part.name, types)
                if below == ():
                    names = ", ".join(types or ())[:128]
                    what = f"{names} has no element {part.name[:64]}"
                    self._source.refuse(Stage.SEMANTIC, part.at, what)
                return make_member(part.name), below
            case Index():
                position = self.compile(part.position, this)
                return _index(position, self._place(part.at)), types
            case FunctionCall():
                return self._compile_call(part, types, this)

    def _compile_call(self, part: FunctionCall, types: Types, this: Types) -> tuple[Step, Types]:
        function = FUNCTIONS.get(part.name)
        if function is None:
            self._source.refuse(Stage.SEMANTIC, part.at, f"there is no function {part.name[:64]}")
        count = len(part.arguments)
        if not function.least <= count <= function.most:
            wanted = (
                f"{function.least} to {function.most}" if function.least < function.most else function.most
            )
            self._source.refuse(
                Stage.SEMANTIC, part.at, f"{part.name} takes {wanted} arguments, not {count}"
            )
        if function.takes in _SINGLE and types and not any(has_value(name) for name in types):
            self._source.refuse(Stage.SEMANTIC, part.at, f"{part.name} takes no {', '.join(types)[:128]}")
        arguments = self._compile_arguments(function, part, types, this)
        self._defines = self._defines or part.name == "defineVariable"
        call = Call(
            name=part.name,
            place=self._place(part.at),
            types=types,
            arguments=tuple(one.run for one in arguments),
            argument_types=tuple(one.types for one in arguments),
            written=part.arguments,
        )
        return function.make(call), function.gives(call)

    def _compile_arguments(
        self, function: Function, part: FunctionCall, types: Types, this: Types
    ) -> list[Compiled]:
        match function.focus:
            case "type":
                return []
            case "key":
                # A minus before a key says how to sort, whatever the key is.
                keys = [one.operand if _is_turned(one) else one for one in part.arguments]
                return [self.compile(one, types) for one in keys]
            case "item" | "whole":
                return [self.compile(one, types) for one in part.arguments]
            case "deep":
                # What comes out goes in again: only the first round's types are known.
                first = [self.compile(one, types) for one in part.arguments]
                is_closed = types is not None and all(one.types == types for one in first)
                return first if is_closed else [self.compile(one, None) for one in part.arguments]
        return [self.compile(one, this) for one in part.arguments]

    def _compile_binary(self, node: Binary, this: Types) -> Compiled:
        operate, types = OPERATORS[node.operator]
        left, right = self.compile(node.left, this), self.compile(node.right, this)
        if node.operator == "|" and left.types is not None and right.types is not None:
            types = tuple(dict.fromkeys(left.types + right.types))
        return Compiled(operate(left.run, right.run, self._place(node.at)), types)

    def _compile_type_test(self, node: TypeTest, this: Types) -> Compiled:
        place = self._place(node.at)
        operand, kind = self.compile(node.operand, this), read_kind(node.type_name, place)

        def test(frame: Frame) -> Items:
            item = take_item(operand.run(frame), place)
            return [] if item is None else [kind.matches(item)]

        def pick(frame: Frame) -> Items:
            item = take_item(operand.run(frame), place)
            return [item] if item is not None and kind.picks(item) else []

        if node.operator == "is":
            return Compiled(test, ("System.Boolean",))
        return Compiled(pick, kind.list_types())

    def _compile_special(self, node: Special, this: Types) -> Compiled:
        if node.name == "$this":
            return Compiled(_get_this, this)
        if node.name == "$index":
            return Compiled(lambda frame: [] if frame.index is None else [frame.index], ("System.Integer",))
        return Compiled(lambda frame: frame.total or [], None)

    def _compile_variable(self, node: Variable) -> Compiled:
        name = node.name
        if name in self._variables:
            return Compiled(lambda frame: list(frame.environment.variables[name]), self._variables[name])
        constant = _CONSTANTS.get(name) or next(
            (
                url + name.removeprefix(prefix)
                for prefix, url in _PREFIXES.items()
                if name.startswith(prefix)
            ),
            None,
        )
        if constant is not None:
            return Compiled(lambda _: [constant], ("System.String",))
        match name:
            case "context":
                return Compiled(lambda frame: [frame.environment.resource], None)
            case "resource":
                return Compiled(lambda frame: [frame.environment.resource], None)
            case "rootResource":
                return Compiled(lambda frame: [frame.environment.root], None)
        return Compiled(_defined(name, self._place(node.at)), None)


def _is_turned(key: Expression) -> TypeGuard[Unary]:
    return isinstance(key, Unary) and key.operator == "-"


def _compile_literal(node: Literal) -> Compiled:
    if node.value is None:
        return Compiled(lambda _: [], None)
    items: Items = [node.value]
    types = (f"System.{SYSTEM_TYPES[type(node.value)]}",)
    return Compiled(lambda _: items, types)


def _get_this(frame: Frame) -> Items:
    return frame.this


def _find_known(part: Part, types: Types) -> Child | None:
    return find_known(part.name, types) if isinstance(part, Member) else None


def _fold(compiled: Compiled) -> Compiled:
    """Work out what is the same for every resource; what fails must fail when it is evaluated."""
    nothing = Element(None, get_node_type("Element"))
    environment = Environment(nothing, nothing, {}, None, None, FOLDING_STEPS_MAX)
    try:
        items = compiled.run(Frame(environment, []))
    except (Refused, RecursionError):
        return compiled
    return Compiled(lambda _: items, compiled.types, items)


def _chain(head: Run, steps: tuple[Step, ...]) -> Run:
    match steps:
        case ():
            return head
        case (only,) if head is _get_this:
            return lambda frame: only(frame.this, frame)
        case (only,):
            return lambda frame: only(head(frame), frame)
        case (first, second):
            return lambda frame: second(first(head(frame), frame), frame)

    def run(frame: Frame) -> Items:
        items = head(frame)
        for step in steps:
            items = step(items, frame)
        return items

    return run


def _enclose(run: Run) -> Run:
    """Let variables that a chain defines be known in that chain only."""

    def enclosed(frame: Frame) -> Items:
        return run(frame.open())

    return enclosed


def _narrow(name: str, this: Types) -> Compiled | None:
    """Read a name as that of the focus's own type: `Patient.name` on a patient."""
    if not name[:1].isupper() or (this is not None and not any(_is_named(one, name) for one in this)):
        return None

    if this == (name,):
        return Compiled(_get_this, this)

    def run(frame: Frame) -> Items:
        return [one for one in frame.this if type(one) is Element and one.type.is_kind_of(name)]

    return Compiled(run, (name,) if this is None else this)


def _is_named(type_name: str, name: str) -> bool:
    return not type_name.startswith("System.") and get_node_type(type_name).is_kind_of(name)


def _index(position: Compiled, place: Place) -> Step:
    run = position.run
    if position.constant is not None and len(position.constant) == 1:
        fixed = position.constant[0]
        if type(fixed) is int and fixed >= 0:
            return lambda items, _: items[fixed : fixed + 1]

    def step(items: Items, frame: Frame) -> Items:
        index = take_integer(run(frame), place)
        return [items[index]] if index is not None and 0 <= index < len(items) else []

    return step


def _defined(name: str, place: Place) -> Run:
    def run(frame: Frame) -> list[Item]:
        if frame.defined is None or name not in frame.defined:
            place.refuse_meaning("a variable that nobody gave")
        return frame.defined[name]

    return run
