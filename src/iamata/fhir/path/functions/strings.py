"""Functions of strings (FHIRPath N1, 5.6; encode to trim are of the 2.0 draft that R4 tests)."""

import base64
import binascii
import functools
import html
import json
import re
from itertools import zip_longest
from typing import Any, Final

import re2

from iamata.fhir.path.evaluation import Frame, Items
from iamata.fhir.path.functions.calls import (
    BOOLEAN,
    INTEGER,
    STRING,
    TOO_LONG,
    Call,
    Function,
    always,
    check_length,
    on_items,
    on_value,
    refuse_length,
)
from iamata.fhir.path.refusals import REGEX_BYTES_MAX, REGEX_CHARS_MAX, STRING_CHARS_MAX, Place
from iamata.fhir.path.singles import take_string

_GROUP: Final = re.compile(r"\$(?:(\d)|\{(\w+)\})")
_JSON_ESCAPE: Final = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_JSON_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_REGEX_WORK_A_STEP: Final = 512
"""Characters times instructions: in the worst case each character meets every instruction."""
_COMPILING_A_STEP: Final = 2
"""Instructions that a step pays for when a regular expression is compiled, which it mostly is already."""


@functools.lru_cache(maxsize=256)
def _compile(pattern: str) -> "re2._Regexp | None":
    """Compile a regular expression of RE2: no input makes it take more than linear time."""
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = REGEX_BYTES_MAX
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


def get_regex(pattern: str, place: Place) -> "re2._Regexp":
    """Return a regular expression compiled, or refuse it."""
    if len(pattern) > REGEX_CHARS_MAX:
        place.refuse(f"a regular expression of more than {REGEX_CHARS_MAX:,} characters")
    compiled = _compile(pattern)
    if compiled is None:
        place.refuse("a regular expression that RE2 does not know")
    return compiled


def _matches(items: Items, call: Call, frame: Frame) -> Items:
    text, regex = _take_both(items, call, frame)
    return [] if text is None or regex is None else [regex.search(text) is not None]


def _matches_full(items: Items, call: Call, frame: Frame) -> Items:
    text, regex = _take_both(items, call, frame)
    return [] if text is None or regex is None else [regex.fullmatch(text) is not None]


def _replace_matches(items: Items, call: Call, frame: Frame) -> Items:
    text, regex = _take_both(items, call, frame)
    substitute = take_string(call.arguments[1](frame), call.place)
    if text is None or regex is None or substitute is None:
        return []
    if not regex.pattern:
        return [text]
    pieces, room = _read_substitute(substitute), STRING_CHARS_MAX

    def replace(match: "re2._Match[str]") -> str:
        nonlocal room
        # The next search may look at all the rest, and find nothing but the next letter.
        _spend_on(len(text) - match.end(), regex, frame)
        try:
            found = "".join([one if is_text else match[one] or "" for is_text, one in pieces])
        except IndexError:
            call.place.refuse("a group that the regular expression does not have")
        room -= len(found)
        if room < 0:
            call.place.refuse(f"a string of more than {STRING_CHARS_MAX:,} characters")
        return found

    return [check_length(regex.sub(replace, text), frame)]


def _read_substitute(substitute: str) -> list[tuple[bool, Any]]:
    """Read what takes the place of a match: texts, and between them groups by number or by name."""
    texts = [(True, one) for one in _GROUP.split(substitute)[::3]]
    groups = [(False, int(one[1]) if one[1] else one[2]) for one in _GROUP.finditer(substitute)]
    return [one for pair in zip_longest(texts, groups) for one in pair if one is not None]


def _take_both(items: Items, call: Call, frame: Frame) -> tuple[str | None, "re2._Regexp | None"]:
    """Take a text and a regular expression, and count what searching the one with the other may cost."""
    text, pattern = take_string(items, call.place), take_string(call.arguments[0](frame), call.place)
    if text is None or pattern is None:
        return None, None
    regex = get_regex(pattern, call.place)
    frame.environment.spend(regex.programsize // _COMPILING_A_STEP)
    _spend_on(len(text), regex, frame)
    return text, regex


def _spend_on(length: int, regex: "re2._Regexp", frame: Frame) -> None:
    frame.environment.spend(length * regex.programsize // _REGEX_WORK_A_STEP)


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]


def _join(items: Items, call: Call, frame: Frame) -> Items:
    separator = take_string(call.arguments[0](frame), call.place) if call.arguments else ""
    texts = [text for item in items if (text := take_string([item], call.place)) is not None]
    if sum(map(len, texts)) + len(separator or "") * len(texts) > STRING_CHARS_MAX:
        refuse_length(frame)
    return [check_length((separator or "").join(texts), frame)]


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


def _replace(text: str, pattern: str, substitute: str) -> object:
    if len(substitute) > len(pattern):
        count = text.count(pattern)
        if len(text) + count * len(substitute) > STRING_CHARS_MAX:
            return TOO_LONG
    return text.replace(pattern, substitute)


def _encode(text: str, how: str) -> str | None:
    raw = text.encode("utf-8", "surrogatepass")
    match how:
        case "hex":
            return raw.hex()
        case "base64":
            return base64.b64encode(raw).decode("ascii")
        case "urlbase64":
            return base64.urlsafe_b64encode(raw).decode("ascii")
    return None


def _decode(text: str, how: str) -> str | None:
    try:
        match how:
            case "hex":
                return bytes.fromhex(text).decode("utf-8")
            case "base64":
                return base64.b64decode(text, validate=True).decode("utf-8")
            case "urlbase64":
                return base64.b64decode(text, altchars=b"-_", validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    return None


def _escape(text: str, how: str) -> str | None:
    match how:
        case "html":
            return html.escape(text)
        case "json":
            return json.dumps(text, ensure_ascii=False)[1:-1]
    return None


def _unescape(text: str, how: str) -> str | None:
    match how:
        case "html":
            return html.unescape(text)
        case "json":
            return _JSON_ESCAPE.sub(_read_escape, text)
    return None


def _read_escape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _JSON_ESCAPED.get(code, code)


STRINGS: Final[dict[str, Function]] = {
    "indexOf": on_value(str.find, "string", "string", gives=INTEGER),
    "lastIndexOf": on_value(str.rfind, "string", "string", gives=INTEGER),
    "substring": on_value(_substring, "string", "integer", "integer", gives=STRING, optional=1),
    "startsWith": on_value(str.startswith, "string", "string", gives=BOOLEAN),
    "endsWith": on_value(str.endswith, "string", "string", gives=BOOLEAN),
    "contains": on_value(str.__contains__, "string", "string", gives=BOOLEAN),
    "upper": on_value(str.upper, "string", gives=STRING),
    "lower": on_value(str.lower, "string", gives=STRING),
    "replace": on_value(_replace, "string", "string", "string", gives=STRING),
    "matches": on_items(_matches, gives=always(BOOLEAN), least=1),
    "matchesFull": on_items(_matches_full, gives=always(BOOLEAN), least=1),
    "replaceMatches": on_items(_replace_matches, gives=always(STRING), least=2),
    "length": on_value(len, "string", gives=INTEGER),
    "toChars": on_value(list, "string", gives=STRING),
    "encode": on_value(_encode, "string", "string", gives=STRING),
    "decode": on_value(_decode, "string", "string", gives=STRING),
    "escape": on_value(_escape, "string", "string", gives=STRING),
    "unescape": on_value(_unescape, "string", "string", gives=STRING),
    "trim": on_value(str.strip, "string", gives=STRING),
    "split": on_value(_split, "string", "string", gives=STRING),
    "join": on_items(_join, gives=always(STRING), least=0, most=1),
}
