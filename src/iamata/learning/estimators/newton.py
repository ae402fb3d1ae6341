"""Fit a generalised linear model by Newton's method: each round is one sum of gradient and curvature.

Minimises the total loss plus l2/2 times the squared coefficients, the intercept left free, on the
standardised design: scikit-learn's LogisticRegression with C = 1/l2 after a StandardScaler. Newton with
canonical links is iteratively reweighted least squares; a step that does not help is halved. Counts start
near their mean, and their sums travel in its unit, so that no site's are ever too large to be added.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np

from iamata.learning.estimators.design import Moments, Term, build_matrix, standardise
from iamata.learning.estimators.families import FAMILIES, LINEAR, POISSON, Family, FamilyName
from iamata.learning.estimators.products import add_up, multiply, weigh
from iamata.learning.estimators.solving import decompose, invert_roughly, solve_factored
from iamata.learning.programmes import (
    SHARE_MAX,
    SITES_MAX,
    Given,
    Part,
    Programme,
    Query,
    Site,
    Values,
    choose_bits,
)
from iamata.learning.schemas import Outcome, Schema
from iamata.learning.tables import ROWS_MAX, Floats
from iamata.model.reasons import Reason, Refused, require

STEP_MAX: Final = 1e-6
"""A largest change of a coefficient after which none is left that matters: Newton squares what is left."""
LOSS_SLACK: Final = 2.0**-20
"""The part of a loss by which it may rise from rounding alone."""
COUNT_MAX: Final = SHARE_MAX // ROWS_MAX
"""The highest bound of a count: so many rows of it still add up to one site's share."""
SPREAD_MIN: Final = 2.0**-16
"""A number's standard deviation below this part of half its range is lost in the scale of the sums."""
LN_2: Final = 0.6931471805599453
COVARIANCE_DIGITS: Final = 3
"""What intervals need. All digits would tell the very sums of products of columns, and so single values."""
L2_MAX: Final = 1e6
ROUNDS_MIN: Final = 2
"""One for mean and spread, and one for a step."""
ROUNDS_MAX: Final = 100
MARGIN: Final = 64.0
"""How much a sum may exceed the number of rows before a step counts as too far."""


class LinearFit(msgspec.Struct, frozen=True, kw_only=True):
    """Coefficients on the standardised design, intercept first, and their covariance.

    Those of a number are of its place between its bounds, from -1 to 1 (`LinearModel` has its unit).
    """

    family: str
    moments: Moments
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    """The inverse of the penalised curvature: what the data leave uncertain (times the dispersion).

    Only nearly so: variances are right to a hundredth.
    """
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
    _require_fitting(family, schema.outcome)
    moments = yield from standardise(schema)
    scale = yield from _choose_scale(family, moments)
    point = np.array([scale.start, *(0.0 for _ in moments.terms)])
    best: _Point | None = None
    for exchange in range(scale.exchanges + 1, settings.rounds_max + 1):
        sums = yield _ask(family, moments, scale, point)
        tried = _read(sums, point, settings.l2, moments)
        if best is None:
            _require_variety(schema.outcome, moments, tried)
        elif not tried.loss <= best.loss + scale.compute_slack(best.loss):
            point = best.point + (point - best.point) * 0.5
            continue
        factor = _factorise(tried, moments, is_first=best is None)
        step = solve_factored(factor, tried.gradient)
        best, point = tried, point + step
        if float(np.abs(step).max()) <= STEP_MAX:
            covariance = invert_roughly(factor, digits=COVARIANCE_DIGITS)
            free = max(1, moments.rows - len(point))
            return LinearFit(
                family=family.name,
                moments=moments,
                coefficients=tuple(point.tolist()),
                covariance=tuple(map(tuple, covariance.tolist())),
                dispersion=2.0 * best.loss / free if family is LINEAR else 1.0,
                loss=best.loss,
                rounds=exchange,
            )
    raise Refused(Reason.NOT_CONVERGED, f"{settings.rounds_max} rounds")


def compute_total(_given: Given, site: Site) -> Values:
    """Add up a site's counts."""
    return {"outcome": np.array([site.table.outcome.sum()])}


