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
    write_new(path, encode_digest(seed).encode("ascii") + b"\n", mode=KEY_MODE)


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is not there yet, and make it durable together with its name."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise Refused(Reason.HOME_ALREADY_EXISTS, f"the file {path.name}") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_key(path: Path) -> bytes:
    """Read a key file, or refuse one that is missing, damaged or readable by others.

    A link is followed, as secrets are often mounted; what counts is who may read the file behind it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(KEY_FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise Refused(Reason.HOME_NOT_FOUND, f"the key file {path.name}") from error
    except OSError as error:
        raise Refused(Reason.HOME_CORRUPT, f"the key file {path.name}: {error.strerror}") from error
    require(
        mode & 0o077 == 0, Reason.HOME_CORRUPT, f"the key file {path.name} is open to others: chmod 600 it"
    )
    with contextlib.suppress(ValueError):
        text = raw.decode("ascii").removesuffix("\n")
        seed = decode_digest(text)
        if len(seed) == DIGEST_BYTES and encode_digest(seed) == text:
            return seed
    raise Refused(Reason.HOME_CORRUPT, f"the key file {path.name}")
