"""Evaluate a model from sums over sites: what it is worth, for whom, and how sure one can be.

Each site counts its rows by score and outcome. What is published shows no part with fewer rows of either
outcome than the study allows, nor lets anybody find one by subtraction: a group's figures are left out
where what is left of its column would be such a part, and all cuts of the scores lie so many rows apart.
The sites themselves learn the summed cells, in which a count may be 1; no cell says where the row lies.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Final

import msgspec
import numpy as np

from iamata.learning.evaluation.calibration import Calibration, calibrate, find_cells, list_cuts
from iamata.learning.evaluation.curves import (
    Cut,
    Estimate,
    RocPoint,
    compute_auprc,
    compute_auroc,
    is_apart,
    list_roc_points,
)
from iamata.learning.evaluation.subgroups import Group, choose_shown
from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values, choose_bits, round_rows
from iamata.learning.tables import ROWS_MAX, Floats, Table
from iamata.model.reasons import Reason, require

CELLS_MIN: Final = 2
CELLS_MAX: Final = 2**16
THRESHOLDS_MAX: Final = 100
GROUPS_MAX: Final = 100
SHOWN_ROWS_MIN: Final = 10
"""No study may show fewer rows than this."""
SHOWN_ROWS_MAX: Final = ROWS_MAX
SCORE_BITS: Final = choose_bits(ROWS_MAX)

Predict = Callable[[Table], Floats]
"""Gives the probability of yes of each row."""
Thresholds = Annotated[
    tuple[Annotated[float, msgspec.Meta(gt=0, lt=1)], ...], msgspec.Meta(max_length=THRESHOLDS_MAX)
]


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is looked at, fixed before the first look."""

    cells: Annotated[int, msgspec.Meta(ge=CELLS_MIN, le=CELLS_MAX)] = 4_096
    thresholds: Thresholds = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    groups: Annotated[tuple[Group, ...], msgspec.Meta(max_length=GROUPS_MAX)] = ()
    calibration_groups: Annotated[int, msgspec.Meta(ge=1, le=GROUPS_MAX)] = 10
    rows_min: Annotated[int, msgspec.Meta(ge=SHOWN_ROWS_MIN, le=SHOWN_ROWS_MAX)] = 10
    """Fewer rows of either outcome than this are not shown, or of any where it is a number or a count."""


