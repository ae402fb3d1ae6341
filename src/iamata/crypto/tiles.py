"""The log's tree in tiles of 256 hashes (C2SP tlog-tiles), and its right edge, the frontier.

Tile level 0 holds leaf hashes; each hash of a higher tile is the root of one full tile below it. A store
keeps only tiles; start-up reads the right edge, and a proof two or three tiles for a million leaves.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from iamata.crypto.merkle import EMPTY_ROOT, HASH_BYTES, NodeReader, compute_root, hash_node

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT

TileReader: TypeAlias = Callable[[int, int], bytes]
"""Returns a tile's hashes, joined: (tile level, position)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frontier:
    """The roots of the complete subtrees of an append-only tree, largest first: enough to append."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    @classmethod
    def load(cls, size: int, read_tile: TileReader) -> "Frontier":
        """Read the frontier of a stored tree."""
        read_node = make_node_reader(read_tile)
        levels = [level for level in reversed(range(size.bit_length())) if size >> level & 1]
        return cls(size, tuple(read_node(level, (size >> level) - 1) for level in levels))

    def append(self, leaf_hash: bytes) -> "Frontier":
        """Return the frontier after appending a leaf."""
        return self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> "Frontier":
        """Return the frontier after appending leaves."""
        size, peaks = self.size, list(self.peaks)
        for leaf_hash in leaf_hashes:
            node, carry = leaf_hash, size
            while carry & 1:
                node, carry = hash_node(peaks.pop(), node), carry >> 1
            peaks.append(node)
            size += 1
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        """Compute the root over all leaves."""
        if not self.peaks:
            return EMPTY_ROOT
        root, *larger = reversed(self.peaks)
        for peak in larger:
            root = hash_node(peak, root)
        return root


def compute_changed_tiles(
    size: int, leaf_hashes: Sequence[bytes], read_tile: TileReader
) -> dict[tuple[int, int], bytes]:
    """Compute the tiles that appending leaves to a tree of this size writes anew, by (level, position)."""
    changed: dict[tuple[int, int], bytes] = {}
    level, fresh = 0, list(leaf_hashes)
    while fresh:
        position, filled = divmod(size, TILE_WIDTH)
        # Cut off what a later append may have left there before it was taken back.
        kept = read_tile(level, position)[: filled * HASH_BYTES] if filled else b""
        hashes = [*_split_hashes(kept), *fresh]
        full_roots = []
        for offset in range(0, len(hashes), TILE_WIDTH):
            tile = hashes[offset : offset + TILE_WIDTH]
            changed[level, position + offset // TILE_WIDTH] = b"".join(tile)
            if len(tile) == TILE_WIDTH:
                full_roots.append(compute_root(tile))
        level, size, fresh = level + 1, position, full_roots
    return changed


def make_node_reader(read_tile: TileReader) -> NodeReader:
    """Read complete subtrees' roots out of tiles; it remembers each tile, so make one a proof."""
    tiles: dict[tuple[int, int], bytes] = {}

    def read_node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        position, offset = divmod(index << height, TILE_WIDTH)
        if (tile_level, position) not in tiles:
            tiles[tile_level, position] = read_tile(tile_level, position)
        wanted = tiles[tile_level, position][offset * HASH_BYTES : (offset + (1 << height)) * HASH_BYTES]
        if len(wanted) != HASH_BYTES << height:
            message = f"tile {tile_level}/{position} does not hold node {level}/{index}"
            raise ValueError(message)
        return compute_root(_split_hashes(wanted))

    return read_node


def _split_hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
