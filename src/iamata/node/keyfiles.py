"""Private keys in files: 32 bytes in base64url, mode 600, written once."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from iamata.model.ids import DIGEST_BYTES, decode_digest, encode_digest
from iamata.model.reasons import Reason, Refused, require

KEY_MODE: Final = 0o600
KEY_FILE_BYTES_MAX: Final = 64
FOLDER_MODE: Final = 0o700


def write_key(path: Path, seed: bytes) -> None:
    """Write a new key file that only its owner can read; an existing one is never overwritten."""
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_MODE)
    except FileExistsError as error:
        raise Refused(Reason.HOME_ALREADY_EXISTS, f"the key file {path.name}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(encode_digest(seed) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_key(path: Path) -> bytes:
    """Read a key file, or refuse one that is missing, damaged or readable by others."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(KEY_FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise Refused(Reason.HOME_NOT_FOUND, f"the key file {path.name}") from error
    require(mode & 0o077 == 0, Reason.HOME_CORRUPT, f"the key file {path.name} is open to others: chmod 600 it")
    with contextlib.suppress(ValueError):
        text = raw.decode("ascii").removesuffix("\n")
        seed = decode_digest(text)
        if len(seed) == DIGEST_BYTES and encode_digest(seed) == text:
            return seed
    raise Refused(Reason.HOME_CORRUPT, f"the key file {path.name}")
