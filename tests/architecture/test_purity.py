"""The pure packages ask nothing of the machine that they run on: what import-linter cannot show."""

import ast
from typing import Final

import pytest

from impurity import find_impurities, find_set_constants
from sources import PACKAGE, Source, read_product

PURE: Final = ("model", "crypto", "consent", "ledger", "fhir", "learning")

ALLOWED: Final = {
    ("model/canonical.py", "float"): "RFC 8785 says how a float is written; ledger JSON itself has none",
    (
        "fhir/definitions.py",
        "input or output",
    ): "the table of definitions lies beside the code and is read as an import is: once, always the same",
    (
        "ledger/execution.py",
        "except Exception",
    ): "a transaction that crashes is named and dropped before finality",
}
"""What a pure module may do all the same, and why."""

FIGURES: Final = ("learning",)
"""Packages that floats are made for. What sites must agree on they compute element by element."""
FLOATING: Final = frozenset({"float", "true division"})


def find_pure_sources() -> list[Source]:
    """List the modules of the pure packages."""
    return [source for source in read_product() if source.package in PURE]


def find_all() -> dict[tuple[str, str], list[int]]:
    """Find every impurity of the pure packages: module and word, and the lines."""
    sources = find_pure_sources()
    constants = frozenset(
        name for source in sources for name in find_set_constants(source.tree, source.module)
    )
    found: dict[tuple[str, str], list[int]] = {}
    for source in sources:
        for line, what in find_impurities(source.tree, constants):
            if source.package in FIGURES and what in FLOATING:
                continue
            found.setdefault((source.path.relative_to(PACKAGE).as_posix(), what), []).append(line)
    return found


def test_pure_packages_are_pure() -> None:
    found = find_all()

    assert {key: lines for key, lines in found.items() if key not in ALLOWED} == {}


def test_every_exception_is_still_needed() -> None:
    assert ALLOWED.keys() - find_all().keys() == set()


def test_the_pure_packages_that_exist_are_looked_at() -> None:
    looked_at = {source.package for source in find_pure_sources()}

    assert looked_at >= {"model", "crypto", "consent", "ledger", "fhir", "learning"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import time", "clock"),
        ("from datetime import datetime\nx = datetime.now()", "clock"),
        ("x = date.today()", "clock"),
        ("import random", "chance"),
        ("from os import urandom", "chance"),
        ("from uuid import uuid4", "chance"),
        ("import os", "environment"),
        ("x = y.environ", "environment"),
        ("import pathlib", "input or output"),
        ("open('x')", "input or output"),
        ("print('x')", "input or output"),
        ("import threading", "concurrency"),
        ("x = 0.5", "float"),
        ("x = float('1')", "float"),
        ("x = a / b", "true division"),
        ("a /= b", "true division"),
        ("x = hash(y)", "hash()"),
        ("x = id(y)", "id()"),
        ("for x in {1, 2}: pass", "set"),
        ("x = {y for y in z}", "set"),
        ("x = set(y)", "set"),
        ("def f(): return frozenset(y)", "set"),
        ("A: Final = frozenset({1})\nfor x in A: pass", "set"),
        ("from other import A\nfor x in A: pass", "set"),
        ("x = a.keys() | b.keys()", "set"),
        ("assert x", "assert"),
        ("try: pass\nexcept Exception: pass", "except Exception"),
        ("try: pass\nexcept: pass", "except Exception"),
        ("eval(x)", "eval"),
    ],
)
def test_an_impurity_is_seen(text: str, what: str) -> None:
    assert what in {found for _, found in find_impurities(ast.parse(text), constants=("other.A",))}


@pytest.mark.parametrize(
    "text",
    [
        "x = y in {1, 2}",
        "A: Final = frozenset({1, 2})\nx = y not in A",
        "from other import A\nx = y in A",
        "from elsewhere import A\nx = y == A",
        "x = a // b",
        "id: str = ''",
        "try: pass\nexcept ValueError: pass",
    ],
)
def test_what_is_pure_passes(text: str) -> None:
    assert list(find_impurities(ast.parse(text), constants=("other.A",))) == []
