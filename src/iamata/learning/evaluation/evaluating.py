"""Evaluate a model from sums over sites: what it is worth, for whom, and how sure one can be.

Each site counts its rows by score, and then by score and outcome, in cells that fit the scores. What is
published shows no part with fewer patients of either outcome than the study allows, nor lets anybody find
one by subtraction: a group's figures are left out where what is left of its column would be such a part,
and all cuts of the scores lie so many apart.
The sites themselves learn the summed cells, in which a count may be 1; no cell says where the row lies.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Final

import msgspec
import numpy as np

from iamata.learning.evaluation.calibration import Calibration, calibrate
from iamata.learning.evaluation.cells import divide_steps, find_cells, find_steps, find_ties, list_edges
from iamata.learning.evaluation.curves import (
    TOP,
    Cut,
    Estimate,
    RocPoint,
    Sides,
    Ties,
    compute_auprc,
    compute_auroc,
    is_apart,
    list_cuts,
    list_roc_points,
)
from iamata.learning.evaluation.subgroups import Group, choose_shown
from iamata.learning.holders import is_enough, share_patients
from iamata.learning.programmes import Given, Part, Programme, Query, Site, Values, choose_bits, round_rows
from iamata.learning.tables import ROWS_MAX, Floats, Table
from iamata.model.reasons import Reason, require

CELLS_MIN: Final = 2
CELLS_MAX: Final = 2**16
THRESHOLDS_MAX: Final = 100
GROUPS_MAX: Final = 100
SHOWN_PATIENTS_MIN: Final = 10
"""No study may show fewer patients than this."""
SHOWN_PATIENTS_MAX: Final = ROWS_MAX
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
    patients_min: Annotated[int, msgspec.Meta(ge=SHOWN_PATIENTS_MIN, le=SHOWN_PATIENTS_MAX)] = 10
    """Fewer patients with either outcome are not shown, or with any where it is a number or a count."""


class AtThreshold(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of saying yes from a probability on. None where too few patients would be counted.

    That is so too where too few lie between this threshold and one before it.
    """

    threshold: float
    sensitivity: float | None = None
    specificity: float | None = None
    positive_predictive_value: float | None = None
    negative_predictive_value: float | None = None
    accuracy: float | None = None


class InGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is worth for a group. All None where it, or what is left, has too few patients."""

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
    """Evaluate a model, in two exchanges. `model_id` names what `predict` computes, for queries' digests.

    Refuses rows of one class only, and too few of either.
    """
    given = {"model": model_id, "plan": msgspec.to_builtins(plan)}
    found = yield Query("scores", _lay_out_steps(plan), partial(count_scores, predict, plan), given)
    require(float(found["rows"].sum()) > 0, Reason.ONE_CLASS_ONLY)
    widths = divide_steps(found["rows"], found["patients"], patients_min=plan.patients_min)
    cells = int(widths.sum())
    given = {**given, "widths": widths}
    sums = yield Query("evaluation", _lay_out(plan, cells), partial(compute_scores, predict, plan), given)
    yes, no = (sums[side].reshape(-1, cells) for side in ("yes", "no"))
    cuts = list_cuts((yes[0], no[0]), (sums["yes_patients"], sums["no_patients"]))
    everyone = cuts[-1]
    require(everyone.yes > 0 and everyone.no > 0, Reason.ONE_CLASS_ONLY)
    least = min(everyone.yes_patients, everyone.no_patients)
    require(is_enough(least, plan.patients_min), Reason.TOO_FEW_PATIENTS)
    return _tell({**sums, "edges": list_edges(widths)}, (yes, no), cuts, plan)


def _tell(sums: Values, sides: Sides, cuts: list[Cut], plan: Plan) -> Evaluation:
    """Tell what may be shown; `sides` has everybody's cells first, then each group's."""
    (yes, no), everyone, patients_min = sides, cuts[-1], plan.patients_min
    rows = everyone.yes + everyone.no
    thresholds = tuple(_judge(sums["above"].reshape(-1, 4), everyone, plan))
    shown = [cut for _, cut in thresholds if cut is not None]
    expected, edges, groups = sums["expected"], sums["edges"], plan.calibration_groups
    calibration = list(
        calibrate(cuts, expected, edges, groups=groups, patients_min=patients_min, shown=shown)
    )
    is_tied = find_ties((yes + no)[0], sums["places"], sums["place_squares"])
    counts = sums["patients_in"].reshape(2, -1)
    visible = choose_shown(
        plan.groups, (yes + no).sum(axis=1), tuple(counts), patients_min=plan.patients_min
    )
    return Evaluation(
        rows=int(rows),
        rate=everyone.yes / rows,
        auroc=compute_auroc(yes[0], no[0], is_tied),
        auprc=compute_auprc(yes[0], no[0], is_tied),
        brier=float(sums["squares"][0]) / rows,
        accuracy=float(sums["right"][0]) / rows,
        calibration=tuple(one for one, _ in calibration),
        thresholds=tuple(one for one, _ in thresholds),
        roc=tuple(
            list_roc_points(
                cuts, patients_min=patients_min, shown=[*shown, *(cut for _, cut in calibration)]
            )
        ),
        groups=tuple(
            _describe(group, sums, place=place, cells=(yes[place], no[place]), is_tied=is_tied)
            if place in visible
            else InGroup(label=group.label)
            for place, group in enumerate(plan.groups, start=1)
        ),
    )


def count_values(plan: Plan) -> int:
    """Count the values of the longer of an evaluation's two queries."""
    return sum(part.length for part in _lay_out(plan, plan.cells))


