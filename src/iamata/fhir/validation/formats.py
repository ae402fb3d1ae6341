"""How the primitive types of FHIR R4 (2.24.0.1) are spelt in JSON."""

import binascii
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final

STRING_CHARS_MAX: Final = 2**20
INTEGER_MAX: Final = 2**31 - 1

IsText = Callable[[str], object]
"""Answers truly where a text is spelt as its type asks."""

_YEAR: Final = r"(?!0000)[0-9]{4}"
_LEAP: Final = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = (
    rf"(?:{_YEAR}-(?:{_MONTH}-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    rf"|{_LEAP}-02-29)"
)
"""A day that the calendar has."""
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_INSTANT: Final = f"{_DAY}T{_CLOCK}{_ZONE}"
_DATE: Final = f"{_DAY}|{_YEAR}(?:-{_MONTH})?"

_match_string: Final = re.compile(f"(?s:.{{1,{STRING_CHARS_MAX}}})").fullmatch


def is_base64(text: str) -> bool:
    """Tell whether a text is base64; white space may stand in it."""
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        packed = "".join(text.split())
        return len(packed) < len(text) and packed != "" and is_base64(packed)
    return text != ""


def is_xhtml(text: str) -> bool:
    """Tell whether a text is one `div`, as a narrative must be; what is in it is not looked at."""
    trimmed = text.strip()
    return trimmed.startswith("<div") and trimmed.endswith(("</div>", "/>"))


def is_decimal(value: object) -> bool:
    """Tell whether a JSON value was a number."""
    return type(value) is Decimal or type(value) is int


TEXTS: Final[dict[str, tuple[IsText, str]]] = {
    "base64Binary": (is_base64, "base64"),
    "canonical": (re.compile(r"\S+").fullmatch, "a canonical address, without white space"),
    "code": (re.compile(r"\S+(?:\s\S+)*").fullmatch, "a code, with single spaces inside at most"),
    "date": (re.compile(_DATE).fullmatch, "a date: YYYY, YYYY-MM or YYYY-MM-DD"),
    "dateTime": (
        re.compile(f"{_DAY}(?:T{_CLOCK}{_ZONE})?|{_DATE}").fullmatch,
        "a date, or a time with its zone: YYYY-MM-DDThh:mm:ss+zz:zz",
    ),
    "id": (re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch, "an id: 1 to 64 of A-Z, a-z, 0-9, - and ."),
    "instant": (re.compile(_INSTANT).fullmatch, "an instant with its zone: YYYY-MM-DDThh:mm:ss+zz:zz"),
    "markdown": (_match_string, "a text of 1 to 2^20 characters"),
    "oid": (re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch, "an OID: urn:oid:…"),
    "string": (_match_string, "a text of 1 to 2^20 characters"),
    "time": (re.compile(_CLOCK).fullmatch, "a time: hh:mm:ss"),
    "uri": (re.compile(r"\S+").fullmatch, "an address, without white space"),
    "url": (re.compile(r"\S+").fullmatch, "an address, without white space"),
    "uuid": (
        re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch,
        "a UUID: urn:uuid:…",
    ),
    "xhtml": (is_xhtml, "one XHTML div"),
}
"""The types that are JSON strings: the test, and what is expected in words."""

INTEGERS: Final[dict[str, tuple[int, str]]] = {
    "integer": (-INTEGER_MAX - 1, "a whole number of 32 bits"),
    "unsignedInt": (0, "a whole number from 0 to 2147483647"),
    "positiveInt": (1, "a whole number from 1 to 2147483647"),
}
"""The types that are whole numbers: the least, and what is expected in words."""
