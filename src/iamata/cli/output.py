"""How commands speak: plain lines for people, one JSON document for machines, never both."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

IS_JSON: ContextVar[bool] = ContextVar("IS_JSON", default=False)
IS_DEBUG: ContextVar[bool] = ContextVar("IS_DEBUG", default=False)


def say(text: str = "") -> None:
    """Print a line for people."""
    if not IS_JSON.get():
        Console(highlight=False, soft_wrap=True).print(text, markup=False)


def show(result: Mapping[str, Any], lines: Iterable[str] = ()) -> None:
    """Print a command's result: its lines for people, or the document for machines."""
    if IS_JSON.get():
        sys.stdout.write(msgspec.json.encode(result, order="sorted").decode("utf-8") + "\n")
        return
    for line in lines:
        say(line)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table for people."""
    if IS_JSON.get():
        return
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


def complain(text: str) -> None:
    """Print what went wrong, on the error stream."""
    if IS_JSON.get():
        sys.stderr.write(msgspec.json.encode({"error": text}).decode("utf-8") + "\n")
    else:
        Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


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
