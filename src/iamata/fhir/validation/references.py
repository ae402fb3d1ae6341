"""Say whether a Reference points to a type of resource that its element allows (R4 2.3.0)."""

import re
from collections.abc import Mapping
from typing import Final

from iamata.fhir.definitions import is_resource_type

Contained = Mapping[str, str]
"""The resources that are contained in the one that is looked at: id and type."""

LOCAL: Final = "#"
"""Begins a reference to a contained resource; alone, it means the resource that contains."""

_RELATIVE: Final = re.compile(
    r"([A-Za-z]+)(?:/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?|\?\S*)"
)
"""Type and id, perhaps a version; or a search, which a transaction resolves (3.1.0.10.2)."""
_REST: Final = re.compile(
    r"https?://\S*/([A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*:\S+")
_SPACELESS: Final = re.compile(r"\S*")


def read_target(text: str, contained: Contained) -> str | None:
    """Return the type that a literal reference names; None where the reference is malformed.

    It is "" where none is named, as in `urn:uuid:…`, and "#" where no contained resource has the id.
    """
    address, mark, local = text.partition(LOCAL)
    if mark and not address:
        return contained.get(local, LOCAL) if local else ""
    if mark and _SPACELESS.fullmatch(local) is None:
        return None
    match = _RELATIVE.fullmatch(address)
    if match is not None:
        return match[1] if is_resource_type(match[1]) else None
    match = _REST.fullmatch(address)
    if match is not None and is_resource_type(match[1]):
        return match[1]
    return "" if _ABSOLUTE.fullmatch(address) else None
