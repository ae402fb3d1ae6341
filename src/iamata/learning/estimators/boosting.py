"""Gradient-boosted trees for yes or no, grown level by level from summed histograms.

Each row's gradient and curvature are rounded to a multiple of a public scale before they are added, so the
histograms are exact: wherever the rows lie, the same trees come out, split for split. A tenth of the
patients are kept back, chosen by a hash of their pseudonym; when trees help them no more, it ends. Nothing
else is told of these: their losses, a row for each tree, would be solved for counts of one.
"""

import math
from functools import partial
from typing import Final

import msgspec
import numpy as np

from iamata.learning.estimators.bins import Bins, choose_bins
from iamata.learning.estimators.design import PATIENTS_MIN
from iamata.learning.estimators.growing import Boosting, Stage, grow, split_off
from iamata.learning.estimators.splitting import LEAF_PATIENTS_MIN
from iamata.learning.estimators.tree import Tree
from iamata.learning.holders import count_holders, count_outcomes, list_kinds, read_holders
from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values
from iamata.learning.schemas import Schema
from iamata.model.reasons import Reason, require

LOSS_GAIN_MIN: Final = 1e-7
"""By which part the loss must fall for a tree to count as a help."""
OFFSET_BITS: Final = 20
"""To how many bits a logarithm is kept: libraries disagree about its last ones, and sites must not."""

COUNTS: Final = ("rows", "patients", "yes", "kept_back", "kept_back_patients", "without", "with")
"""Rows, patients, rows with the outcome, rows and patients kept back; then patients with either outcome."""


class Boosted(msgspec.Struct, frozen=True, kw_only=True):
    """The trees, and the log-odds on which they build.

    Of the bins it has nothing but the cuts at which trees split, each of many patients on either side.
    """

    offset: float
    unlearned: tuple[tuple[str, str], ...]
    """Column and category, "" where a value is missing, of which no split knows: few had it, or nobody."""
    trees: tuple[Tree, ...]
    rounds: int


def boost(schema: Schema, settings: Boosting) -> Programme[Boosted]:
    """Grow trees over all sites until they no longer help the patients kept back."""
    require(schema.outcome.kind == "binary", Reason.SCHEMA_INVALID, "kind of the outcome")
    bins = yield from choose_bins(schema, bins_max=settings.bins_max)
    stage, unlearned = yield from _start(settings, schema, bins)
    losses: list[float] = []
    exchanges = 2
    while len(stage.trees) < settings.trees_max or settings.stops_early:
        grown = yield from grow(stage)
        losses.append(grown.loss)
        exchanges += grown.exchanges
        if grown.tree is None or (settings.stops_early and _count_idle(losses) >= settings.patience):
            break
        stage = stage.add(grown.tree)
    best = _find_best(losses) if settings.stops_early else len(stage.trees)
    return Boosted(offset=stage.offset, unlearned=unlearned, trees=stage.trees[:best], rounds=exchanges)


def compute_start(settings: Boosting, _given: Given, site: Site) -> Values:
    """Count a site's rows, patients and yeses, those with each kind of row, and who is kept back."""
    kept_back = split_off(site, settings)
    learning, others = site.table.select(~kept_back), site.table.select(kept_back)
    counts = (
        len(learning),
        learning.count_patients(),
        learning.outcome.sum(),
        len(others),
        others.count_patients(),
        *count_outcomes(learning),
    )
    named = dict(zip(COUNTS, (np.array([one]) for one in counts), strict=True))
    return {**named, "holders": count_holders(learning)}


def _start(
    settings: Boosting, schema: Schema, bins: tuple[Bins, ...]
) -> Programme[tuple[Stage, tuple[tuple[str, str], ...]]]:
    """Return where boosting starts, and the categories and lacks of a value that few have, or nobody."""
    width = sum(len(list_kinds(column)) for column in schema.get_features())
    parts = (*(Part(name, 1) for name in COUNTS), Part("holders", width))
    given = {"settings": msgspec.to_builtins(settings)}
    sums = yield Query("start", parts, partial(compute_start, settings), given)
    rows, patients, yes, kept_back, others, *_ = (float(sums[name][0]) for name in COUNTS)
    require(patients >= PATIENTS_MIN, Reason.TOO_FEW_PATIENTS)
    require(0 < yes < rows, Reason.ONE_CLASS_ONLY)
    is_enough = not settings.stops_early or others >= PATIENTS_MIN
    require(is_enough, Reason.TOO_FEW_PATIENTS, "kept back to stop by; without stops_early nobody is")
    offset = round(math.log(yes / (rows - yes)) * 2**OFFSET_BITS) / 2**OFFSET_BITS
    holders = read_holders(schema, sums["holders"])
    unlearned = tuple(
        (column, kind)
        for (column, kind), count in holders.items()
        if kind is not None and count < LEAF_PATIENTS_MIN
    )
    return Stage(settings=settings, bins=bins, offset=offset, rows=rows, kept_back=kept_back), unlearned


def _find_best(losses: list[float]) -> int:
    """Return the number of trees after which the loss no longer fell by what counts."""
    best = 0
    for number, loss in enumerate(losses):
        if loss < losses[best] * (1.0 - LOSS_GAIN_MIN):
            best = number
    return best


def _count_idle(losses: list[float]) -> int:
    """Count the trees since the last that helped."""
    return len(losses) - 1 - _find_best(losses)
