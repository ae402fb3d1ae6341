"""Some things have one home: the cryptographic libraries, SQL, the environment, the terminal."""

import ast
import functools
from collections.abc import Iterator
from typing import Final

import pytest

from sources import PACKAGE, find_imports, is_within, read_product

HOMES: Final = {
    "cryptography": ("crypto/",),
    "google": ("engines/comet/",),
    "nacl": ("crypto/",),
    "numpy": ("learning/",),
    "sqlite3": ("engines/keeping/", "stores/", "views/"),
    "prometheus_client": ("api/metrics.py",),
    "rich": ("cli/",),
    "starlette": ("api/",),
    "structlog": ("api/", "duties/", "node/logs.py"),
    "typer": ("cli/",),
    "urllib3": ("client/",),
    "uvicorn": ("api/server.py",),
}
"""A library, and the folders that may import it."""
READS_ENVIRONMENT: Final = ("node/",)
FORBIDDEN: Final = ("pickle", "shelve", "marshal", "xml.etree", "unittest")
"""What may be imported nowhere: formats that run what they read, and mocks."""


@functools.cache
def list_imports() -> tuple[tuple[str, str], ...]:
    """List each module that the product imports, and where."""
    return tuple(
        (module, f"{source.path.relative_to(PACKAGE).as_posix()}:{line}")
        for source in read_product()
        for module, line in find_imports(source.tree)
    )


def find_importers(library: str) -> Iterator[str]:
    """Name each module of the product that imports a library, with its line."""
    return (place for module, place in list_imports() if is_within(module, library))


@pytest.mark.parametrize(("library", "homes"), HOMES.items())
def test_a_library_is_imported_only_where_it_lives(library: str, homes: tuple[str, ...]) -> None:
    assert [place for place in find_importers(library) if not place.startswith(homes)] == []


@pytest.mark.parametrize("library", FORBIDDEN)
def test_nothing_imports_what_is_forbidden(library: str) -> None:
    assert list(find_importers(library)) == []


def test_only_a_decision_makes_a_permit() -> None:
    makers = find_importers("iamata.consent.permits.issue_permit")

    assert [place for place in makers if not place.startswith("consent/")] == []


def test_only_the_node_reads_the_environment() -> None:
    readers = [
        f"{source.name}:{node.lineno}"
        for source in read_product()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and not source.path.relative_to(PACKAGE).as_posix().startswith(READS_ENVIRONMENT)
    ]

    assert readers == []
