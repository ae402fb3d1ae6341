"""Which members a home serves, written down beside their folders: one that vanishes whole is missed.

Whoever can rewrite this file can also remove folders; it is a guard against loss, not against its owner.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from iamata.model.canonical import encode_struct
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.keyfiles import KEY_MODE, write_new

SERVED_FILE: Final = "served.json"
SERVED_BYTES_MAX: Final = 16_384
_NEXT: Final = "served.next.json"


class Served(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members whose folders a home has."""

    members: tuple[MemberId, ...]


def write_served(path: Path, members: Iterable[MemberId]) -> None:
    """Write down whom a home serves; a crash leaves the old list or the new one."""
    (path / _NEXT).unlink(missing_ok=True)
    write_new(path / _NEXT, encode_struct(Served(members=tuple(sorted(members)))), mode=KEY_MODE)
    (path / _NEXT).replace(path / SERVED_FILE)


def read_served(path: Path) -> tuple[MemberId, ...]:
    """Read whom a home serves, or refuse a list that is missing or damaged."""
    try:
        with (path / SERVED_FILE).open("rb") as file:
            raw = file.read(SERVED_BYTES_MAX + 1)
    except OSError as error:
        raise Refused(Reason.HOME_CORRUPT, f"{SERVED_FILE}: {os.strerror(error.errno or 0)}") from error
    with contextlib.suppress(ValueError, RecursionError):
        served = msgspec.json.decode(raw, type=Served)
        if len(raw) <= SERVED_BYTES_MAX and encode_struct(served) == raw:
            return served.members
    raise Refused(Reason.HOME_CORRUPT, f"{SERVED_FILE} is damaged")


def check_served(path: Path, folders: Iterable[str]) -> None:
    """Refuse unless the members' folders are those that were written down."""
    try:
        served = list(read_served(path))
    except Refused as refused:
        raise Refused(Reason.FAULT_FOUND, refused.detail) from refused
    found = list(folders)
    for member in served:
        require(
            member in found, Reason.FAULT_FOUND, f"members/{member}, which {SERVED_FILE} names, is missing"
        )
    for name in found:
        require(name in served, Reason.FAULT_FOUND, f"members/{name} is not named in {SERVED_FILE}")
    require(sorted(found) == served, Reason.FAULT_FOUND, f"{SERVED_FILE} is damaged")
