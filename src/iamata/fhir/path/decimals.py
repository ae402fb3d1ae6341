"""Arithmetic on exact decimals, the same on every machine, and never on a binary fraction."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException, DivisionByZero, InvalidOperation
from typing import Final

DIGITS_MAX: Final = 28
"""What a result keeps (N1 asks for 28 digits)."""
EXPONENT_MAX: Final = 1_000
"""A number of so many digits is no measurement."""
INTEGER_MAX: Final = 2**31 - 1
LONG_MAX: Final = 2**63 - 1

_CONTEXT: Final = Context(
    prec=DIGITS_MAX,
    rounding=ROUND_HALF_UP,
    Emin=-EXPONENT_MAX,
    Emax=EXPONENT_MAX,
    traps=[InvalidOperation, DivisionByZero],
)
_WIDE: Final = Context(
    prec=20_000, rounding=ROUND_HALF_UP, Emin=-99_999, Emax=99_999, traps=[InvalidOperation]
)
"""Wide enough for any number that is let in, so that cutting one loses only what it should."""


def to_decimal(value: object) -> Decimal:
    """Return any JSON number as a decimal; how a reader spells a fraction is how it is taken."""
    return value if type(value) is Decimal else Decimal(str(value))


def is_sane(value: Decimal) -> bool:
    """Tell whether a number can be worked with: neither infinite nor so long that it is an attack."""
    sign, digits, exponent = value.as_tuple()
    del sign
    return isinstance(exponent, int) and len(digits) <= EXPONENT_MAX and abs(exponent) <= EXPONENT_MAX


def compute(function: Callable[[Context], Decimal]) -> Decimal | None:
    """Compute something; None where it has no result, such as a square root of -1, or no finite one."""
    try:
        result = function(_CONTEXT)
    except DecimalException:
        return None
    return result if result.is_finite() else None


def divide(left: Decimal, right: Decimal) -> Decimal | None:
    """Divide; None by zero."""
    return compute(lambda context: context.divide(left, right)) if right else None


def quantize(value: Decimal, places: int, rounding: str) -> Decimal:
    """Cut a value to a number of places behind the point."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=rounding, context=_WIDE)


def count_places(value: Decimal) -> int:
    """Count the digits behind the point, as they were written."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def spell(value: Decimal) -> str:
    """Write a decimal without an exponent."""
    return format(value, "f")
