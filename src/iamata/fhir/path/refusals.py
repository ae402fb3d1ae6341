"""What an expression is refused for, with its place; and how much one may ask for.

A refusal names the place in the expression and never a value: values are health data.
"""

import enum
from typing import Final, NoReturn

from iamata.model.reasons import Reason, Refused

EXPRESSION_CHARS_MAX: Final = 8_192
NESTING_MAX: Final = 50
"""Brackets and operands within each other."""
HEIGHT_MAX: Final = 150
"""The tree of an expression, in which operators in a row stand one above the other."""
NUMBER_CHARS_MAX: Final = 64
CHAIN_MAX: Final = 256
"""Steps in one `a.b.c`."""
STEPS_MAX: Final = 1_000_000
"""What one evaluation may cost: about one for each element that is looked at or made."""
FOLDING_STEPS_MAX: Final = 1_000
"""What working a constant part out may cost; else it is evaluated each time."""
STRING_CHARS_MAX: Final = 2**20
"""Any string that an expression makes."""
REGEX_CHARS_MAX: Final = 1_024
REGEX_BYTES_MAX: Final = 2**20
"""What a compiled regular expression may take."""


class Stage(enum.Enum):
    """When an expression was found to be wrong."""

    SYNTAX = "syntax"
    SEMANTIC = "semantic"
    """It parses, and cannot mean anything on this type."""
    EXECUTION = "execution"
    """It means something, and not for this resource."""


class ExpressionRefused(Refused):
    """An expression that cannot be read, or not be evaluated here."""

    def __init__(self, stage: Stage, what: str, *, line: int, column: int) -> None:
        super().__init__(Reason.INPUT_INVALID, f"line {line}, column {column}: {what}")
        self.stage = stage
        self.line = line
        self.column = column


class Source:
    """The text of an expression, which turns offsets into places."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def refuse(self, stage: Stage, at: int, what: str) -> NoReturn:
        """Refuse for what stands at an offset."""
        before = self.text[:at]
        line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
        raise ExpressionRefused(stage, what, line=line, column=column)


class Place:
    """One place in an expression, for whatever may be refused there."""

    __slots__ = ("at", "source")

    def __init__(self, source: Source, at: int) -> None:
        self.source = source
        self.at = at

    def refuse(self, what: str) -> NoReturn:
        """Refuse an evaluation."""
        self.source.refuse(Stage.EXECUTION, self.at, what)

    def refuse_meaning(self, what: str) -> NoReturn:
        """Refuse an expression before it is evaluated."""
        self.source.refuse(Stage.SEMANTIC, self.at, what)
