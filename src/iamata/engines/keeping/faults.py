"""What SQLite and the disk can do to the ledger's file, in words that a caller can act on.

No `sqlite3.Error` leaves this package: a full disk is a refusal after which the engine goes on, damage
names its place, and anything else stops the engine.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Final, NoReturn

from iamata.model.reasons import Reason, Refused

PASSING: Final = (Reason.STORAGE_FULL, Reason.TOO_BUSY)
"""Reasons for which a block was not kept, but the next one may be."""

_REASONS: Final = {
    sqlite3.SQLITE_FULL: Reason.STORAGE_FULL,
    sqlite3.SQLITE_IOERR_WRITE: Reason.STORAGE_FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: Reason.STORAGE_FULL,
    sqlite3.SQLITE_BUSY: Reason.TOO_BUSY,
    sqlite3.SQLITE_CANTOPEN: Reason.HOME_NOT_FOUND,
}
"""An error while flushing is none of these: whether the block is on the disk is then unknown."""


@contextlib.contextmanager
def refusing_faults(place: str) -> Iterator[None]:
    """Turn an error of the file into a refusal that says where it was met."""
    try:
        yield
    except sqlite3.Error as error:
        raise Refused(_classify(error), f"{place}: {error}") from error
    except UnicodeDecodeError as error:  # an error of SQLite's that quotes damaged text
        raise Refused(Reason.HOME_CORRUPT, place) from error


def refuse_damage(place: str) -> NoReturn:
    """Refuse a file of which this part is not what was written there."""
    raise Refused(Reason.HOME_CORRUPT, place)


def _classify(error: sqlite3.Error) -> Reason:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # the library itself refused, which it does on a closed connection only
        return Reason.ENGINE_STOPPED
    return _REASONS.get(code, Reason.HOME_CORRUPT)
