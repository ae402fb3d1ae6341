"""Functions of strings (FHIRPath N1, 5.6; encode to trim are of the 2.0 draft that R4 tests)."""

import base64
import binascii
import functools
import html
import json
import re
from typing import Final

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
)
from iamata.fhir.path.refusals import REGEX_BYTES_MAX, REGEX_CHARS_MAX, STRING_CHARS_MAX, Place
from iamata.fhir.path.singles import take_string

_GROUP: Final = re.compile(r"\\|\$(\d)|\$\{(\w+)\}")
_JSON_ESCAPE: Final = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_JSON_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_REGEX_CHARS_A_STEP: Final = 16


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
    text, pattern = _take_both(items, call, frame)
    if text is None or pattern is None:
        return []
    return [get_regex(pattern, call.place).search(text) is not None]


def _matches_full(items: Items, call: Call, frame: Frame) -> Items:
    text, pattern = _take_both(items, call, frame)
    if text is None or pattern is None:
        return []
    return [get_regex(pattern, call.place).fullmatch(text) is not None]


def _replace_matches(items: Items, call: Call, frame: Frame) -> Items:
    text, pattern = _take_both(items, call, frame)
    substitute = take_string(call.arguments[1](frame), call.place)
    if text is None or pattern is None or substitute is None:
        return []
    if not pattern:
        return [text]
    compiled = get_regex(pattern, call.place)
    if len(text) * (len(substitute) + 1) > STRING_CHARS_MAX:
        count = sum(1 for _ in compiled.finditer(text))
        if len(text) + count * len(substitute) * (compiled.groups + 1) > STRING_CHARS_MAX:
            call.place.refuse(f"a string of more than {STRING_CHARS_MAX:,} characters")
    try:
        replaced = compiled.sub(_GROUP.sub(_spell_group, substitute), text)
    except (re2.error, IndexError):
        call.place.refuse("a group that the regular expression does not have")
    return [check_length(replaced, frame)]


def _spell_group(match: re.Match[str]) -> str:
    return r"\\" if match[0] == "\\" else rf"\g<{match[1] or match[2]}>"


def _take_both(items: Items, call: Call, frame: Frame) -> tuple[str | None, str | None]:
    text, pattern = take_string(items, call.place), take_string(call.arguments[0](frame), call.place)
    frame.environment.spend(len(text or "") // _REGEX_CHARS_A_STEP)
    return text, pattern


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]


def _join(items: Items, call: Call, frame: Frame) -> Items:
    separator = take_string(call.arguments[0](frame), call.place) if call.arguments else ""
    texts = [take_string([item], call.place) for item in items]
    return [check_length((separator or "").join([text for text in texts if text is not None]), frame)]


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
