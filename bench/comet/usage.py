"""What processes and folders use: seconds of a core from /proc, bytes on the disk."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from iamata.node.comet_home import COMET_FOLDER, DATA_FOLDER
from iamata.testing.running import COMET, MEMBERS, NODE, RunningNetwork

LEDGER_FOLDER: Final = "ledger"

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Fields of /proc/PID/stat, counted from the one after the name."""
_BLOCK_BYTES: Final = 512


@dataclasses.dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds of a core that a node's two programs used, summed over all nodes."""

    node: float
    comet: float

    def __sub__(self, earlier: "Seconds") -> "Seconds":
        return Seconds(self.node - earlier.node, self.comet - earlier.comet)


@dataclasses.dataclass(frozen=True, slots=True)
class Bytes:
    """What lies on the disk at one node."""

    ledger: int
    """Our blocks, state and log."""
    blocks: int
    """CometBFT's copy of the blocks."""
    log: int
    """CometBFT's write-ahead log, which never grows beyond a gigabyte."""

    def __sub__(self, earlier: "Bytes") -> "Bytes":
        return Bytes(self.ledger - earlier.ledger, self.blocks - earlier.blocks, self.log - earlier.log)


def measure_seconds(network: RunningNetwork) -> Seconds:
    """Read what all nodes have used until now."""
    return Seconds(
        node=sum(_sum_seconds(network.get_pid(one, NODE)) for one in MEMBERS),
        comet=sum(_sum_seconds(network.get_pid(one, COMET)) for one in MEMBERS),
    )


def measure_bytes(home: Path) -> Bytes:
    """Read what a home takes up on the disk."""
    data = home / COMET_FOLDER / DATA_FOLDER
    return Bytes(
        ledger=_sum_bytes(home / LEDGER_FOLDER),
        blocks=_sum_bytes(data / "blockstore.db"),
        log=_sum_bytes(data / "cs.wal"),
    )


def _sum_seconds(pid: int) -> float:
    """Sum over a process and those that it started."""
    return sum(
        (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S
        for fields in map(_read_stat, (pid, *_list_children(pid)))
    )


def _list_children(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, path.read_text().split())


def _read_stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _sum_bytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks * _BLOCK_BYTES for path in folder.rglob("*") if path.is_file())
