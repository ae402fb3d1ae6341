"""Which code a node would run for a study: one hash over the sources of what learns."""

import functools
import hashlib
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from typing import Final

from iamata.model.ids import Digest, encode_digest

_PACKAGE: Final = "iamata.learning"
_ARITHMETIC: Final = "numpy"
"""Its version belongs to what was reviewed: the same sums have to come to the same model everywhere."""


@functools.cache
def compute_code_digest() -> Digest:
    """Name the code: SHA-256 over each source file's path and bytes, in order, and NumPy's version."""
    named = hashlib.sha256(b"iamata/1/code\x00")
    for path, source in sorted(_list_sources(resources.files(_PACKAGE), "")):
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
