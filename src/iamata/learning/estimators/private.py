"""Logistic regression under differential privacy: two noisy sums of clipped rows, and nothing else.

The first sum is the gradient at no coefficients at all: the direction in which the classes lie apart. The
second describes both classes along that direction by means and variance, which gives slope and intercept
(Fisher's discriminant in one dimension). With hundreds of patients and an epsilon of 1 that loses less
than more rounds would, or a noisy curvature. Columns are standardised by their public bounds.

The unit is a patient at a site: however many rows are theirs, they weigh as one. Noise is added by whoever
carries the sums (`Query.noise`); without it the figures are exact and nothing is promised.
"""

import math
from typing import Final

import msgspec
import numpy as np

from iamata.learning.estimators.design import (
    PATIENTS_MIN,
    Moments,
    Term,
    build_matrix,
    get_range,
    list_terms,
)
from iamata.learning.estimators.newton import LinearFit
from iamata.learning.estimators.products import weigh
from iamata.learning.programmes import Given, Noise, Part, Programme, Query, Site, Values, round_rows
from iamata.learning.schemas import Categorical, Column, Schema
from iamata.learning.tables import Floats
from iamata.model.reasons import Reason, require

BITS: Final = 20
REACH: Final = 2.0
"""A column's public bounds lie this many units from its middle; half of them are taken for its spread."""
VARIANCE_MIN: Final = 0.02
"""A variance of scores below this is noise."""
SHARE_MIN: Final = 0.05
"""A class that is smaller than this part of the rows is noise."""
DESCRIPTION_NORM: Final = math.sqrt(3.5)
"""The largest norm of (1, s, s², t, ts) with s within ±1 and t = ±1/2."""
LOG_BITS: Final = 20


class PrivateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a study fixes beforehand."""

    rho: float
    """The zero-concentrated privacy that the fit spends."""
    norm_max: float = 3.0
    """The Euclidean norm to which each row is clipped."""
    description: float = 0.25
    """The part of rho that goes to the second sum."""


def fit_private(schema: Schema, settings: PrivateSettings) -> Programme[LinearFit]:
    """Fit over all sites within `rho`, in two exchanges."""
    require(schema.outcome.kind == "binary", Reason.SCHEMA_INVALID, "kind of the outcome")
    require(settings.rho > 0 and settings.norm_max > 0, Reason.SCHEMA_INVALID, "privacy")
    for column in schema.get_features():
        require_public(column)
    terms = tuple(_describe(*name) for name in list_terms(schema.get_features()))
    size = len(terms) + 1
    first, second = settings.rho * (1.0 - settings.description), settings.rho * settings.description
    given = {"terms": msgspec.to_builtins(terms), "norm_max": settings.norm_max}
    noise = Noise(scale_sensitivity(settings.norm_max / 2.0, size), first)
    sums = yield Query("direction", (Part("gradient", size, BITS),), compute_direction, given, noise)
    gradient = sums["gradient"]
    length = math.sqrt(math.fsum((gradient * gradient).tolist()))
    require(length > 0, Reason.ONE_CLASS_ONLY)
    direction = gradient / length
    given = {**given, "direction": direction}
    noise = Noise(scale_sensitivity(DESCRIPTION_NORM, 5), second)
    sums = yield Query("description", (Part("classes", 5, BITS),), compute_description, given, noise)
    slope, intercept, rows = _discriminate(sums["classes"].tolist())
    coefficients = direction * (slope * 2.0 / settings.norm_max)
    spread = slope * 2.0 * math.sqrt(1.0 / first) / 2.0 / length
    return LinearFit(
        family="logistic",
        moments=Moments(rows=round(rows), patients=round(rows), terms=terms),
        coefficients=(float(coefficients[0]) + intercept, *coefficients[1:].tolist()),
        covariance=_guess_covariance(spread * spread + 4.0 / rows, size),
        dispersion=1.0,
        loss=0.0,
        rounds=2,
    )


def compute_direction(given: Given, site: Site) -> Values:
    """Add up the clipped rows of a site, those with yes less those with no."""
    rows, weights = _clip(given, site)
    signed = rows * (weights * (site.table.outcome - 0.5))[:, None]
    return {"gradient": _add_up(signed, site)}


def compute_description(given: Given, site: Site) -> Values:
    """Add up the scores of a site's rows along the direction, their squares, and their outcomes."""
    rows, weights = _clip(given, site)
    along = weigh(rows, np.asarray(given["direction"], dtype=np.float64))
    score = np.clip(along * 2.0 / float(str(given["norm_max"])), -1.0, 1.0)
    signed = site.table.outcome - 0.5
    columns = np.column_stack([np.ones_like(score), score, score * score, signed, signed * score])
    return {"classes": _add_up(columns * weights[:, None], site)}


