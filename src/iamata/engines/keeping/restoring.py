"""Start where the file stands: rebuild the state from it, and refuse a file whose parts do not agree.

The signed header of the newest block binds the state and the log; what is read here is checked against it.
Older blocks are for `iamata verify`.
"""

import contextlib
import gc
from collections.abc import Iterator
from typing import Final

from iamata.crypto.authmap import AuthMap
from iamata.crypto.merkle import hash_leaf
from iamata.crypto.tiles import Frontier
from iamata.engines.keeping.faults import refuse_damage
from iamata.engines.keeping.segments import Segment, SegmentIndex
from iamata.engines.keeping.storage import LedgerFile
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.header import Header, read_block_header
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.state import LedgerState
from iamata.ledger.window import WINDOW_MS
from iamata.model.reasons import Reason, Refused, require

FIRST_SEGMENT: Final = 0
"""Where the entries of the genesis lie: before the first block."""


def restore(file: LedgerFile, state: LedgerState) -> tuple[SegmentIndex, bytes | None]:
    """Bring a new state to where the file stands; return the segments' index and the newest header."""
    with _resting_collector():
        last = file.find_last_block()
        entries, segments = file.load_entries()
        if last is None:
            return _begin(file, state, entries, segments), None
        if last.height < state.first_height:
            _inherit(file, state, last, AuthMap.load(entries.items()))
            return segments, None
        header = _read_header(last, state)
        recent = _list_recent(file, header.time_ms - WINDOW_MS)
        state.restore(
            entries=AuthMap.load(entries.items()),
            frontier=_load_frontier(file, recent),
            header=header,
            recent=(),
        )
        is_bound = state.app_hash == header.app_hash
        require(is_bound, Reason.HOME_CORRUPT, f"state and log are not those of block {last.height}")
        for block in recent:
            if block.height >= state.first_height:
                state.window.extend(block.time_ms, [decode_leaf(leaf).id for leaf in block.leaves])
        return segments, last.header


def _inherit(file: LedgerFile, state: LedgerState, last: StoredBlock, entries: AuthMap) -> None:
    """Begin where the predecessor's blocks end: the genesis names what they must come to.

    Whoever copied them here has replayed them; what they say of themselves is not asked again.
    """
    is_whole = last.height == state.first_height - 1
    require(is_whole, Reason.HOME_CORRUPT, f"the predecessor's blocks end at {last.height}")
    state.inherit(entries=entries, frontier=_load_frontier(file, [last]), time_ms=last.time_ms)


def _begin(
    file: LedgerFile, state: LedgerState, entries: dict[bytes, bytes], segments: SegmentIndex
) -> SegmentIndex:
    """Write the genesis' entries where nothing was written yet; find them where no block is."""
    first = dict(state.entries.items())
    if not entries:
        segment = Segment(FIRST_SEGMENT, first)
        file.write_first_segment(segment)
        segments.add(segment)
    elif entries != first:
        raise Refused(Reason.FOREIGN_NETWORK, "what lies here began with another genesis")
    return segments


def _read_header(last: StoredBlock, state: LedgerState) -> Header:
    try:
        header = read_block_header(last.header, state.genesis)
    except Refused as refused:
        raise Refused(Reason.HOME_CORRUPT, f"the header of block {last.height}: {refused}") from refused
    require(header.network == state.network, Reason.FOREIGN_NETWORK, "another network's ledger")
    is_in_place = (header.height, header.time_ms) == (last.height, last.time_ms)
    require(is_in_place, Reason.HOME_CORRUPT, f"block {last.height} does not stand where its header says")
    return header


def _list_recent(file: LedgerFile, since_ms: int) -> list[StoredBlock]:
    """List the blocks whose transactions could still be replayed, and at least the newest, oldest first."""
    recent: list[StoredBlock] = []
    for block in file.read_blocks_backwards():
        if recent and block.time_ms < since_ms:
            break
        recent.append(block)
    return recent[::-1]


def _load_frontier(file: LedgerFile, recent: list[StoredBlock]) -> Frontier:
    """Read the log's edge twice, from its tiles and by adding the recent leaves to what was before them."""
    size = recent[-1].first_leaf + len(recent[-1].leaves)
    leaf_hashes = [hash_leaf(leaf) for block in recent for leaf in block.leaves]
    try:
        edge = Frontier.load(size, file.read_tile)
        extended = Frontier.load(recent[0].first_leaf, file.read_tile).extend(leaf_hashes)
    except ValueError as error:
        refuse_damage(f"the tiles of the log: {error}")
    require(edge == extended, Reason.HOME_CORRUPT, "the tiles of the log do not match the newest blocks")
    return edge


@contextlib.contextmanager
def _resting_collector() -> Iterator[None]:
    """Load without the garbage collector, which would walk over everything again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
