"""Read a resource with every decimal as it was written: `1.50` is not `1.5` to FHIR (R4, 2.24.0.1)."""

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeAlias, TypedDict

import msgspec

from iamata.model.reasons import Reason, Refused, require

RESOURCE_BYTES_MAX: Final = 16 * 2**20
RESOURCE_NODES_MAX: Final = 250_000
"""Objects, lists and commas: what bounds the memory of a tree whose bytes say little, like `[[],[],…`."""
EXPONENT_MAX: Final = 308
"""Numbers of more digits before the point, or zeros behind it, are no other reader's numbers."""

Exact = dict[str, object]
"""JSON whose fractions are `Decimal`."""


def _read_number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation as error:  # an exponent of more than eighteen digits
        raise Refused(Reason.RESOURCE_INVALID, "a number out of range") from error
    require(abs(number.adjusted()) <= EXPONENT_MAX, Reason.RESOURCE_INVALID, "a number out of range")
    return number


_TREES: Final = msgspec.json.Decoder(Exact, float_hook=_read_number)

Read: TypeAlias = Callable[[bytes], Exact]


def read_exact(body: bytes) -> Exact:
    """Read a compact body, or refuse it for its size or its depth."""
    return _read(body, _TREES)


def make_reader(keys: Iterable[str]) -> Read:
    """Make a reader that keeps some elements of a resource and passes over the others, unbuilt."""
    part: Any = TypedDict("Part", dict.fromkeys(keys, Any), total=False)  # type: ignore[misc]
    decoder = msgspec.json.Decoder(part, float_hook=_read_number)
    return lambda body: _read(body, decoder)


def _read(body: bytes, decoder: "msgspec.json.Decoder[Any]") -> Exact:
    require(len(body) <= RESOURCE_BYTES_MAX, Reason.INPUT_TOO_LARGE)
    if len(body) > RESOURCE_NODES_MAX:
        nodes = body.count(b",") + body.count(b"{") + body.count(b"[")
        require(nodes <= RESOURCE_NODES_MAX, Reason.INPUT_TOO_LARGE, "too many elements")
    try:
        found: Exact = decoder.decode(body)
    except RecursionError as error:
        raise Refused(Reason.INPUT_TOO_DEEP) from error
    except ValueError as error:
        raise Refused(Reason.RESOURCE_INVALID, "not a JSON object") from error
    return found
