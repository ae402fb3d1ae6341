"""Files for what should not stand in a command's arguments, where everybody on a machine can read it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from iamata.model.reasons import Reason, Refused, require

TEXT_CHARACTERS_MAX: Final = 8 * 1024
PRIVATE_MODE: Final = 0o600


def read_text(text: str) -> str:
    """Return an argument, or what it points to: `@FILE`, or `-` for the standard input."""
    if text == "-":
        return _check(sys.stdin.read(TEXT_CHARACTERS_MAX + 1))
    if not text.startswith("@"):
        return text
    path = Path(text[1:])
    try:
        with path.open(encoding="utf-8") as file:
            return _check(file.read(TEXT_CHARACTERS_MAX + 1))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    except UnicodeDecodeError as error:
        raise Refused(Reason.INPUT_INVALID, f"{path} is no text") from error


@contextlib.contextmanager
def open_new(path: Path | None) -> Iterator[TextIO | None]:
    """Open a new file for its owner alone; whatever interrupts it, no part stays."""
    if path is None:
        yield None
        return
    try:
        file = open(path, "x", encoding="utf-8", opener=_open_private)  # noqa: SIM115  closed below
    except FileExistsError as error:
        raise Refused(Reason.HOME_ALREADY_EXISTS, str(path)) from error
    try:
        yield file
        file.close()
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong first is what is told
            file.close()
        path.unlink(missing_ok=True)
        raise


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE_MODE)


def _check(text: str) -> str:
    require(len(text) <= TEXT_CHARACTERS_MAX, Reason.INPUT_TOO_LARGE, "8,192 characters are allowed")
    return text.strip()