def compute_curvature(given: Given, site: Site) -> Values:
    """Add up loss, gradient and curvature of a site's rows at the given coefficients.

    Where they do not fit the scale the step went too far; the site then says so, for all to halve it.
    """
    family = FAMILIES[str(given["family"])]
    matrix = build_matrix(site, msgspec.convert(given["terms"], tuple[Term, ...]))
    outcome = rescale_outcome(site.table.schema.outcome, site.table.outcome)
    with np.errstate(over="ignore", invalid="ignore"):
        predictor = weigh(matrix, np.asarray(given["point"], dtype=np.float64))
        loss = np.array([add_up(family.compute_loss(predictor, outcome))])
        gradient = multiply(matrix, (outcome - family.compute_mean(predictor))[:, None])[:, 0]
        product = multiply(matrix * family.compute_weight(predictor)[:, None], matrix)
    share = {"loss": loss, "gradient": gradient, "curvature": product[np.triu_indices(len(product))]}
    largest = float(np.abs(np.concatenate(list(share.values()))).max())
    if not largest < float(str(given["ceiling"])):
        return {"beyond": np.ones(1), **{name: np.zeros_like(one) for name, one in share.items()}}
    return {"beyond": np.zeros(1), **share}


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
class _Scale:
    """Where a fit starts, and as multiples of what its sums travel."""

    start: float
    """The first intercept."""
    bits: int
    exchanges: int
    """How many it took to know this."""

    def compute_slack(self, loss: float) -> float:
        """Compute by how much a loss may rise from rounding alone, at the sites and on its way."""
        return LOSS_SLACK * max(1.0, abs(loss)) + math.ldexp(SITES_MAX, -self.bits)


@dataclass(frozen=True)
class _Point:
    """Coefficients, and what the sums say there, penalty included."""

    point: Floats
    loss: float
    """Infinite where the sums of some site were beyond the scale."""
    gradient: Floats
    """Downhill: the negative gradient of the loss."""
    curvature: Floats


def _choose_scale(family: Family, moments: Moments) -> Programme[_Scale]:
    """Choose a start and a scale that no honest site's sums are beyond, whatever its part of the rows.

    The squares of a standardised column add up to the number of rows, so none of its values is larger than
    the root of that. Counts start at the power of two above their mean: no logarithm is asked of anybody.
    """
    if family is not POISSON:
        return _Scale(start=0.0, bits=choose_bits(moments.rows, largest=MARGIN), exchanges=1)
    sums = yield Query("total", (Part("outcome", 1),), compute_total)
    total = float(sums["outcome"][0])
    require(total > 0, Reason.ONE_CLASS_ONLY)
    exponent = math.frexp(total / moments.rows)[1]
    bits = choose_bits(moments.rows, largest=max(MARGIN, 2.0 * math.sqrt(moments.rows))) - exponent
    return _Scale(start=exponent * LN_2, bits=bits, exchanges=2)


def _ask(family: Family, moments: Moments, scale: _Scale, point: Floats) -> Query:
    size = len(point)
    parts = (
        Part("beyond", 1),
        Part("loss", 1, scale.bits),
        Part("gradient", size, scale.bits),
        Part("curvature", size * (size + 1) // 2, scale.bits),
    )
    terms = msgspec.to_builtins(moments.terms)
    ceiling = math.ldexp(SHARE_MAX, -scale.bits)
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
    summed = math.inf if sums["beyond"][0] else float(sums["loss"][0])
    loss = summed + 0.5 * math.fsum((penalty * point * point).tolist())
    return _Point(point, loss, sums["gradient"] - penalty * point, curvature)


def _require_fitting(family: Family, outcome: Outcome) -> None:
    """Refuse an outcome that is not the family's, or that it could not add up."""
    require(outcome.kind == family.outcome, Reason.SCHEMA_INVALID, "kind of the outcome")
    if family is POISSON:
        what = f"{outcome.name}: a count's bounds end at {COUNT_MAX:,} here; take it for a number"
        require(outcome.high <= COUNT_MAX, Reason.SCHEMA_INVALID, what)


def _require_variety(outcome: Outcome, moments: Moments, first: _Point) -> None:
    """Refuse an outcome that is the same for everybody, by the sums at no coefficients."""
    require(math.isfinite(first.loss), Reason.VALUE_OUT_OF_BOUNDS, "a site's sums are beyond the scale")
    mean = float(first.gradient[0]) / moments.rows
    if outcome.kind == "binary":  # half of all rows was expected
        require(abs(mean) < 0.5, Reason.ONE_CLASS_ONLY)  # noqa: PLR2004
    if outcome.kind == "number":
        what = f"{outcome.name} hardly varies within its bounds; narrow them"
        is_varied = 2.0 * first.loss / moments.rows - mean * mean >= SPREAD_MIN * SPREAD_MIN
        require(is_varied, Reason.COLUMN_CONSTANT, what)


def _factorise(at: _Point, moments: Moments, *, is_first: bool) -> Floats:
    """Decompose the curvature. At the start it shows the design alone, later how far the fit ran away."""
    factor, failing = decompose(at.curvature)
    if failing is None:
        return factor
    require(not is_first, Reason.COLUMNS_COLLINEAR, moments.terms[max(0, failing - 1)].column)
    raise Refused(Reason.NOT_CONVERGED, "the coefficients grow without end")
