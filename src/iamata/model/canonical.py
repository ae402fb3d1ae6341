"""Canonical JSON (RFC 8785, JCS) and the strict reading of it that the ledger insists on.

`encode_canonical` writes any JSON value. `decode_strict` reads *ledger JSON*, a narrower language: no
floats, integers within ±(2^53−1), no null, no duplicate keys, no lone surrogates, bounded depth and
size, and one spelling: what it accepts re-encodes to the same bytes.
"""

import json
from collections.abc import Mapping
from typing import Final, NoReturn, TypeAlias

import msgspec

from iamata.model.reasons import Reason, Refused, require

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

INTEGER_MAX: Final = 2**53 - 1
DEPTH_MAX: Final = 16
LEDGER_JSON_BYTES_MAX: Final = 16_384
KEY_TOLD_MAX: Final = 64
"""Characters of a key that a refusal repeats."""

_PLAIN_EXPONENT_MAX: Final = 21
_PLAIN_EXPONENT_MIN: Final = -6
_STRUCTS: Final = msgspec.json.Encoder(order="sorted")
_STRINGS: Final = json.JSONEncoder(ensure_ascii=False)


def encode_struct(struct: msgspec.Struct) -> bytes:
    """Write a struct whose keys are ASCII as canonical JSON, at the speed of a compiled encoder."""
    return _STRUCTS.encode(struct)


def encode_canonical(value: object) -> bytes:
    """Write a JSON value as RFC 8785 says; raise ValueError where JSON has no word for it."""
    return _write(value).encode("utf-8")


def decode_strict(raw: bytes) -> dict[str, Json]:
    """Read one ledger JSON object, or refuse it as malformed, too large or not canonical."""
    require(len(raw) <= LEDGER_JSON_BYTES_MAX, Reason.TOO_LARGE)
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_refuse_duplicates,
            parse_float=_refuse_word,
            parse_constant=_refuse_word,
        )
        require(isinstance(value, dict), Reason.MALFORMED)
        _check(value, depth=1)
        canonical = encode_canonical(value)
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.MALFORMED) from error
    require(canonical == raw, Reason.NOT_CANONICAL)
    return dict(value)


def check_distinct(raw: bytes) -> None:
    """Refuse JSON in which a key stands twice: people who read it take the one, programs the other.

    It is JSON that was read before; ValueError where it is none.
    """
    json.loads(raw, object_pairs_hook=_require_distinct, parse_int=str, parse_float=str)


def _write(value: object) -> str:
    if isinstance(value, str):
        return _STRINGS.encode(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            message = "an integer beyond 2^53-1 has no canonical spelling"
            raise ValueError(message)
        return str(value)
    if isinstance(value, float):
        return _write_float(value)
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_write(key)}:{_write(value[key])}" for key in keys) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_write, value)) + "]"
    message = f"canonical JSON has no word for {type(value).__name__}"
    raise ValueError(message)


def _write_float(number: float) -> str:
    """Spell a float as ECMAScript's Number::toString does (ECMA-262, 6.1.6.1.20)."""
    if number != number or number in {float("inf"), float("-inf")}:  # noqa: PLR0124  NaN alone differs from itself
        message = "JSON has no word for NaN or infinity"
        raise ValueError(message)
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return sign + _place_point(digits, point)


def _place_point(digits: str, point: int) -> str:
    if len(digits) <= point <= _PLAIN_EXPONENT_MAX:
        return digits + "0" * (point - len(digits))
    if 0 < point <= _PLAIN_EXPONENT_MAX:
        return f"{digits[:point]}.{digits[point:]}"
    if _PLAIN_EXPONENT_MIN < point <= 0:
        return "0." + "0" * -point + digits
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{point - 1:+d}"


def _check(value: object, *, depth: int) -> None:
    require(depth <= DEPTH_MAX, Reason.MALFORMED)
    require(value is not None, Reason.MALFORMED)
    if isinstance(value, dict):
        for child in value.values():
            _check(child, depth=depth + 1)
    elif isinstance(value, list):
        for child in value:
            _check(child, depth=depth + 1)


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    require(len(members) == len(pairs), Reason.MALFORMED)
    return members


def _require_distinct(pairs: list[tuple[str, object]]) -> None:
    seen: dict[str, None] = {}
    for key, _ in pairs:
        told = f"the key {key[:KEY_TOLD_MAX]!r} stands twice in one object"
        require(key not in seen, Reason.MALFORMED, told)
        seen[key] = None


def _refuse_word(_: str) -> NoReturn:
    raise Refused(Reason.MALFORMED)
