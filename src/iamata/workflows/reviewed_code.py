"""Which code a node would run for a study: one hash over the sources that a run's figures rest on.

What learns, what makes rows of records and of tables, who takes part, and what masks and carries sums. Not
in it: the interpreter, and libraries other than NumPy, which the locks pin.
"""

import functools
import hashlib
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from operator import itemgetter
from typing import Final

from iamata.model.ids import Digest, encode_digest

PACKAGES: Final = ("columns", "consent", "crypto", "fhir", "learning", "model", "vault", "workflows")
_ARITHMETIC: Final = "numpy"
"""Its version belongs to what was reviewed: the same sums have to come to the same model everywhere."""


@functools.cache
def compute_code_digest() -> Digest:
    """Name the code of this installation."""
    return name_code(resources.files("iamata"))


def name_code(root: Traversable) -> Digest:
    """Name code: SHA-256 over each source file's path and bytes, in order, and NumPy's version."""
    named = hashlib.sha256(b"iamata/1/code\x00")
    sources = [one for name in PACKAGES for one in _list_sources(root / name, f"{name}/")]
    for path, source in sorted(sources, key=itemgetter(0)):
        raw = source.read_bytes()
        named.update(f"{path}\x00{len(raw)}\x00".encode() + raw)
    named.update(f"{_ARITHMETIC} {metadata.version(_ARITHMETIC)}".encode("ascii"))
    return Digest(encode_digest(named.digest()))


def _list_sources(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for one in folder.iterdir():
        if one.is_dir():
            found += _list_sources(one, f"{prefix}{one.name}/")
        elif one.name.endswith(".py"):
            found.append((prefix + one.name, one))
    return found
