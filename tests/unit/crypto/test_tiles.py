"""A log kept in tiles: the same tree however it grew, and few tiles read for each question."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.crypto.merkle import (
    EMPTY_ROOT,
    compute_root,
    hash_leaf,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)
from iamata.crypto.tiles import TILE_WIDTH, Frontier, compute_changed_tiles, make_node_reader

LEAVES = [hash_leaf(index.to_bytes(4, "big")) for index in range(70_000)]


class TiledLog:
    """A log whose store is a dictionary that counts what is read."""

    def __init__(self, batches: Iterable[int] = ()) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier()
        self.reads = 0
        for batch in batches:
            self.append(batch)

    def append(self, count: int) -> None:
        size = self.frontier.size
        leaves = LEAVES[size : size + count]
        self.tiles.update(compute_changed_tiles(size, leaves, self.read_tile))
        self.frontier = self.frontier.extend(leaves)

    def read_tile(self, level: int, position: int) -> bytes:
        self.reads += 1
        return self.tiles[level, position]


@pytest.fixture(scope="module")
def large() -> TiledLog:
    return TiledLog([70_000])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 70_000])
def test_a_frontier_has_the_root_of_its_tree(size: int) -> None:
    frontier = Frontier().extend(LEAVES[:size])

    assert (frontier.size, frontier.root()) == (size, compute_root(LEAVES[:size]))


def test_one_by_one_or_all_at_once_is_the_same_frontier() -> None:
    frontier = Frontier()
    for leaf in LEAVES[:300]:
        frontier = frontier.append(leaf)

    assert frontier == Frontier().extend(LEAVES[:300])
    assert Frontier().root() == EMPTY_ROOT


@settings(max_examples=30)
@given(st.lists(st.integers(0, 700), max_size=6))
def test_tiles_do_not_depend_on_the_batches_that_they_came_in(batches: list[int]) -> None:
    grown, at_once = TiledLog(batches), TiledLog([sum(batches)])

    assert grown.tiles == at_once.tiles
    assert grown.frontier == at_once.frontier == Frontier.load(sum(batches), grown.read_tile)


def test_tiles_lie_where_tlog_tiles_says(large: TiledLog) -> None:
    full, rest = divmod(70_000, TILE_WIDTH)
    sizes = {place: len(tile) // 32 for place, tile in large.tiles.items()}

    assert sizes == {
        **{(0, position): TILE_WIDTH for position in range(full)},
        (0, full): rest,
        (1, 0): TILE_WIDTH,
        (1, 1): full - TILE_WIDTH,
        (2, 0): 1,
    }
    assert large.tiles[0, 3] == b"".join(LEAVES[768:1024])
    assert large.tiles[1, 0][:32] == compute_root(LEAVES[:256])
    assert large.tiles[2, 0] == compute_root(LEAVES[:65_536])


def test_an_append_touches_only_the_right_edge(large: TiledLog) -> None:
    changed = compute_changed_tiles(70_000, [LEAVES[0]], large.read_tile)

    assert list(changed) == [(0, 70_000 // TILE_WIDTH)]


def test_what_an_undone_append_left_behind_is_overwritten() -> None:
    """A tile may be longer than the log: what lies beyond the log's size does not count."""
    again = TiledLog([1_000])
    again.tiles[0, 3] += LEAVES[0]
    again.append(500)

    assert again.tiles == TiledLog([1_500]).tiles


@settings(max_examples=60)
@given(st.integers(1, 70_000), st.data())
def test_every_leaf_of_every_prefix_is_proven_from_tiles(
    large: TiledLog, size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))

    proof = prove_inclusion(index, size, make_node_reader(large.read_tile))

    root = Frontier.load(size, large.read_tile).root()
    assert root == Frontier().extend(LEAVES[:size]).root()
    assert verify_inclusion(leaf_hash=LEAVES[index], index=index, size=size, proof=proof, root=root)


@settings(max_examples=60)
@given(st.integers(1, 70_000), st.integers(1, 70_000))
def test_every_prefix_is_proven_to_begin_every_longer_one_from_tiles(
    large: TiledLog, one: int, other: int
) -> None:
    first, second = sorted((one, other))

    proof = prove_consistency(first, second, make_node_reader(large.read_tile))

    assert verify_consistency(
        first=first,
        second=second,
        first_root=Frontier.load(first, large.read_tile).root(),
        second_root=Frontier.load(second, large.read_tile).root(),
        proof=proof,
    )


@pytest.mark.parametrize("index", [0, 1, 33_333, 65_535, 65_536, 69_999])
def test_a_proof_reads_few_tiles(large: TiledLog, index: int) -> None:
    large.reads = 0

    prove_inclusion(index, 70_000, make_node_reader(large.read_tile))

    assert large.reads <= 5


def test_starting_up_reads_the_right_edge_only(large: TiledLog) -> None:
    large.reads = 0

    frontier = Frontier.load(70_000, large.read_tile)

    assert frontier == large.frontier
    assert large.reads <= 3


def test_a_tile_that_is_too_short_is_noticed() -> None:
    read_node = make_node_reader(lambda _level, _position: b"")

    with pytest.raises(ValueError, match="does not hold"):
        read_node(3, 0)