def count_scores(predict: Predict, plan: Plan, _given: Given, site: Site) -> Values:
    """Count a site's rows and patients by step of score."""
    step = np.floor(find_steps(predict(site.table), plan.cells)).astype(np.int64)
    part = round_rows(share_patients(site.table), SCORE_BITS)
    return {
        "rows": np.bincount(step, minlength=plan.cells).astype(np.float64),
        "patients": np.bincount(step, weights=part, minlength=plan.cells).astype(np.float64),
    }


def compute_scores(predict: Predict, plan: Plan, given: Given, site: Site) -> Values:
    """Count a site's rows by group, outcome and cell of score."""
    probability, outcome = predict(site.table), site.table.outcome == 1
    score = round_rows(probability, SCORE_BITS)
    widths = np.asarray(given["widths"], dtype=np.int64)
    cells, places = find_cells(find_steps(probability, plan.cells), widths)
    everyone = np.full(len(score), fill_value=True)
    chosen = [everyone, *(group.select(site) for group in plan.groups)]
    count = partial(np.bincount, minlength=int(widths.sum()))
    part = round_rows(share_patients(site.table, outcome.astype(np.int64)), SCORE_BITS)
    sides = outcome, ~outcome
    squares = round_rows((score - outcome) * (score - outcome), SCORE_BITS)
    return {
        "yes": np.concatenate([count(cells[one & outcome]) for one in chosen]),
        "no": np.concatenate([count(cells[one & ~outcome]) for one in chosen]),
        "yes_patients": count(cells[outcome], weights=part[outcome]),
        "no_patients": count(cells[~outcome], weights=part[~outcome]),
        "patients_in": np.array([part[one & side].sum() for side in sides for one in chosen]),
        "above": np.array(
            [
                weight[(probability >= one) & side].sum()
                for one in plan.thresholds
                for weight in (np.ones_like(part), part)
                for side in sides
            ]
        ),
        "right": np.array([((probability >= 0.5) == outcome)[one].sum() for one in chosen]),  # noqa: PLR2004  half
        "places": count(cells, weights=places),
        "place_squares": count(cells, weights=places * places),
        "expected": count(cells, weights=score),
        "expected_in": np.array([score[one].sum() for one in chosen]),
        "squares": np.array([squares[one].sum() for one in chosen]),
    }


def _lay_out_steps(plan: Plan) -> tuple[Part, ...]:
    return Part("rows", plan.cells), Part("patients", plan.cells, SCORE_BITS)


def _lay_out(plan: Plan, cells: int) -> tuple[Part, ...]:
    parts = len(plan.groups) + 1
    return (
        Part("yes", parts * cells),
        Part("no", parts * cells),
        Part("yes_patients", cells, SCORE_BITS),
        Part("no_patients", cells, SCORE_BITS),
        Part("patients_in", 2 * parts, SCORE_BITS),
        Part("above", len(plan.thresholds) * 4, SCORE_BITS),
        Part("right", parts),
        Part("places", cells),
        Part("place_squares", cells),
        Part("expected", cells, SCORE_BITS),
        Part("expected_in", parts, SCORE_BITS),
        Part("squares", parts, SCORE_BITS),
    )


def _judge(above: Floats, everyone: Cut, plan: Plan) -> Iterator[tuple[AtThreshold, Cut | None]]:
    """Yield what comes of each threshold, with its cut where it is shown."""
    positives, negatives = everyone.yes, everyone.no
    shown = [TOP, everyone]
    for threshold, cut in zip(plan.thresholds, (Cut(*one) for one in above.tolist()), strict=True):
        if not is_apart(cut, shown, patients_min=plan.patients_min):
            yield AtThreshold(threshold=threshold), None
            continue
        shown.append(cut)
        true, false = cut.yes, cut.no
        said_no = positives + negatives - true - false
        found = AtThreshold(
            threshold=threshold,
            sensitivity=true / positives,
            specificity=1.0 - false / negatives,
            positive_predictive_value=true / (true + false) if true + false > 0 else None,
            negative_predictive_value=(negatives - false) / said_no if said_no > 0 else None,
            accuracy=(true + negatives - false) / (positives + negatives),
        )
        yield found, cut


def _describe(group: Group, sums: Values, *, place: int, cells: Sides, is_tied: Ties) -> InGroup:
    positives, negatives = float(cells[0].sum()), float(cells[1].sum())
    rows = positives + negatives
    return InGroup(
        label=group.label,
        rows=int(rows),
        rate=positives / rows,
        auroc=compute_auroc(*cells, is_tied),
        brier=float(sums["squares"][place]) / rows,
        expected_rate=float(sums["expected_in"][place]) / rows,
        accuracy=float(sums["right"][place]) / rows,
    )
