"""What a researcher writes, as an object, a dictionary or a file: the bytes that a command would read."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from iamata.model.reasons import Reason, Refused, require
from iamata.node.studying import read_file

Document: TypeAlias = msgspec.Struct | Mapping[str, object] | str | Path
"""Text is the path of a file."""


def read_document(said: Document, *, bytes_max: int) -> bytes:
    """Return a document's JSON, or refuse one that is too large, or no document."""
    if isinstance(said, str | Path):
        return read_file(Path(said), bytes_max=bytes_max)
    try:
        raw = msgspec.json.encode(said)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, f"no document of JSON: {error}") from error
    require(len(raw) <= bytes_max, Reason.INPUT_TOO_LARGE, f"{bytes_max:,} bytes are allowed")
    return raw
