"""Which commands there are, and in which modules. What is not asked for is not even imported."""

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Final

import typer
from typer.main import get_command

from iamata.cli.commands import make_noun

ALONE: Final = ("demo", "verify")
"""Commands without a noun."""
NOUNS: Final[Mapping[str, tuple[str, ...]]] = {
    "network": (),
    "node": ("continuing",),
    "member": (),
    "proposal": (),
    "person": (),
    "patient": (),
    "records": ("validation",),
    "wallet": ("consents", "devices", "memberships", "outbox"),
    "view": (),
    "access": (),
    "emergency": (),
    "study": ("training", "asking"),
    "dataset": (),
    "model": (),
    "ledger": (),
    "sample": (),
}
"""Nouns, each with the modules that add verbs to those in its own."""


def find_word(arguments: Sequence[str]) -> str | None:
    """Find the noun that a command line begins with, or the command that has none."""
    word = arguments[0] if arguments else None
    return word if word in {*ALONE, *NOUNS} else None


@functools.cache
def get_commands(word: str | None = None) -> Callable[..., int | None]:
    """Return the program with the commands of one noun, or with all."""
    app = make_noun("Iamata: health records stay home, consent is proven, learning can be undone.")
    app.callback()(_begin)  # without one, a program of a single command would not want to hear its name
    for command in ALONE:
        if word in {command, None}:
            _import_part(command).add_to(app)
    for noun in NOUNS:
        if word in {noun, None}:
            app.add_typer(_load_noun(noun), name=noun)
    return get_command(app)


@functools.cache
def _load_noun(noun: str) -> typer.Typer:
    app: typer.Typer = _import_part(noun).app
    for part in NOUNS[noun]:
        _import_part(part).add_to(app)
    return app


def _import_part(name: str) -> ModuleType:
    return importlib.import_module(f"iamata.cli.{name}")


def _begin() -> None:
    """Have nothing to do before a command."""
