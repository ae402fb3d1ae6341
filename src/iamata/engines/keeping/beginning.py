"""What a ledger can begin with besides its genesis: a map, the log's edge and the newest blocks.

The blocks reach back to one that is older than the replay window, so that nobody can keep back what it
holds.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from iamata.crypto.authmap import AuthMap
from iamata.crypto.merkle import HASH_BYTES, hash_leaf
from iamata.crypto.tiles import TILE_WIDTH, Frontier, TileReader, compute_changed_tiles
from iamata.ledger.blocks import StoredBlock
from iamata.ledger.envelope import read_transaction
from iamata.ledger.genesis import Genesis, compute_network_id, get_first_height
from iamata.ledger.header import (
    Header,
    compute_app_hash,
    compute_header_digest,
    compute_transactions_root,
    read_block_header,
)
from iamata.ledger.leaves import Leaf, decode_leaf
from iamata.ledger.misbehaviour import compute_evidence_id
from iamata.ledger.window import WINDOW_MS
from iamata.model.ids import Digest
from iamata.model.reasons import Reason, Refused, require

Tiles = dict[tuple[int, int], bytes]

_LEVELS_MAX: Final = 8


class Beginning(msgspec.Struct, frozen=True, array_like=True):
    """A ledger as it stands after its newest block, for somebody who does not have the others."""

    blocks: tuple[StoredBlock, ...]
    edge: tuple[bytes, ...]
    """Where the log ends before these blocks: the last tile of each level, as far as it is filled."""
    entries: tuple[tuple[bytes, bytes], ...]
    """The map, in the order of its keys."""


def choose_stretch(backwards: Iterator[StoredBlock]) -> tuple[StoredBlock, ...]:
    """Choose the newest blocks down to one that is older than the replay window, oldest first."""
    stretch: list[StoredBlock] = []
    newest_ms: int | None = None
    for block in backwards:
        stretch.append(block)
        if block.leaves and newest_ms is None:
            newest_ms = block.time_ms
        if block.leaves and newest_ms is not None and block.time_ms < newest_ms - WINDOW_MS:
            break
    return tuple(stretch[::-1])


def read_edge(size: int, read_tile: TileReader) -> tuple[bytes, ...]:
    """Read the last tile of each level of a log of this size."""
    edge = []
    level = 0
    while size:
        position, filled = divmod(size, TILE_WIDTH)
        edge.append(read_tile(level, position)[: filled * HASH_BYTES] if filled else b"")
        level, size = level + 1, position
    return tuple(edge)


def check_beginning(beginning: Beginning, genesis: Genesis, *, height: int, app_hash: Digest) -> Tiles:
    """Return the log's tiles that are to be kept, or refuse what does not come to this app hash."""
    try:
        tiles, frontier = _check_log(beginning, genesis)
        entries = AuthMap.load(beginning.entries)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused(Reason.FAULT_FOUND, "a snapshot cannot be read") from error
    found = compute_app_hash(state_root=entries.root, log_root=frontier.root(), log_size=frontier.size)
    last = _read_header(beginning.blocks[-1], genesis)
    is_bound = found == app_hash == last.app_hash and last.height == height
    require(is_bound, Reason.FAULT_FOUND, f"a snapshot is not what block {height} came to")
    return tiles


def _check_log(beginning: Beginning, genesis: Genesis) -> tuple[Tiles, Frontier]:
    """Rebuild the log's edge, and hold the blocks against it and against each other."""
    blocks = beginning.blocks
    require(bool(blocks) and len(beginning.edge) <= _LEVELS_MAX, Reason.FAULT_FOUND, "a snapshot's log")
    _check_chain(blocks, genesis)
    leaves = [decode_leaf(raw) for block in blocks for raw in block.leaves]
    is_complete = (
        blocks[0].first_leaf == 0
        or blocks[0].height == get_first_height(genesis)
        or (bool(blocks[0].leaves) and leaves[0].time_ms < leaves[-1].time_ms - WINDOW_MS)
    )
    require(is_complete, Reason.FAULT_FOUND, "a snapshot does not reach back over the replay window")
    size = blocks[0].first_leaf
    tiles: Tiles = {}
    for level, hashes in enumerate(beginning.edge):
        if hashes:
            tiles[level, size >> (8 * (level + 1))] = hashes

    def read_tile(level: int, position: int) -> bytes:
        return tiles.get((level, position), b"")

    require(
        read_edge(size, read_tile) == beginning.edge, Reason.FAULT_FOUND, "a snapshot's edge of the log"
    )
    hashes_added = [hash_leaf(raw) for block in blocks for raw in block.leaves]
    frontier = Frontier.load(size, read_tile).extend(hashes_added)
    return tiles | compute_changed_tiles(size, hashes_added, read_tile), frontier


def _check_chain(blocks: Sequence[StoredBlock], genesis: Genesis) -> None:
    before: Header | None = None
    size = blocks[0].first_leaf
    for block in blocks:
        header = _read_header(block, genesis)
        follows = before is None or (header.height, header.parent) == (
            before.height + 1,
            compute_header_digest(before),
        )
        is_whole = (block.height, block.time_ms, block.first_leaf, header.transactions) == (
            header.height,
            header.time_ms,
            size,
            compute_transactions_root(block.transactions),
        )
        is_later = before is None or header.time_ms > before.time_ms
        require(
            follows and is_whole and is_later, Reason.FAULT_FOUND, f"block {block.height} of a snapshot"
        )
        _check_leaves(block)
        before, size = header, size + len(block.leaves)


def _check_leaves(block: StoredBlock) -> None:
    """Hold a block's leaves against what it holds: each transaction has one, and each piece of evidence."""
    leaves: list[Leaf] = [decode_leaf(raw) for raw in block.leaves]
    ids = [compute_evidence_id(one) for one in block.misbehaviours]
    ids += [read_transaction(raw).id for raw in block.transactions]
    is_same = [leaf.id for leaf in leaves] == ids and all(leaf.time_ms == block.time_ms for leaf in leaves)
    is_grouped = sum(block.groups) == len(block.transactions) and all(one > 0 for one in block.groups)
    require(is_same and is_grouped, Reason.FAULT_FOUND, f"the leaves of block {block.height} of a snapshot")


def _read_header(block: StoredBlock, genesis: Genesis) -> Header:
    header = read_block_header(block.header, genesis)
    require(header.network == compute_network_id(genesis), Reason.FOREIGN_NETWORK, "a snapshot")
    return header
