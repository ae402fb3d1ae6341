"""What a ledger can begin with besides its genesis: a map, the log's edge and the newest blocks.

The blocks reach back to one that is older than the replay window, so that nobody can keep back what it
holds. What a ledger began with is kept beside it, for a verifier: from there on every block is run again.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
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

Hold = Callable[["Beginning"], None]
"""Holds the blocks of a beginning against what validators signed for their heights, or refuses it."""

_LEVELS_MAX: Final = 8


BEGINNING_FILE: Final = "beginning"
"""The snapshot as it was taken in, where a ledger began with one."""


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


def encode_beginning(beginning: Beginning) -> bytes:
    """Spell what a ledger begins with, always in the same bytes."""
    ordered = msgspec.structs.replace(beginning, entries=tuple(sorted(beginning.entries)))
    return msgspec.msgpack.encode(ordered)


def decode_beginning(raw: bytes) -> Beginning:
    """Read what a ledger is to begin with, or refuse it; nothing in it is checked yet."""
    try:
        return _BEGINNINGS.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "a snapshot cannot be read") from error


def write_beginning(folder: Path, beginning: Beginning) -> None:
    """Keep what a ledger begins with beside it; a crash leaves it whole or not at all."""
    path = folder / BEGINNING_FILE
    fresh = path.with_suffix(".next")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(encode_beginning(beginning))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise Refused(Reason.STORAGE_FULL, f"{path.name}: {error.strerror}") from error


def has_beginning(folder: Path) -> bool:
    """Tell whether a ledger began with a snapshot, and not with its first genesis."""
    return (folder / BEGINNING_FILE).exists()


def read_beginning(folder: Path) -> Beginning | None:
    """Read what a ledger began with, None where that is its genesis; refuse another spelling of it."""
    path = folder / BEGINNING_FILE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(Reason.HOME_CORRUPT, f"{path.name}: {error.strerror}") from error
    beginning = decode_beginning(raw)
    is_same = encode_beginning(beginning) == raw
    require(is_same, Reason.FAULT_FOUND, f"{path.name} is spelled otherwise")
    return beginning


def check_beginning(beginning: Beginning, genesis: Genesis, *, height: int, app_hash: Digest) -> Tiles:
    """Return the log's tiles that are to be kept, or refuse what does not come to this app hash."""
    keys = [key for key, _ in beginning.entries]
    is_ordered = all(one < other for one, other in itertools.pairwise(keys))
    require(is_ordered, Reason.FAULT_FOUND, "the entries of a snapshot are not in order")
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
    if blocks[0].height == get_first_height(genesis):
        is_first = _read_header(blocks[0], genesis).parent == Digest(compute_network_id(genesis))
        # Where a network is continued its log is not empty then: how long it is, the app hash says.
        is_first = is_first and (size == 0 or genesis.continues is not None)
        require(is_first, Reason.FAULT_FOUND, f"block {blocks[0].height} of a snapshot")
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


_BEGINNINGS: Final = msgspec.msgpack.Decoder(Beginning)
