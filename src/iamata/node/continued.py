"""The mark on a home whose network goes on elsewhere: two homes must not act with one member's keys."""

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from iamata.model.canonical import encode_struct
from iamata.model.ids import NetworkId
from iamata.model.reasons import Reason, Refused
from iamata.node.keyfiles import KEY_MODE, write_new

CONTINUED_FILE: Final = "continued.json"
CONTINUED_BYTES_MAX: Final = 1_024


class Continued(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As which network a home's goes on."""

    network: NetworkId


def mark_continued(path: Path, network: NetworkId) -> None:
    """Let nobody open a home again, but to verify it or to copy from it."""
    write_new(path / CONTINUED_FILE, encode_struct(Continued(network=network)), mode=KEY_MODE)


def refuse_continued(path: Path) -> None:
    """Refuse a home whose network goes on in another one."""
    try:
        with (path / CONTINUED_FILE).open("rb") as file:
            raw = file.read(CONTINUED_BYTES_MAX)
    except FileNotFoundError:
        return
    network = "another one"
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
        network = msgspec.json.decode(raw, type=Continued).network
    raise Refused(Reason.NETWORK_CONTINUED, f"it goes on as network {network}")


def unmark_continued(path: Path) -> None:
    """Take a mark back, as where another home could not be marked."""
    (path / CONTINUED_FILE).unlink(missing_ok=True)
