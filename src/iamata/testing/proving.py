"""What must hold after every fault: one ledger everywhere, and in it all that was acknowledged."""

import contextlib
import threading
import time
from collections.abc import Collection, Sequence
from typing import Final

from iamata.engines.keeping.storage import LedgerFile
from iamata.ledger.leaves import decode_leaf
from iamata.model.ids import TxId
from iamata.model.reasons import Refused
from iamata.node.home import LEDGER_FOLDER, load_genesis
from iamata.node.verification import verify_ledger
from iamata.testing.running import MEMBERS, RunningNetwork
from iamata.workflows.replaying import ReplayReport

LIFE_S_MAX: Final = 240.0
BATCH: Final = 5
"""Transactions that are under way at a time."""


class Writing:
    """A thread that writes at one node without a pause, and remembers what was acknowledged."""

    def __init__(self, network: RunningNetwork, member: str) -> None:
        self.acknowledged: list[TxId] = []
        self._load = network.connect(member)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> list[TxId]:
        """Stop, and return what was acknowledged."""
        self._stopping.set()
        self._thread.join()
        self._load.close()
        return self.acknowledged

    def _run(self) -> None:
        deadline_s = time.monotonic() + LIFE_S_MAX  # for a test that failed before it said stop
        while not self._stopping.is_set() and time.monotonic() < deadline_s:
            futures = []
            with contextlib.suppress(Refused):
                futures += [self._load.submit() for _ in range(BATCH)]
            for future in futures:
                with contextlib.suppress(Refused):
                    self.acknowledged.append(future.result().id)


def prove(
    network: RunningNetwork, acknowledged: Collection[TxId], members: Sequence[str] = MEMBERS
) -> None:
    """Let these nodes come level, stop the network, and check that no copy differs or lacks anything."""
    network.await_height(max(map(network.read_height, members)), members)
    network.stop()
    compare(network, acknowledged, members)


def compare(
    network: RunningNetwork, acknowledged: Collection[TxId], members: Sequence[str] = MEMBERS
) -> None:
    """Check that no copy of nodes that came level and stopped differs or lacks anything."""
    reports = verify_all(network, members)
    shortest = min(one.blocks for one in reports.values())
    assert len({one.app_hashes[shortest] for one in reports.values()}) == 1  # noqa: S101
    for member in members:
        lost = set(acknowledged) - list_ids(network, member)
        assert not lost, f"{member} lacks {lost}"  # noqa: S101


def verify_all(network: RunningNetwork, members: Sequence[str] = MEMBERS) -> dict[str, ReplayReport]:
    """Check these copies of the ledger, with their votes; the journals never heard of what was written."""
    reports = {}
    for member in members:
        home = network.get_home(member)
        reports[member], _, votes = verify_ledger(home / LEDGER_FOLDER, [load_genesis(home)])
        assert votes is not None  # noqa: S101  validators order it
        assert votes.headers > 0  # noqa: S101
    return reports


def list_ids(network: RunningNetwork, member: str) -> set[TxId]:
    """List the transactions in a member's copy."""
    file = LedgerFile(network.get_home(member) / LEDGER_FOLDER, is_writer=False)
    with contextlib.closing(file):
        return {decode_leaf(leaf).id for block in file.read_blocks() for leaf in block.leaves}
