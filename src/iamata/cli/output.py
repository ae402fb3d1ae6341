"""How commands speak: a result on the output, in lines or in JSON; all else on the error stream."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from iamata.model.reasons import Reason, Refused

IS_JSON: ContextVar[bool] = ContextVar("IS_JSON", default=False)
IS_DEBUG: ContextVar[bool] = ContextVar("IS_DEBUG", default=False)

_GAP = "  "


def say(text: str = "") -> None:
    """Print a line of the result, for people."""
    if not IS_JSON.get():
        _print(text)


def note(text: str) -> None:
    """Print what is being done, or what deserves a look, on the error stream."""
    if not IS_JSON.get():
        _print(escape(text), is_error=True)


def show(result: Mapping[str, Any], lines: Iterable[str] = ()) -> None:
    """Print a command's result: its lines for people, or the document for machines."""
    if IS_JSON.get():
        sys.stdout.write(msgspec.json.encode(result, order="sorted").decode("utf-8") + "\n")
        sys.stdout.flush()  # a command that goes on running is heard at once
        return
    for line in lines:
        say(line)


def spell_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table whose lines are never cut or folded, so that ids can be copied and searched for."""
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    return [
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (columns, *rows)
    ]


def confirm(question: str, *, is_agreed: bool) -> None:
    """Ask before what cannot be undone, or is signed; who cannot be asked has to say --yes."""
    if is_agreed:
        return
    if IS_JSON.get() or not sys.stdin.isatty():
        raise Refused(Reason.INPUT_INVALID, "nobody can be asked here; agree with --yes")
    if not typer.confirm(question, err=True):
        raise Refused(Reason.INPUT_INVALID, "you said no, and nothing was done")


def ask(question: str, given: str | None, *, option: str) -> str:
    """Return what was given, or ask for it: the arguments of a command can be read by others."""
    if given is not None:
        return given
    if IS_JSON.get() or not sys.stdin.isatty():
        raise Refused(Reason.INPUT_INVALID, f"nobody can be asked here; give {option}")
    answer: str = typer.prompt(question, err=True)
    return answer


def escape(text: str) -> str:
    """Spell out what a terminal would obey or could not show: a file's name may hold anything."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def complain(text: str, document: Mapping[str, Any] | None = None) -> None:
    """Print what went wrong, on the error stream."""
    if IS_JSON.get():
        sys.stderr.write(json.dumps(document or {"error": text}, separators=(",", ":")) + "\n")
    else:
        _print(escape(text), is_error=True)


def make_progress() -> Progress:
    """Make a progress display with rate and time left, on the error stream; silent for machines."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=IS_JSON.get() or not sys.stderr.isatty(),
        transient=True,
    )


def _print(text: str, *, is_error: bool = False) -> None:
    Console(stderr=is_error, highlight=False, soft_wrap=True).print(text, markup=False)
