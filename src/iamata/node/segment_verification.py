"""Hold the stored map against the blocks, segment by segment.

Most of what lies in a segment has been overwritten by later ones, so the map that they come to does not
show whether an old one was changed. What each block wrote and moved follows from the blocks alone.
"""

from collections import deque

from iamata.engines.keeping.segments import SegmentIndex, encode_segment
from iamata.engines.keeping.storage import LedgerFile
from iamata.ledger.envelope import read_transaction
from iamata.ledger.genesis import get_first_height
from iamata.ledger.state import LedgerState
from iamata.model.reasons import Reason, require
from iamata.node.begins import Begin


def verify_segments(file: LedgerFile, begin: Begin) -> None:
    """Compute every segment of a ledger that was already replayed, and compare it with the stored one."""
    for height, blob in compute_segments(file, begin).items():
        is_same = file.read_segment(height) == blob
        require(is_same, Reason.FAULT_FOUND, f"segment {height} of the state is not what its block wrote")


def compute_segments(file: LedgerFile, begin: Begin) -> dict[int, bytes]:
    """Run the blocks again, without their signatures, and write down what each would append.

    Where the network goes on under the next genesis, the first block appends what that one changed too.
    """
    state, index, coming = begin.make_state(), SegmentIndex(), deque(begin.lineage[1:])
    segments = {begin.segment.height: encode_segment(begin.segment.entries)}
    index.add(begin.segment)
    for block in file.read_blocks(first_height=begin.height + 1):
        transactions = [read_transaction(raw) for raw in block.transactions]
        place = state.place(block.time_ms)
        outcome = state.run(place, transactions, block.misbehaviours)
        state.install(place, transactions, outcome)
        changes = outcome.changes
        if block.height == state.first_height:
            changes = {**state.inherited, **changes}
        segment = index.plan(block.height, changes, segments.__getitem__)
        if segment.entries:
            segments[block.height] = encode_segment(segment.entries)
            index.add(segment)
        for height in segment.emptied:
            del segments[height]
        while coming and block.height == get_first_height(coming[0]) - 1:
            before, state = state, LedgerState(coming.popleft())
            state.inherit(entries=before.entries, frontier=before.frontier, time_ms=before.time_ms)
    return segments
