"""Grow one tree: a sum for each level, of histograms over the nodes that may still be split."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from iamata.learning.estimators.bins import Bins, Codes, encode_table
from iamata.learning.estimators.families import LOGISTIC
from iamata.learning.estimators.splitting import Growth, Histogram, choose_split, compute_value
from iamata.learning.estimators.tree import Node, Tree, score_trees
from iamata.learning.holders import share_patients
from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values, choose_bits, round_rows
from iamata.learning.tables import Floats, Table
from iamata.model.canonical import encode_canonical

TREES_MAX: Final = 2_000
BINS_MAX: Final = 256
KEPT_BACK_PERCENT: Final = 10
"""Of the patients. No study chooses this, nor whom: two that did could differ by one patient."""
KEPT_BACK: Final = "kept back"
LOSS_MAX: Final = 64.0
"""A row's largest loss: beyond it a forecast is so sure and so wrong that how much no longer matters."""


class Boosting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a study fixes beforehand."""

    trees_max: Annotated[int, msgspec.Meta(ge=1, le=TREES_MAX)] = 100
    learning_rate: Annotated[float, msgspec.Meta(ge=0.001, le=1)] = 0.1
    bins_max: Annotated[int, msgspec.Meta(ge=2, le=BINS_MAX)] = 32
    growth: Growth = Growth()
    stops_early: bool = True
    """Keep a tenth of the patients back, and stop when trees help them no more; else all are grown."""
    patience: Annotated[int, msgspec.Meta(ge=1, le=TREES_MAX)] = 10
    """How many trees may fail to help those kept back before boosting stops."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the next tree depends on besides sums: public, and named by a chain of hashes."""

    settings: Boosting
    bins: tuple[Bins, ...]
    offset: float
    rows: float
    kept_back: float
    trees: tuple[Tree, ...] = ()
    trail: str = ""
    """Names all trees so far: each tree's spelling is hashed onto the trail before it."""
    trail_before: str = ""

    def add(self, tree: Tree) -> "Stage":
        """Return the stage after one more tree."""
        spelled = encode_canonical(msgspec.to_builtins(tree))
        trail = hashlib.sha256(self.trail.encode() + spelled).hexdigest()
        return replace(self, trees=(*self.trees, tree), trail=trail, trail_before=self.trail)

    @property
    def origin(self) -> tuple[object, ...]:
        """What the first tree depended on."""
        return self.settings, self.bins, self.offset

    def describe(self) -> dict[str, object]:
        """Spell the stage for a query's digest, the trees by their trail."""
        settings, bins = msgspec.to_builtins(self.settings), msgspec.to_builtins(self.bins)
        counts = [self.rows, self.kept_back]
        return {
            "settings": settings,
            "bins": bins,
            "offset": self.offset,
            "counts": counts,
            "trees": self.trail,
        }

    @property
    def bits(self) -> int:
        """The scale of a row's gradient, curvature and loss, and of its part of a patient."""
        return choose_bits(self.rows + self.kept_back, largest=LOSS_MAX)


@dataclass(frozen=True)
class Grown:
    """A tree, or none where no split helps; the mean loss of those kept back before it; the exchanges."""

    tree: Tree | None
    loss: float
    exchanges: int


def grow(stage: Stage) -> Programme[Grown]:
    """Grow the next tree; when there are enough, only measure the loss."""
    nodes = [Node(value=0.0)]
    open_nodes = [0]
    sums = yield _ask(stage, nodes, open_nodes)
    loss = float(sums["loss"][0]) / max(1.0, stage.kept_back)
    exchanges = 1
    if len(stage.trees) >= stage.settings.trees_max:
        return Grown(None, loss, exchanges)
    for depth in range(1, stage.settings.growth.depth_max + 1):
        open_nodes = _split_level(stage, nodes, open_nodes, sums)
        if not open_nodes or depth == stage.settings.growth.depth_max:
            break
        sums = yield _ask(stage, nodes, open_nodes)
        exchanges += 1
    return Grown(Tree(tuple(nodes)) if len(nodes) > 1 else None, loss, exchanges)


def split_off(site: Site, settings: Boosting) -> NDArray[np.bool_]:
    """Tell which rows are kept back."""
    if not settings.stops_early:
        return np.zeros(len(site.table), dtype=np.bool_)
    known = site.memory.get(KEPT_BACK)
    if isinstance(known, np.ndarray):
        return known
    found = np.array([is_kept_back(one) for one in site.table.patients], dtype=np.bool_)
    site.memory[KEPT_BACK] = found
    return found


