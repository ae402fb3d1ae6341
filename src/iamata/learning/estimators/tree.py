"""A decision tree in a flat list: how rows find their leaf, and what each column did on the way."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from iamata.learning.tables import Floats, Integers, Table


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A question that a row answers with left or right."""

    column: str
    cut: float | None = None
    """Numbers up to this go left; None for a column of categories."""
    categories: tuple[str, ...] = ()
    """These go left."""
    is_missing_left: bool = False
    left: int
    right: int


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the tree, with what it would add to the log-odds were it a leaf."""

    value: float
    split: Split | None = None


class Tree(msgspec.Struct, frozen=True):
    """Nodes, the root first; a split leads to later nodes only."""

    nodes: tuple[Node, ...]

    def find_nodes(self, table: Table) -> Integers:
        """Return the leaf in which each row ends."""
        place = np.zeros(len(table), dtype=np.int64)
        for number, node in enumerate(self.nodes):
            if node.split is not None:
                is_here = place == number
                is_left = answer(node.split, table)
                place = np.where(is_here, np.where(is_left, node.split.left, node.split.right), place)
        return place

    def predict(self, table: Table) -> Floats:
        """Return what the tree adds to the log-odds of each row."""
        values: Floats = np.array([node.value for node in self.nodes])[self.find_nodes(table)]
        return values

    def attribute(self, table: Table) -> dict[str, Floats]:
        """Return what each column's splits added on each row's way down (Saabas 2014).

        They add up to the prediction less the root's value. Unlike Shapley values they depend on the
        order of the splits.
        """
        place = np.zeros(len(table), dtype=np.int64)
        added: dict[str, Floats] = {}
        for number, node in enumerate(self.nodes):
            if (split := node.split) is not None:
                is_here = place == number
                target = np.where(answer(split, table), split.left, split.right)
                values = np.array([one.value for one in self.nodes])[target]
                change = np.where(is_here, values - node.value, 0.0)
                added[split.column] = added.get(split.column, np.zeros(len(table))) + change
                place = np.where(is_here, target, place)
        return added


def answer(split: Split, table: Table) -> NDArray[np.bool_]:
    """Tell of each row whether it goes left."""
    values = table.columns[split.column]
    if split.cut is not None:
        is_left = values <= split.cut
    else:
        codes = [table.schema.list_categories(split.column).index(one) for one in split.categories]
        is_left = np.isin(values, codes)
    return np.where(np.isnan(values), split.is_missing_left, is_left)


def score_trees(table: Table, offset: float, trees: Sequence[Tree]) -> Floats:
    """Return the log-odds of each row after all trees."""
    scores = np.full(len(table), offset)
    for tree in trees:
        scores = scores + tree.predict(table)
    return scores