def scale_sensitivity(norm: float, length: int) -> float:
    """Return the most that a patient can change the whole numbers that travel, rounding included."""
    return norm * 2.0**BITS + math.sqrt(length)


def require_public(column: Column) -> None:
    """Refuse a column by which a single value could stop the run, and so show itself."""
    is_open = column.missing != "refuse" and column.outside != "refuse"
    require(is_open, Reason.SCHEMA_INVALID, f"{column.name}: a refusal would show a value")


def _add_up(rows: Floats, site: Site) -> Floats:
    """Add up what each patient adds, rounded once for each: so their many rows shift no more than one."""
    names, places = np.unique(np.array(site.table.patients, dtype=str), return_inverse=True)
    added = np.zeros((len(names), rows.shape[1]))
    np.add.at(added, places, rows)
    total: Floats = round_rows(added, BITS).sum(axis=0)
    return total


def _clip(given: Given, site: Site) -> tuple[Floats, Floats]:
    """Return a site's design with bounded rows, and weights by which each patient counts once."""
    matrix = build_matrix(site, msgspec.convert(given["terms"], tuple[Term, ...]))
    norms = np.sqrt((matrix * matrix).sum(axis=1))
    rows = matrix * np.minimum(1.0, float(str(given["norm_max"])) / norms)[:, None]
    counts: dict[str, int] = {}
    for patient in site.table.patients:
        counts[patient] = counts.get(patient, 0) + 1
    return rows, np.array([1.0 / counts[patient] for patient in site.table.patients])


def _describe(column: Column, category: str | None) -> Term:
    """Standardise by public bounds alone."""
    if category is not None or isinstance(column, Categorical):
        return Term(column=column.name, category=category, mean=0.5, spread=0.5)
    middle, half = get_range(column, None)
    return Term(column=column.name, category=None, mean=middle, spread=half / REACH)


def _discriminate(sums: list[float]) -> tuple[float, float, float]:
    """Return slope, intercept and rows from noisy sums, kept within what such sums can be."""
    rows = max(float(2 * PATIENTS_MIN), sums[0])
    yes = min(max(rows / 2.0 + sums[3], SHARE_MIN * rows), (1.0 - SHARE_MIN) * rows)
    no = rows - yes
    mean_yes = min(1.0, max(-1.0, (sums[1] / 2.0 + sums[4]) / yes))
    mean_no = min(1.0, max(-1.0, (sums[1] / 2.0 - sums[4]) / no))
    within = (sums[2] - yes * mean_yes * mean_yes - no * mean_no * mean_no) / rows
    slope = max(0.0, mean_yes - mean_no) / max(VARIANCE_MIN, within)
    odds = round(math.log(yes / no) * 2**LOG_BITS) / 2**LOG_BITS
    return slope, odds - slope * (mean_yes + mean_no) / 2.0, rows


def _guess_covariance(variance: float, size: int) -> tuple[tuple[float, ...], ...]:
    """Return a rough covariance: of the noise, and of a mean of so many rows, each column by itself."""
    return tuple(tuple((np.eye(size)[row] * variance).tolist()) for row in range(size))