class AtThreshold(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of saying yes from a probability on. None where too few rows would be counted.

    That is so too where too few lie between this threshold and one before it.
    """

    threshold: float
    sensitivity: float | None = None
    specificity: float | None = None
    positive_predictive_value: float | None = None
    negative_predictive_value: float | None = None
    accuracy: float | None = None


class InGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is worth for a group. All None where it, or what is left, has too few rows."""

    label: str
    rows: int | None = None
    rate: float | None = None
    auroc: Estimate | None = None
    brier: float | None = None
    expected_rate: float | None = None
    accuracy: float | None = None
    """At the probability 0.5."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found out about a model on rows that it had not seen."""

    rows: int
    rate: float
    auroc: Estimate
    auprc: Estimate
    brier: float
    accuracy: float
    calibration: tuple[Calibration, ...]
    thresholds: tuple[AtThreshold, ...]
    roc: tuple[RocPoint, ...]
    groups: tuple[InGroup, ...]


def evaluate(predict: Predict, model_id: str, plan: Plan) -> Programme[Evaluation]:
    """Evaluate a model, in one exchange. `model_id` names what `predict` computes, for the query's digest.

    Refuses rows of one class only, and too few of either.
    """
    given = {"model": model_id, "plan": msgspec.to_builtins(plan)}
    sums = yield Query("evaluation", _lay_out(plan), partial(compute_scores, predict, plan), given)
    yes, no = (sums[side].reshape(-1, plan.cells) for side in ("yes", "no"))
    positives, negatives = float(yes[0].sum()), float(no[0].sum())
    require(positives > 0 and negatives > 0, Reason.ONE_CLASS_ONLY)
    require(min(positives, negatives) >= plan.rows_min, Reason.TOO_FEW_PATIENTS)
    rows = positives + negatives
    thresholds = tuple(_judge(sums["above"].reshape(-1, 2), (positives, negatives), plan))
    shown = [cut for _, cut in thresholds if cut is not None]
    calibration = _calibrate((yes[0], no[0]), sums["expected"], plan, shown)
    visible = choose_shown(plan.groups, (yes.sum(axis=1), no.sum(axis=1)), rows_min=plan.rows_min)
    return Evaluation(
        rows=int(rows),
        rate=positives / rows,
        auroc=compute_auroc(yes[0], no[0]),
        auprc=compute_auprc(yes[0], no[0]),
        brier=float(sums["squares"][0]) / rows,
        accuracy=float(sums["right"][0]) / rows,
        calibration=calibration,
        thresholds=tuple(one for one, _ in thresholds),
        roc=tuple(
            list_roc_points(yes[0], no[0], rows_min=plan.rows_min, shown=[*shown, *list_cuts(calibration)])
        ),
        groups=tuple(
            _describe(group, sums, place=place, cells=(yes[place], no[place]))
            if place in visible
            else InGroup(label=group.label)
            for place, group in enumerate(plan.groups, start=1)
        ),
    )


def _calibrate(
    cells: tuple[Floats, Floats], expected: Floats, plan: Plan, shown: list[Cut]
) -> tuple[Calibration, ...]:
    groups, rows_min = plan.calibration_groups, plan.rows_min
    return tuple(calibrate(cells, expected, groups=groups, rows_min=rows_min, shown=shown))


def count_values(plan: Plan) -> int:
    """Count the values that an evaluation sums."""
    return sum(part.length for part in _lay_out(plan))


def compute_scores(predict: Predict, plan: Plan, _given: Given, site: Site) -> Values:
    """Count a site's rows by group, outcome and cell of score."""
    score = round_rows(predict(site.table), SCORE_BITS)
    outcome = site.table.outcome == 1
    cells = find_cells(score, plan.cells)
    everyone = np.full(len(score), fill_value=True)
    chosen = [everyone, *(group.select(site) for group in plan.groups)]
    count = partial(np.bincount, minlength=plan.cells)
    above = [(score >= one) & side for one in plan.thresholds for side in (outcome, ~outcome)]
    squares = round_rows((score - outcome) * (score - outcome), SCORE_BITS)
    return {
        "yes": np.concatenate([count(cells[one & outcome]) for one in chosen]),
        "no": np.concatenate([count(cells[one & ~outcome]) for one in chosen]),
        "above": np.array([one.sum() for one in above]),
        "right": np.array([((score >= 0.5) == outcome)[one].sum() for one in chosen]),  # noqa: PLR2004  half
        "expected": count(cells, weights=score),
        "expected_in": np.array([score[one].sum() for one in chosen]),
        "squares": np.array([squares[one].sum() for one in chosen]),
    }


def _lay_out(plan: Plan) -> tuple[Part, ...]:
    parts = len(plan.groups) + 1
    return (
        Part("yes", parts * plan.cells),
        Part("no", parts * plan.cells),
        Part("above", len(plan.thresholds) * 2),
        Part("right", parts),
        Part("expected", plan.cells, SCORE_BITS),
        Part("expected_in", parts, SCORE_BITS),
        Part("squares", parts, SCORE_BITS),
    )


def _judge(above: Floats, everyone: Cut, plan: Plan) -> Iterator[tuple[AtThreshold, Cut | None]]:
    """Yield what comes of each threshold, with its cut where it is shown."""
    positives, negatives = everyone
    shown: list[Cut] = [(0.0, 0.0), everyone]
    for threshold, (true, false) in zip(plan.thresholds, above.tolist(), strict=True):
        if not is_apart((true, false), shown, rows_min=plan.rows_min):
            yield AtThreshold(threshold=threshold), None
            continue
        shown.append((true, false))
        said_no = positives + negatives - true - false
        found = AtThreshold(
            threshold=threshold,
            sensitivity=true / positives,
            specificity=1.0 - false / negatives,
            positive_predictive_value=true / (true + false) if true + false > 0 else None,
            negative_predictive_value=(negatives - false) / said_no if said_no > 0 else None,
            accuracy=(true + negatives - false) / (positives + negatives),
        )
        yield found, (true, false)


def _describe(group: Group, sums: Values, *, place: int, cells: tuple[Floats, Floats]) -> InGroup:
    positives, negatives = float(cells[0].sum()), float(cells[1].sum())
    rows = positives + negatives
    return InGroup(
        label=group.label,
        rows=int(rows),
        rate=positives / rows,
        auroc=compute_auroc(*cells),
        brier=float(sums["squares"][place]) / rows,
        expected_rate=float(sums["expected_in"][place]) / rows,
        accuracy=float(sums["right"][place]) / rows,
    )
