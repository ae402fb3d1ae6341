"""Read an expression into its tree (FHIRPath N1, the normative grammar)."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Final, NoReturn

from iamata.fhir.path.lexer import END, Token, read_tokens
from iamata.fhir.path.quantities import CALENDAR_UNITS, Quantity
from iamata.fhir.path.refusals import CHAIN_MAX, NESTING_MAX, Source, Stage
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
from iamata.fhir.path.temporal import parse_date, parse_datetime, parse_time

LEVELS: Final = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "~", "!=", "!~"),
    ("<=", "<", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
"""Binary operators, those that bind least first."""

_LEVEL_OF: Final = {operator: level for level, operators in enumerate(LEVELS) for operator in operators}
_NAMES: Final = ("word", "delimited")
_RESERVED: Final = ("true", "false", "and", "or", "xor", "implies", "div", "mod")
"""Words that are no element's name unless they are quoted."""
_TEMPORAL: Final = {"date": parse_date, "datetime": parse_datetime, "time": parse_time}


def parse(text: str) -> tuple[Source, Expression]:
    """Read an expression, or refuse it at the place where it stops making sense."""
    source = Source(text)
    parser = _Parser(source, read_tokens(source))
    expression = parser.read_expression(0)
    parser.expect(END, "", "the end of the expression")
    return source, expression


class _Parser:
    """A place among the tokens."""

    def __init__(self, source: Source, tokens: list[Token]) -> None:
        self._source = source
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    def read_expression(self, level: int) -> Expression:
        """Read an expression whose operators bind at least as this level."""
        left = self._read_signed()
        while (binds := self._find_level(token := self._peek())) >= level:
            self._next()
            if token.text in {"is", "as"}:
                left = TypeTest(
                    at=token.at, operator=token.text, operand=left, type_name=self._read_type_name()
                )
            else:
                right = self._nest(partial(self.read_expression, binds + 1), token)
                left = Binary(at=token.at, operator=token.text, left=left, right=right)
        return left

    def expect(self, kind: str, text: str, what: str) -> Token:
        """Take a token that must stand here."""
        token = self._peek()
        if token.kind != kind or (text and token.text != text):
            self._refuse(token, what)
        return self._next()

    def _read_signed(self) -> Expression:
        token = self._peek()
        if token.kind == "symbol" and token.text in {"+", "-"}:
            self._next()
            return Unary(at=token.at, operator=token.text, operand=self._nest(self._read_signed, token))
        return self._read_chain()

    def _read_chain(self) -> Expression:
        head = self._read_term()
        steps: list[Member | Function | Index] = []
        while (token := self._peek()).kind == "symbol" and token.text in {".", "["}:
            if len(steps) == CHAIN_MAX:
                self._source.refuse(Stage.SYNTAX, token.at, f"more than {CHAIN_MAX} steps in a row")
            self._next()
            if token.text == "[":
                position = self._nest(partial(self.read_expression, 0), token)
                self.expect("symbol", "]", "`]`")
                steps.append(Index(at=token.at, position=position))
            else:
                steps.append(self._read_step())
        return Chain(at=head.at, head=head, steps=tuple(steps)) if steps else head

    def _read_step(self) -> Member | Function:
        token = self._peek()
        if token.kind not in _NAMES:
            self._refuse(token, "a name")
        self._next()
        if self._is_symbol("("):
            return self._read_function(token)
        return Member(at=token.at, name=token.text)

    def _read_function(self, name: Token) -> Function:
        self.expect("symbol", "(", "`(`")
        arguments: list[Expression] = []
        while not self._is_symbol(")"):
            if arguments:
                self.expect("symbol", ",", "`,` or `)`")
            arguments.append(self._nest(partial(self.read_expression, 0), name))
        self._next()
        return Function(at=name.at, name=name.text, arguments=tuple(arguments))

    def _read_term(self) -> Expression:  # noqa: PLR0911  one for each kind of term
        token = self._peek()
        if token.kind in _NAMES:
            if token.kind == "delimited" or token.text not in _RESERVED:
                return self._read_step()
            if token.text in {"true", "false"}:
                self._next()
                return Literal(at=token.at, value=token.text == "true")
        elif token.kind not in {"symbol", END}:
            return self._read_literal(self._next())
        elif token.text.startswith("$"):
            self._next()
            return Special(at=token.at, name=token.text)
        elif token.text == "(":
            self._next()
            inner = self._nest(partial(self.read_expression, 0), token)
            self.expect("symbol", ")", "`)`")
            return inner
        elif token.text == "{":
            self._next()
            self.expect("symbol", "}", "`}`")
            return Literal(at=token.at, value=None)
        elif token.text == "%":
            return self._read_variable(self._next())
        return self._refuse(token, "a value, a name or a bracket")

    def _read_variable(self, percent: Token) -> Variable:
        token = self._next()
        if token.kind not in (*_NAMES, "string"):
            self._refuse(token, "the name of a variable")
        return Variable(at=percent.at, name=token.text)

    def _read_literal(self, token: Token) -> Literal:
        if token.kind == "string":
            return Literal(at=token.at, value=token.text)
        if token.kind == "number":
            return self._read_number(token)
        value = _TEMPORAL[token.kind](token.text)
        if value is None:
            self._source.refuse(Stage.SYNTAX, token.at, "no day or time of the calendar")
        return Literal(at=token.at, value=value)

    def _read_number(self, token: Token) -> Literal:
        unit = self._peek()
        if unit.kind == "string":
            self._next()
            return Literal(at=token.at, value=Quantity(value=Decimal(token.text), unit=unit.text))
        if unit.kind == "word" and unit.text in CALENDAR_UNITS:
            self._next()
            quantity = Quantity(value=Decimal(token.text), unit=CALENDAR_UNITS[unit.text], is_calendar=True)
            return Literal(at=token.at, value=quantity)
        value = Decimal(token.text) if "." in token.text else int(token.text)
        return Literal(at=token.at, value=value)

    def _read_type_name(self) -> str:
        names = [self._expect_name("the name of a type")]
        while self._is_symbol("."):
            # `x is System.Integer` takes the dot; a call behind it belongs to nothing.
            self._next()
            names.append(self._expect_name("the name of a type"))
        return ".".join(names)

    def _expect_name(self, what: str) -> str:
        token = self._peek()
        if token.kind not in _NAMES:
            self._refuse(token, what)
        return self._next().text

    def _nest(self, read: Callable[[], Expression], token: Token) -> Expression:
        self._depth += 1
        if self._depth > NESTING_MAX:
            self._source.refuse(Stage.SYNTAX, token.at, f"more than {NESTING_MAX} levels")
        expression = read()
        self._depth -= 1
        return expression

    def _peek(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        token = self._tokens[self._place]
        self._place = min(self._place + 1, len(self._tokens) - 1)
        return token

    def _is_symbol(self, text: str) -> bool:
        token = self._peek()
        return token.kind == "symbol" and token.text == text

    def _find_level(self, token: Token) -> int:
        """Tell how strongly an operator binds; -1 for what is none."""
        return _LEVEL_OF.get(token.text, -1) if token.kind in {"symbol", "word"} else -1

    def _refuse(self, token: Token, expected: str) -> NoReturn:
        found = "the expression ends" if token.kind == END else f"`{token.text[:32]}` stands"
        self._source.refuse(Stage.SYNTAX, token.at, f"{found} where {expected} is expected")
