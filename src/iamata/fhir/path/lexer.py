"""Cut the text of an expression into tokens (FHIRPath N1, appendix B)."""

import re
from typing import Final

import msgspec

from iamata.fhir.path.refusals import EXPRESSION_CHARS_MAX, NUMBER_CHARS_MAX, Source, Stage

END: Final = "end"

_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|//[^\n]*|/\*(?s:.*?)\*/)
  | (?P<datetime>@[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?T
        (?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)
  | (?P<date>@[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?)
  | (?P<time>@T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?)
  | (?P<number>[0-9]+(?:\.[0-9]+)?)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<delimited>`(?:[^`\\]|\\(?s:.))*`)
  | (?P<string>'(?:[^'\\]|\\(?s:.))*')
  | (?P<symbol><=|>=|!=|!~|\$this|\$index|\$total|[-+*/&|=~<>.,()\[\]{}%])
    """,
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|(?s:.))")
_ESCAPED: Final = {"f": "\f", "n": "\n", "r": "\r", "t": "\t"} | {one: one for one in "`'\"\\/"}


class Token(msgspec.Struct, frozen=True, gc=False):
    """A token: its kind, its text with escapes resolved, and where it begins."""

    kind: str
    text: str
    at: int


def read_tokens(source: Source) -> list[Token]:
    """Cut an expression into tokens, an `end` last, or refuse it at the first letter that fits nowhere."""
    text, tokens, at = source.text, [], 0
    if len(text) > EXPRESSION_CHARS_MAX:
        source.refuse(Stage.SYNTAX, 0, f"longer than {EXPRESSION_CHARS_MAX:,} characters")
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            source.refuse(Stage.SYNTAX, at, _explain(text, at))
        if match.lastgroup == "number" and len(match[0]) > NUMBER_CHARS_MAX:
            source.refuse(Stage.SYNTAX, at, f"a number of more than {NUMBER_CHARS_MAX} digits")
        if match.lastgroup != "space":
            tokens.append(_make_token(source, match.lastgroup, match[0], at))
        at = match.end()
    tokens.append(Token(END, "", at))
    return tokens


def _make_token(source: Source, kind: str, text: str, at: int) -> Token:
    if kind in {"string", "delimited"}:

        def unescape(match: re.Match[str]) -> str:
            code = match[1]
            if len(code) > 1:
                return chr(int(code[1:], 16))
            if code not in _ESCAPED:
                source.refuse(Stage.SYNTAX, at + match.start() + 1, "an escape that does not exist")
            return _ESCAPED[code]

        return Token(kind, _ESCAPE.sub(unescape, text[1:-1]), at)
    return Token(kind, text[1:] if kind in {"date", "datetime", "time"} else text, at)


def _explain(text: str, at: int) -> str:
    if text.startswith("/*", at):
        return "a comment without an end"
    if text[at] in "'`":
        return "a quote without an end"
    return "a character that does not belong here"
