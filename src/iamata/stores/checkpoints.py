"""The last checkpoint that was checked at each node, in a file: rewriting is noticed by the next run."""

import contextlib
import os
import threading
from pathlib import Path
from typing import Annotated, Final

import msgspec

from iamata.ledger.receipts import Checkpoint
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused

CHECKPOINTS_FILE: Final = "checkpoints.json"
CHECKPOINTS_BYTES_MAX: Final = 4 * 1_024 * 1_024
NODES_MAX: Final = 1_000
_NEXT_SUFFIX: Final = ".next"
_MODE: Final = 0o600


class Checkpoints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """By network and member whose node showed it."""

    checked: Annotated[dict[str, Checkpoint], msgspec.Meta(max_length=NODES_MAX)]


class CheckpointFile:
    """One file; what is in it is a guard against other people's rewriting, not against its owner's."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CHECKPOINTS_FILE
        self._guard = threading.Lock()

    def find(self, name: str) -> Checkpoint | None:
        """Return the last checkpoint of a node, None where there is none."""
        return self._load().get(name)

    def list_of(self, network: str) -> list[Checkpoint]:
        """List the last checkpoints of a network's nodes."""
        return [one for name, one in self._load().items() if name.startswith(f"{network}/")]

    def keep(self, name: str, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint of a node."""
        with self._guard:
            checked = {**self._load(), name: checkpoint}
            fresh = self._path.with_name(self._path.name + _NEXT_SUFFIX)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode_struct(Checkpoints(checked=checked)))
            fresh.replace(self._path)

    def _load(self) -> dict[str, Checkpoint]:
        try:
            with self._path.open("rb") as file:
                raw = file.read(CHECKPOINTS_BYTES_MAX + 1)
        except FileNotFoundError:
            return {}
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            if len(raw) <= CHECKPOINTS_BYTES_MAX:
                return msgspec.json.decode(raw, type=Checkpoints).checked
        raise Refused(Reason.HOME_CORRUPT, f"{self._path.name} is damaged")
