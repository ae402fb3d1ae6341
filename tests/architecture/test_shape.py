"""Files, functions and names keep the shape that CONTRIBUTING.md promises to a reader."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from sources import read_product, read_sources

FILE_LINES_MAX: Final = 500
FUNCTION_LINES_MAX: Final = 40
LONG_FUNCTIONS: Final[tuple[str, ...]] = ()
"""Functions that may be longer, as `file:name`. Empty, and meant to stay so."""

BANNED_MODULES: Final = ("base", "common", "core", "helpers", "misc", "util", "utils")
"""Names under which anything could lie."""
BANNED_VERBS: Final = re.compile(r"_*(do|handle|manage)_")
"""Verbs that do not say what a function may do."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_functions() -> Iterator[tuple[str, Function]]:
    """Yield every function of the project with its place."""
    for source in read_sources():
        for node in ast.walk(source.tree):
            if isinstance(node, Function):
                yield f"{source.name}:{node.name}", node


def test_no_file_is_too_long() -> None:
    lengths = {source.name: source.text.count("\n") for source in read_sources()}

    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES_MAX} == {}


def test_every_function_fits_on_a_screen() -> None:
    lengths = {
        place: (node.end_lineno or node.lineno) - node.lineno + 1 for place, node in find_functions()
    }

    too_long = {place: lines for place, lines in lengths.items() if lines > FUNCTION_LINES_MAX}
    assert {place: lines for place, lines in too_long.items() if place not in LONG_FUNCTIONS} == {}


def test_no_module_is_named_for_nothing() -> None:
    assert [source.name for source in read_product() if source.path.stem.strip("_") in BANNED_MODULES] == []
    assert [source.name for source in read_product() if source.package in BANNED_MODULES] == []


def test_no_function_hides_behind_a_vague_verb() -> None:
    assert [place for place, _ in find_functions() if BANNED_VERBS.match(place.rpartition(":")[2])] == []
