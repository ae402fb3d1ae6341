"""An outbox's file, beside the wallet's: its digest in one line, canonical JSON in the next.

The ledger does not know what waits, so nothing else could find a bit of it that has changed.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from iamata.model.canonical import encode_struct
from iamata.model.ids import encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.stores.private_files import read_private, replace_private
from iamata.workflows.outbox import Outbox

OUTBOX_FILE: Final = "outbox.json"
OUTBOX_BYTES_MAX: Final = 32 * 1024 * 1024


def load_outbox(folder: Path) -> Outbox:
    """Read the outbox of the wallet in a folder: an empty one where nothing ever waited."""
    path = folder / OUTBOX_FILE
    try:
        raw = read_private(path, bytes_max=OUTBOX_BYTES_MAX)
    except FileNotFoundError:
        return Outbox()
    except OSError as error:
        raise Refused(Reason.CANNOT_OPEN, f"{path}: {error.strerror}") from error
    digest, _, body = raw.partition(b"\n")
    require(digest == _compute_digest(body), Reason.CANNOT_OPEN, f"{path} is damaged")
    try:
        return msgspec.json.decode(body, type=Outbox)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.CANNOT_OPEN, f"{path} is damaged") from error


def save_outbox(folder: Path, outbox: Outbox) -> None:
    """Replace the outbox durably; a crash leaves the old one or the new one."""
    body = encode_struct(outbox)
    require(len(body) < OUTBOX_BYTES_MAX, Reason.INPUT_TOO_LARGE, "the outbox")
    replace_private(folder / OUTBOX_FILE, _compute_digest(body) + b"\n" + body, what="the outbox")


def _compute_digest(body: bytes) -> bytes:
    return encode_digest(hashlib.sha256(body).digest()).encode("ascii")
