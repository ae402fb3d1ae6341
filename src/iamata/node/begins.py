"""Where a stored ledger's replay begins: at its genesis, or at the snapshot that lies beside it.

A snapshot is believed as far as it comes to the app hash that validators have signed; its blocks are held
against their headers, and against those that the ledger keeps, but not run.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from iamata.crypto.authmap import AuthMap
from iamata.crypto.tiles import Frontier
from iamata.engines.keeping.beginning import Beginning, Tiles, check_beginning, read_beginning
from iamata.engines.keeping.commits import CommitFile, read_kept
from iamata.engines.keeping.restoring import FIRST_SEGMENT
from iamata.engines.keeping.segments import Segment
from iamata.engines.keeping.storage import LedgerFile
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis
from iamata.ledger.header import read_block_header
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.state import LedgerState
from iamata.workflows.disclosure_verification import expect
from iamata.workflows.vouching import Vouched, vouch_for_beginning, vouch_for_first


@dataclasses.dataclass(frozen=True, slots=True)
class Begin:
    """What the first block that is run follows."""

    lineage: tuple[Genesis, ...]
    """The networks whose blocks are run, oldest first; after a snapshot just the one that it is of."""
    make_state: Callable[[], LedgerState]
    """Makes it anew, as a replay changes it."""
    height: int
    log_size: int
    segment: Segment
    """What the ledger's file began with."""
    blocks: tuple[StoredBlock, ...] = ()
    """A snapshot's."""
    tiles: Tiles = dataclasses.field(default_factory=dict)

    def read_tile(self, level: int, position: int) -> bytes:
        """Return a tile of the log as it was then."""
        return self.tiles.get((level, position), b"")

    def vouch(self, state: LedgerState, commits: CommitFile | None, *, now_ms: int) -> Vouched:
        """Say what votes there are for the state that a network's next block finds."""
        if not self.blocks or commits is None:
            return vouch_for_first(state)
        lights = (read_kept(raw) for _, raw in commits.read_all())
        return vouch_for_beginning(state.genesis, self.blocks, state, lights, now_ms=now_ms)


def find_begin(folder: Path, lineage: Sequence[Genesis]) -> Begin:
    """Find where a ledger begins, or refuse a snapshot that is not what it says.

    A snapshot is of the newest network, and holds nothing of those that it goes on from.
    """
    beginning = read_beginning(folder)
    if beginning is not None:
        return _begin_with_snapshot(beginning, lineage[-1])
    first = lineage[0]
    entries = dict(LedgerState(first).entries.items())
    return Begin(
        lineage=tuple(lineage),
        make_state=lambda: LedgerState(first),
        height=0,
        log_size=0,
        segment=Segment(FIRST_SEGMENT, entries),
    )


def check_first_blocks(file: LedgerFile, begin: Begin) -> None:
    """Refuse a ledger whose first blocks are not those of the snapshot with which it began."""
    stored = iter(file.read_blocks())
    for block in begin.blocks:
        is_same = next(stored, None) == block
        expect(is_same, f"block {block.height} is not the one that the ledger began with")


def _begin_with_snapshot(beginning: Beginning, genesis: Genesis) -> Begin:
    expect(bool(beginning.blocks), "the snapshot that the ledger began with has no blocks")
    last = beginning.blocks[-1]
    header = read_block_header(last.header, genesis)
    # That this is the app hash which validators signed, their votes for the next header show.
    tiles = check_beginning(beginning, genesis, height=last.height, app_hash=header.app_hash)
    size = last.first_leaf + len(last.leaves)

    def make_state() -> LedgerState:
        state = LedgerState(genesis)
        state.restore(
            entries=AuthMap.load(beginning.entries),
            frontier=Frontier.load(size, lambda level, position: tiles.get((level, position), b"")),
            header=header,
            recent=[
                (block.time_ms, [decode_leaf(leaf).id for leaf in block.leaves])
                for block in beginning.blocks
            ],
        )
        return state

    return Begin(
        lineage=(genesis,),
        make_state=make_state,
        height=last.height,
        log_size=size,
        segment=Segment(last.height, dict(beginning.entries)),
        blocks=beginning.blocks,
        tiles=tiles,
    )
