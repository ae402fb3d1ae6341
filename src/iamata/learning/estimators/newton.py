"""Fit a generalised linear model by Newton's method: each round is one sum of gradient and curvature.

Minimises the total loss plus l2/2 times the squared coefficients, the intercept left free, on the
standardised design: scikit-learn's LogisticRegression with C = 1/l2 after a StandardScaler. Newton with
canonical links is iteratively reweighted least squares; a step that does not help is halved.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np

from iamata.learning.estimators.design import Moments, Term, build_matrix, standardise
from iamata.learning.estimators.families import FAMILIES, LINEAR, Family, FamilyName
from iamata.learning.estimators.solving import decompose, invert_factored, solve_factored
from iamata.learning.programmes import SHARE_MAX, Given, Part, Programme, Query, Site, Values, choose_bits
from iamata.learning.schemas import Outcome, Schema
from iamata.learning.tables import Floats
from iamata.model.reasons import Reason, Refused, require

STEP_MAX: Final = 1e-6
"""A largest change of a coefficient after which none is left that matters: Newton squares what is left."""
OUTCOME_BITS: Final = 20
LOSS_BITS: Final = 20
LOSS_CEILING: Final = float(SHARE_MAX >> LOSS_BITS)
LOSS_SLACK: Final = 2.0**-LOSS_BITS
"""The part of a loss by which it may rise from rounding alone."""
L2_MAX: Final = 1e6
ROUNDS_MIN: Final = 2
"""One for mean and spread, and one for a step."""
ROUNDS_MAX: Final = 100
MARGIN: Final = 64.0
"""How much a curvature may exceed the number of rows before a step counts as too far."""


class LinearFit(msgspec.Struct, frozen=True, kw_only=True):
    """Coefficients on the standardised design, intercept first, and their covariance."""

    family: str
    moments: Moments
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    """The inverse of the penalised curvature: what the data leave uncertain (times the dispersion)."""
    dispersion: float
    loss: float
    rounds: int
    """Exchanges, the one for mean and spread included."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a study fixes beforehand."""

    family: FamilyName = "logistic"
    l2: Annotated[float, msgspec.Meta(ge=0, le=L2_MAX)] = 1.0
    rounds_max: Annotated[int, msgspec.Meta(ge=ROUNDS_MIN, le=ROUNDS_MAX)] = 25


def fit_linear(schema: Schema, settings: Settings) -> Programme[LinearFit]:
    """Fit over all sites, or refuse: one class, constant or collinear columns, no convergence."""
    family = FAMILIES[settings.family]
    require(schema.outcome.kind == family.outcome, Reason.SCHEMA_INVALID, "kind of the outcome")
    moments = yield from standardise(schema)
    point = np.zeros(len(moments.terms) + 1)
    best: _Point | None = None
    for exchange in range(2, settings.rounds_max + 1):
        sums = yield _ask(family, moments, point)
        tried = _read(sums, point, settings.l2, moments)
        if best is None:
            _require_variety(family, moments, float(sums["outcome"][0]))
        elif not tried.loss <= best.loss + LOSS_SLACK * max(1.0, abs(best.loss)):
            point = best.point + (point - best.point) * 0.5
            continue
        factor = _factorise(tried, moments, is_first=best is None)
        step = solve_factored(factor, tried.gradient)
        best, point = tried, point + step
        if float(np.abs(step).max()) <= STEP_MAX:
            free = max(1, moments.rows - len(point))
            return LinearFit(
                family=family.name,
                moments=moments,
                coefficients=tuple(point.tolist()),
                covariance=tuple(map(tuple, invert_factored(factor).tolist())),
                dispersion=2.0 * best.loss / free if family is LINEAR else 1.0,
                loss=best.loss,
                rounds=exchange,
            )
    raise Refused(Reason.NOT_CONVERGED, f"{settings.rounds_max} rounds")


