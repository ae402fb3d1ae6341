"""The few structured fields (RFC 9651) that signatures travel in, in their one serialised form.

What is accepted re-serialises to itself, so the text that was received is the text that is signed over.
Strings have no escapes, lists no parameters inside, a field carries one signature.
"""

import base64
import re
from typing import Final

import msgspec

from iamata.model.reasons import Reason, Refused, require

FIELD_LENGTH_MAX: Final = 2_048

_LABEL: Final = r"[a-z*][a-z0-9_.*-]{0,31}"
_STRING: Final = r'"[ !#-\[\]-~]{0,256}"'
_INTEGER: Final = r"(?:0|[1-9][0-9]{0,14})"
_PARAMETER: Final = rf";([a-z]+)=({_STRING}|{_INTEGER})"
_INPUT: Final = re.compile(rf"({_LABEL})=(\(({_STRING}(?: {_STRING})*)?\)((?:{_PARAMETER})*))")
_SIGNATURE: Final = re.compile(rf"({_LABEL})=:([A-Za-z0-9+/]{{86}}==):")


class SignatureInput(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature covers, and under which parameters (RFC 9421, 4.1)."""

    label: str
    components: tuple[str, ...]
    parameters: dict[str, str | int]
    """In the order in which they were written."""
    text: str
    """The value of `@signature-params`, as it was received."""


def parse_signature_input(field: str) -> SignatureInput:
    """Read a Signature-Input field with one signature, or refuse it."""
    match = _INPUT.fullmatch(field) if len(field) <= FIELD_LENGTH_MAX else None
    if match is None:
        raise Refused(Reason.MALFORMED, "a signature's input")
    components = tuple(part[1:-1] for part in re.findall(_STRING, match[3] or ""))
    pairs = re.findall(_PARAMETER, match[4])
    parameters = {name: _read_value(value) for name, value in pairs}
    is_once = len(parameters) == len(pairs) and len(dict.fromkeys(components)) == len(components)
    require(is_once, Reason.MALFORMED, "a signature's input")
    return SignatureInput(label=match[1], components=components, parameters=parameters, text=match[2])


def parse_signature(field: str, *, label: str) -> bytes:
    """Read the 64 bytes of the one signature in a Signature field, or refuse it."""
    match = _SIGNATURE.fullmatch(field)
    if match is None or match[1] != label:
        raise Refused(Reason.MALFORMED, "a signature")
    signature = base64.b64decode(match[2])
    require(base64.b64encode(signature).decode("ascii") == match[2], Reason.NOT_CANONICAL, "a signature")
    return signature


def write_signature(label: str, signature: bytes) -> str:
    """Spell a Signature field."""
    return f"{label}=:{base64.b64encode(signature).decode('ascii')}:"


def write_parameters(components: tuple[str, ...], parameters: dict[str, str | int]) -> str:
    """Spell the value of `@signature-params`."""
    listed = " ".join(f'"{name}"' for name in components)
    rest = "".join(f";{name}={_write_value(value)}" for name, value in parameters.items())
    return f"({listed}){rest}"


def _read_value(text: str) -> str | int:
    return text[1:-1] if text.startswith('"') else int(text)


def _write_value(value: str | int) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
