"""The way in: compile an expression once, evaluate it on as many resources as there are."""

from collections.abc import Mapping, Sequence
from typing import Final

from iamata.fhir.path.compiling import Compiler
from iamata.fhir.path.elements import Element, Item, make_element
from iamata.fhir.path.evaluation import Environment, Frame, Items, Resolve, Run, Types
from iamata.fhir.path.parser import parse
from iamata.fhir.path.temporal import DateTime
from iamata.model.reasons import Reason, Refused

_NONE: Final[Mapping[str, Sequence[Item]]] = {}


class PathExpression:
    """An expression, compiled. The same one may be evaluated in several threads."""

    __slots__ = ("_constant", "_run", "text", "type_name")

    def __init__(self, text: str, run: Run, type_name: str | None, constant: Items | None) -> None:
        self._constant = constant
        self.text = text
        self.type_name = type_name
        self._run = run

    def __repr__(self) -> str:
        return f"PathExpression({self.text!r})"

    def evaluate(
        self,
        resource: object,
        *,
        root: Element | None = None,
        variables: Mapping[str, Sequence[Item]] = _NONE,
        now: DateTime | None = None,
        resolve: Resolve | None = None,
    ) -> Items:
        """Evaluate on JSON as `exact.read_exact` gives it, or on an element of a resource.

        `root` is the resource that contains this one; `now` what `now()` and `today()` answer; `resolve`
        finds resources that are neither contained nor in the same bundle.
        """
        if self._constant is not None:
            return self._constant.copy()
        focus = resource if type(resource) is Element else make_element(resource, self.type_name)
        environment = Environment(focus, root or focus, variables, now, resolve)
        try:
            return self._run(Frame(environment, [focus]))
        except RecursionError as error:
            raise Refused(Reason.INPUT_TOO_DEEP, "evaluating the expression") from error


def compile_expression(
    text: str,
    *,
    type_name: str | None = None,
    variables: Mapping[str, Types] = {},
) -> PathExpression:
    """Compile an expression for resources of a type, or for any; refuse one that cannot mean anything.

    `variables` names the variables that every evaluation will give, with their types where they are known.
    """
    source, tree = parse(text)
    compiler = Compiler(source, variables)
    compiled = compiler.compile(tree, None if type_name is None else (type_name,))
    return PathExpression(text, compiled.run, type_name, compiled.constant)
