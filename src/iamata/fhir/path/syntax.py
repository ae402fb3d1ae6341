"""What an expression says, as a tree; `at` is the offset where each part begins."""

from decimal import Decimal
from typing import TypeAlias

import msgspec

from iamata.fhir.path.quantities import Quantity
from iamata.fhir.path.temporal import Temporal

Constant: TypeAlias = bool | int | Decimal | str | Temporal | Quantity


class Literal(msgspec.Struct, frozen=True, kw_only=True):
    """A value as it is written; None is `{}`."""

    at: int
    value: Constant | None


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """`%name`."""

    at: int
    name: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An element's name."""

    at: int
    name: str


class Special(msgspec.Struct, frozen=True, kw_only=True):
    """What stands for something: `$this`, `$index` or `$total`."""

    at: int
    name: str


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A call."""

    at: int
    name: str
    arguments: tuple["Expression", ...]


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """`[…]` behind something."""

    at: int
    position: "Expression"


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """Something, and what is asked of it one step after the other: `a.b[0].c()`."""

    at: int
    head: "Expression"
    steps: tuple[Member | Function | Index, ...]


class Unary(msgspec.Struct, frozen=True, kw_only=True):
    """`+` or `-` before something."""

    at: int
    operator: str
    operand: "Expression"


class Binary(msgspec.Struct, frozen=True, kw_only=True):
    """Two operands and what joins them; `at` is the operator's place."""

    at: int
    operator: str
    left: "Expression"
    right: "Expression"


class TypeTest(msgspec.Struct, frozen=True, kw_only=True):
    """`… is Type` or `… as Type`."""

    at: int
    operator: str
    operand: "Expression"
    type_name: str


Expression: TypeAlias = Literal | Variable | Member | Special | Function | Chain | Unary | Binary | TypeTest