def is_kept_back(patient: str) -> bool:
    """Tell whether a patient is kept back to stop by: a hash decides, so that no table's order matters."""
    digest = hashlib.sha256(b"iamata/1/kept-back\x00" + patient.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") % 100 < KEPT_BACK_PERCENT


def compute_histograms(
    stage: Stage, nodes: Sequence[Node], open_nodes: Sequence[int], _given: Given, site: Site
) -> Values:
    """Add up gradient, curvature and patients of a site in each open node, column and bin."""
    work = _prepare(stage, site)
    place = Tree(tuple(nodes)).find_nodes(work.table)
    number = np.full(len(nodes), -1)
    number[list(open_nodes)] = np.arange(len(open_nodes))
    number = number[place]
    chosen = number >= 0
    number = number[chosen]
    weights = [one[chosen] for one in (work.gradient, work.curvature, work.shares)]
    pieces: list[list[Floats]] = [[], [], []]
    for column, codes in zip(stage.bins, work.codes, strict=True):
        key, length = number * column.count + codes[chosen], len(open_nodes) * column.count
        for piece, weight in zip(pieces, weights, strict=True):
            piece.append(np.bincount(key, weights=weight, minlength=length).astype(np.float64))
    gradients, curvatures, patients = (np.concatenate(piece) for piece in pieces)
    return {
        "loss": np.array([work.loss]),
        "gradient": gradients,
        "curvature": curvatures,
        "patients": patients,
    }


@dataclass(frozen=True)
class _Work:
    """What a site remembers between queries about one stage. Rows are rounded, so that sums are exact."""

    stage: Stage
    scores: Floats
    """The log-odds of all rows, those kept back too."""
    table: Table
    """The rows that are learned from, as all that follows."""
    codes: list[Codes]
    shares: Floats
    """Each row's part of its patient, whose rows make one together."""
    gradient: Floats
    curvature: Floats
    loss: float


def _prepare(stage: Stage, site: Site) -> _Work:
    """Return the site's gradients at a stage, going on from the stage before where it is remembered."""
    known = site.memory.get("boosting")
    if not isinstance(known, _Work) or known.stage.origin != stage.origin:
        known = None
    if known is not None and known.stage.trail == stage.trail:
        return known
    kept_back = split_off(site, stage.settings)
    if known is not None and known.stage.trail == stage.trail_before:
        scores = known.scores + stage.trees[-1].predict(site.table)
        learning = known.table, known.codes, known.shares
    else:
        scores = score_trees(site.table, stage.offset, stage.trees)
        table = site.table.select(~kept_back)
        learning = table, encode_table(table, stage.bins), round_rows(share_patients(table), stage.bits)
    work = _weigh(stage, site.table, kept_back, scores=scores, learning=learning)
    site.memory["boosting"] = work
    return work


def _weigh(
    stage: Stage,
    table: Table,
    kept_back: NDArray[np.bool_],
    *,
    scores: Floats,
    learning: tuple[Table, list[Codes], Floats],
) -> _Work:
    losses = np.minimum(LOGISTIC.compute_loss(scores[kept_back], table.outcome[kept_back]), LOSS_MAX)
    learned = scores[~kept_back]
    return _Work(
        stage=stage,
        scores=scores,
        table=learning[0],
        codes=learning[1],
        shares=learning[2],
        gradient=round_rows(LOGISTIC.compute_mean(learned) - learning[0].outcome, stage.bits),
        curvature=round_rows(LOGISTIC.compute_weight(learned), stage.bits),
        loss=float(round_rows(losses, stage.bits).sum()),
    )


def _ask(stage: Stage, nodes: list[Node], open_nodes: list[int]) -> Query:
    length = len(open_nodes) * sum(column.count for column in stage.bins)
    bits = stage.bits
    parts = (
        Part("loss", 1, bits),
        Part("gradient", length, bits),
        Part("curvature", length, bits),
        Part("patients", length, bits),
    )
    given = {**stage.describe(), "nodes": msgspec.to_builtins(nodes), "open": open_nodes}
    return Query(
        "histograms", parts, partial(compute_histograms, stage, tuple(nodes), tuple(open_nodes)), given
    )


def _split_level(stage: Stage, nodes: list[Node], open_nodes: list[int], sums: Values) -> list[int]:
    """Split what is worth it, append the children, and return them."""
    children: list[int] = []
    for place, number in enumerate(open_nodes):
        histograms = list(_cut_out(stage.bins, sums, place=place, nodes=len(open_nodes)))
        choice = choose_split(stage.bins, histograms, stage.settings.growth)
        if choice is None:
            continue
        left, right = len(nodes), len(nodes) + 1
        nodes[number] = Node(value=nodes[number].value, split=choice.name(left=left, right=right))
        total = float(np.cumsum(histograms[0].gradient)[-1]), float(np.cumsum(histograms[0].curvature)[-1])
        rest = total[0] - choice.left[0], total[1] - choice.left[1]
        nodes += [_make_leaf(stage, choice.left), _make_leaf(stage, rest)]
        children += [left, right]
    return children


def _make_leaf(stage: Stage, held: tuple[float, float]) -> Node:
    return Node(value=stage.settings.learning_rate * compute_value(*held, stage.settings.growth))


def _cut_out(bins: tuple[Bins, ...], sums: Values, *, place: int, nodes: int) -> Iterator[Histogram]:
    """Yield the histograms of one node, column by column."""
    start = 0
    for column in bins:
        here = slice(start + place * column.count, start + (place + 1) * column.count)
        yield Histogram(sums["gradient"][here], sums["curvature"][here], sums["patients"][here])
        start += nodes * column.count
