"""Keep what validators sign, as it becomes final: each light block follows from the one before.

The application learns of a block before the next header vouches for what the block came to, so a checkpoint
of the newest state waits for it: a moment, as CometBFT makes that next block by itself.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from iamata.engines.comet.rpc import CometRpc
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.commits import CommitFile, read_kept
from iamata.ledger.genesis import Genesis
from iamata.ledger.light.verifying import (
    Trust,
    check_clock,
    check_light_block,
    find_steps,
    is_within_reach,
    trust_genesis,
    trust_light_block,
)
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest
from iamata.model.reasons import Reason, Refused

LOOK_S: Final = 2.0
"""How often to look where nobody says that there is something new."""
RETRY_S: Final = 0.05
VOUCH_TIMEOUT_S: Final = 10.0
"""How long a checkpoint waits; without a quorum of validators there is no next header."""

_LOG: Final = logging.getLogger(__name__)


class CommitWitness(Protocol):
    """What shows that validators agreed on what a block came to."""

    def notice(self, height: int) -> None:
        """Hear that a block is durable."""
        ...

    def has_vouched(self, height: int, app_hash: Digest) -> bool:
        """Tell, without waiting, whether what a block came to is vouched for already."""
        ...

    def vouch(self, height: int, app_hash: Digest) -> tuple[bytes, Sequence[bytes]]:
        """Return the light block that vouches for what a block came to, and the steps that lead there."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Witness:
    """A thread that asks CometBFT for every commit, and the file that it keeps them in."""

    def __init__(
        self, folder: Path, genesis: Genesis, rpc: CometRpc, *, clock: Callable[[], int] = read_clock_ms
    ) -> None:
        self._rpc = rpc
        self._clock = clock
        self._root = trust_genesis(genesis)
        self._file = CommitFile(folder, is_writer=True)
        self._trust = self._find_trust()
        self._wanted = 0
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="iamata-witness", daemon=True)
        self._thread.start()

    @property
    def height(self) -> int:
        """Tell how far the commits go that were checked and kept."""
        return self._trust.height

    def notice(self, height: int) -> None:
        """Say that a block is durable: its header can be asked for, and soon the next one."""
        with self._changed:
            self._wanted = max(self._wanted, height)
            self._changed.notify_all()

    def has_vouched(self, height: int, app_hash: Digest) -> bool:
        """Tell, without waiting, whether what a block came to is vouched for already."""
        return self._file.find_vouching(app_hash, height=height) is not None

    def vouch(self, height: int, app_hash: Digest) -> tuple[bytes, Sequence[bytes]]:
        """Return the light block that vouches for what a block came to, and the steps that lead there."""
        deadline_s = time.monotonic() + VOUCH_TIMEOUT_S
        while (found := self._file.find_vouching(app_hash, height=height)) is None:
            with self._changed:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or self._is_closing:
                    message = f"no quorum of validators has vouched for block {height} yet"
                    raise Refused(Reason.TOO_BUSY, message)
                self._wanted = max(self._wanted, height + 1)
                self._changed.notify_all()
                self._changed.wait(min(left_s, RETRY_S))
        return found, list_steps(found, self._root, self._file)

    def close(self) -> None:
        """Stop asking."""
        with self._changed:
            if self._is_closing:
                return
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()
        self._rpc.close()
        self._file.close()

    def _run(self) -> None:
        trouble = ""
        while self._await_work():
            try:
                self._catch_up()
                trouble = ""
            except Refused as refused:
                if str(refused) != trouble:
                    _LOG.warning("commits: %s", refused)
                trouble = str(refused)
                self._pause()

    def _await_work(self) -> bool:
        """Wait until there may be something new; say whether to go on."""
        with self._changed:
            if not self._is_closing and self._wanted <= self._trust.height:
                self._changed.wait(LOOK_S)
            return not self._is_closing

    def _pause(self) -> None:
        with self._changed:
            if not self._is_closing:
                self._changed.wait(RETRY_S)

    def _catch_up(self) -> None:
        """Ask for every commit that there is and we have not."""
        sync = self._rpc.read_status().sync_info
        newest, earliest = int(sync.latest_block_height), int(sync.earliest_block_height)
        for height in range(max(self._trust.height + 1, earliest), newest + 1):
            if self._is_closing:
                return
            light = self._rpc.read_light_block(height)
            check_clock(light, now_ms=self._clock())
            trust = check_light_block(light, self._trust)
            self._file.add(light)
            with self._changed:
                self._trust = trust
                self._changed.notify_all()
        if self._wanted > newest:
            self._pause()

    def _find_trust(self) -> Trust:
        """Begin where the file ends; what it holds was checked when it was written."""
        last = self._file.find_last_height()
        raw = self._file.find(last) if last > self._root.height else None
        return self._root if raw is None else trust_light_block(read_kept(raw), self._root)


def list_steps(found: bytes, root: Trust, file: CommitFile) -> list[bytes]:
    """List the light blocks that lead from what is trusted to one that is kept."""
    light = read_kept(found)
    steps = [] if is_within_reach(light, root) else find_steps(light, root, file.list_turns())
    return [encode_struct(step) for step in steps]