def compute_curvature(given: Given, site: Site) -> Values:
    """Add up loss, gradient and curvature of a site's rows at the given coefficients.

    Where they do not fit the scale the step went too far; the loss then says so, for all sites to halve it.
    """
    family = FAMILIES[str(given["family"])]
    matrix = build_matrix(site, msgspec.convert(given["terms"], tuple[Term, ...]))
    outcome = rescale_outcome(site.table.schema.outcome, site.table.outcome)
    with np.errstate(over="ignore", invalid="ignore"):
        predictor = matrix @ np.asarray(given["point"], dtype=np.float64)
        loss = float(family.compute_loss(predictor, outcome).sum())
        gradient = matrix.T @ (outcome - family.compute_mean(predictor))
        product = (matrix * family.compute_weight(predictor)[:, None]).T @ matrix
    upper = product[np.triu_indices(len(product))]
    largest = float(np.abs(np.concatenate([gradient, upper])).max())
    if not (largest < float(str(given["ceiling"])) and abs(loss) < LOSS_CEILING):
        loss, gradient, upper = LOSS_CEILING, np.zeros_like(gradient), np.zeros_like(upper)
    total = np.array([site.table.outcome.sum()])
    return {"outcome": total, "loss": np.array([loss]), "gradient": gradient, "curvature": upper}


def rescale_outcome(outcome: Outcome, values: Floats) -> Floats:
    """Move numbers to [-1, 1] by their public bounds; counts and yes-or-no stay."""
    middle, half = get_outcome_range(outcome)
    return (values - middle) / half


def get_outcome_range(outcome: Outcome) -> tuple[float, float]:
    """Return the middle and half the width of the outcome as the fit sees it."""
    if outcome.kind == "number":
        return (outcome.low + outcome.high) / 2, (outcome.high - outcome.low) / 2
    return 0.0, 1.0


@dataclass(frozen=True)
class _Point:
    """Coefficients, and what the sums say there, penalty included."""

    point: Floats
    loss: float
    gradient: Floats
    """Downhill: the negative gradient of the loss."""
    curvature: Floats


def _ask(family: Family, moments: Moments, point: Floats) -> Query:
    size = len(point)
    bits = choose_bits(moments.rows, largest=MARGIN)
    parts = (
        Part("outcome", 1, OUTCOME_BITS),
        Part("loss", 1, LOSS_BITS),
        Part("gradient", size, bits),
        Part("curvature", size * (size + 1) // 2, bits),
    )
    terms = msgspec.to_builtins(moments.terms)
    ceiling = float(SHARE_MAX >> bits)
    given = {"family": family.name, "terms": terms, "point": point, "ceiling": ceiling}
    return Query("curvature", parts, compute_curvature, given)


def _read(sums: Values, point: Floats, l2: float, moments: Moments) -> _Point:
    """Add the penalty. The intercept is free; a term that never varies is held at 0."""
    size = len(point)
    penalty = np.array([0.0, *(l2 for _ in moments.terms)])
    curvature = np.zeros((size, size))
    curvature[np.triu_indices(size)] = sums["curvature"]
    curvature = curvature + curvature.T
    curvature[np.diag_indices(size)] *= 0.5
    idle = np.array([0.0, *(float(term.spread == 0) for term in moments.terms)])
    curvature[np.diag_indices(size)] += penalty + idle
    loss = float(sums["loss"][0]) + 0.5 * math.fsum((penalty * point * point).tolist())
    return _Point(point, loss, sums["gradient"] - penalty * point, curvature)


def _require_variety(family: Family, moments: Moments, total: float) -> None:
    """Refuse an outcome that is the same for everybody."""
    if family.outcome != "number":
        require(total > 0, Reason.ONE_CLASS_ONLY)
    if family.outcome == "binary":
        require(total < moments.rows, Reason.ONE_CLASS_ONLY)


def _factorise(at: _Point, moments: Moments, *, is_first: bool) -> Floats:
    """Decompose the curvature. At the start it shows the design alone, later how far the fit ran away."""
    factor, failing = decompose(at.curvature)
    if failing is None:
        return factor
    require(not is_first, Reason.COLUMNS_COLLINEAR, moments.terms[max(0, failing - 1)].column)
    raise Refused(Reason.NOT_CONVERGED, "the coefficients grow without end")
