"""Gradient-boosted trees for yes or no, grown level by level from summed histograms.

Each row's gradient and curvature are rounded to a multiple of a public scale before they are added, so the
histograms are exact: wherever the rows lie, the same trees come out, split for split. Some patients are
kept back, chosen by a hash of their pseudonym and a public seed; when trees help them no more, it ends.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Final

import msgspec
import numpy as np

from iamata.learning.estimators.bins import Bins, choose_bins
from iamata.learning.estimators.design import PATIENTS_MIN
from iamata.learning.estimators.families import expit
from iamata.learning.estimators.growing import Boosting, Stage, grow, split_off
from iamata.learning.estimators.tree import Tree, score_trees
from iamata.learning.evaluation.calibration import Calibration, calibrate, find_cells
from iamata.learning.holders import count_outcomes
from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values, round_rows
from iamata.learning.schemas import Schema
from iamata.model.reasons import Reason, require

LOSS_GAIN_MIN: Final = 1e-7
"""By which part the loss must fall for a tree to count as a help."""
OFFSET_BITS: Final = 20
"""To how many bits a logarithm is kept: libraries disagree about its last ones, and sites must not."""


CELLS: Final = 1_024
CALIBRATION_GROUPS: Final = 10
CALIBRATION_ROWS_MIN: Final = 10
"""Rows of each class."""
COUNTS: Final = ("rows", "patients", "yes", "kept_back", "without", "with")
"""Rows, patients, rows with the outcome and rows kept back; then patients with either outcome."""


class Boosted(msgspec.Struct, frozen=True, kw_only=True):
    """The trees, and the log-odds on which they build."""

    bins: tuple[Bins, ...]
    offset: float
    trees: tuple[Tree, ...]
    losses: tuple[float, ...]
    """The mean loss of those kept back after 0, 1, 2 … trees, stopped ones included."""
    calibration: tuple[Calibration, ...]
    """What happened to those kept back, by their log-odds."""
    rounds: int


def boost(schema: Schema, settings: Boosting) -> Programme[Boosted]:
    """Grow trees over all sites until they no longer help the patients kept back."""
    require(schema.outcome.kind == "binary", Reason.SCHEMA_INVALID, "kind of the outcome")
    bins = yield from choose_bins(schema, bins_max=settings.bins_max)
    stage = yield from _start(settings, bins)
    losses: list[float] = []
    exchanges = 2
    while len(stage.trees) < settings.trees_max or settings.validation > 0:
        grown = yield from grow(stage)
        losses.append(grown.loss)
        exchanges += grown.exchanges
        if grown.tree is None or (settings.validation > 0 and _count_idle(losses) >= settings.patience):
            break
        stage = stage.add(grown.tree)
    best = _find_best(losses) if settings.validation > 0 else len(stage.trees)
    stage = replace(stage, trees=stage.trees[:best])
    calibration: tuple[Calibration, ...] = ()
    if settings.validation > 0:
        calibration = yield from _calibrate(stage)
        exchanges += 1
    return Boosted(
        bins=bins,
        offset=stage.offset,
        trees=stage.trees,
        losses=tuple(losses) if settings.validation > 0 else (),
        calibration=calibration,
        rounds=exchanges,
    )


def compute_start(settings: Boosting, _given: Given, site: Site) -> Values:
    """Count rows, patients and yeses of a site, and the rows that are kept back."""
    kept_back = split_off(site, settings)
    learning = site.table.select(~kept_back)
    counts = (len(learning), learning.count_patients(), learning.outcome.sum(), kept_back.sum())
    counted = (*counts, *count_outcomes(learning))
    return dict(zip(COUNTS, (np.array([one]) for one in counted), strict=True))


def _start(settings: Boosting, bins: tuple[Bins, ...]) -> Programme[Stage]:
    parts = tuple(Part(name, 1) for name in COUNTS)
    given = {"settings": msgspec.to_builtins(settings)}
    sums = yield Query("start", parts, partial(compute_start, settings), given)
    rows, patients, yes, kept_back, *_ = (float(sums[name][0]) for name in COUNTS)
    require(patients >= PATIENTS_MIN, Reason.TOO_FEW_PATIENTS)
    require(0 < yes < rows, Reason.ONE_CLASS_ONLY)
    require(settings.validation == 0 or kept_back >= PATIENTS_MIN, Reason.TOO_FEW_PATIENTS, "kept back")
    offset = round(math.log(yes / (rows - yes)) * 2**OFFSET_BITS) / 2**OFFSET_BITS
    return Stage(settings=settings, bins=bins, offset=offset, rows=rows, kept_back=kept_back)


def compute_kept_back(stage: Stage, _given: Given, site: Site) -> Values:
    """Count a site's rows that were kept back by outcome and cell of score."""
    table = site.table.select(split_off(site, stage.settings))
    score = round_rows(expit(score_trees(table, stage.offset, stage.trees)), stage.bits)
    cells, outcome = find_cells(score, CELLS), table.outcome == 1
    yes, no = (np.bincount(cells[side], minlength=CELLS).astype(float) for side in (outcome, ~outcome))
    expected = np.bincount(cells, weights=score, minlength=CELLS)
    return {"yes": yes, "no": no, "expected": expected}


def _calibrate(stage: Stage) -> Programme[tuple[Calibration, ...]]:
    parts = (Part("yes", CELLS), Part("no", CELLS), Part("expected", CELLS, stage.bits))
    given = {**stage.describe(), "count": len(stage.trees)}
    sums = yield Query("kept_back", parts, partial(compute_kept_back, stage), given)
    found = calibrate(
        (sums["yes"], sums["no"]),
        sums["expected"],
        groups=CALIBRATION_GROUPS,
        rows_min=CALIBRATION_ROWS_MIN,
    )
    return tuple(found)


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
