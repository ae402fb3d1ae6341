"""The project's own Python files, parsed once, as the architecture tests look at them."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = ROOT / "src" / "iamata"
FOLDERS: Final = ("src", "tests", "bench", "scripts")


@dataclass(frozen=True)
class Source:
    """One Python file of the project."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The file's path as people write it, from the checkout."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def package(self) -> str:
        """The package of `iamata` in which the file lies, or the file's own name at the top."""
        return self.path.relative_to(PACKAGE).parts[0].removesuffix(".py")

    @property
    def module(self) -> str:
        """The dotted name by which the file is imported."""
        return ".".join(self.path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        )

    @property
    def is_product(self) -> bool:
        """Whether this file is installed, rather than beside it."""
        return self.path.is_relative_to(PACKAGE)


@functools.cache
def read_sources() -> tuple[Source, ...]:
    """Read every Python file of the project."""
    paths = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    texts = ((path, path.read_text(encoding="utf-8")) for path in paths)
    return tuple(Source(path, text, ast.parse(text)) for path, text in texts)


def read_product() -> tuple[Source, ...]:
    """Read every Python file that is installed."""
    return tuple(source for source in read_sources() if source.is_product)


def find_imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name each module that is imported, with its line; `from a import b` counts as `a.b` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def is_within(module: str, package: str) -> bool:
    """Tell whether a dotted name is a package or lies in it."""
    return module == package or module.startswith(f"{package}.")
