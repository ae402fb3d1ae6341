"""The families of generalised linear models: what a row's linear predictor means, and how well it fits.

Each has its canonical link, so gradient and curvature come from mean and variance alone (McCullagh and
Nelder 1989, section 2.5). Loss is the negative log-likelihood without what the coefficients do not change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from iamata.learning.estimators.predictions import Link
from iamata.learning.tables import Floats


@dataclass(frozen=True)
class Family:
    """A distribution of the outcome, by its canonical link."""

    name: str
    outcome: str
    """The kind of outcome for which it is made."""
    link: Link
    """What the linear predictor is of the expected outcome."""
    compute_mean: Callable[[Floats], Floats]
    """The expected outcome at each linear predictor."""
    compute_weight: Callable[[Floats], Floats]
    """The variance at each linear predictor: the curvature of the loss."""
    compute_loss: Callable[[Floats, Floats], Floats]
    """The loss at each linear predictor and outcome."""


def expit(predictor: Floats) -> Floats:
    """Return 1 / (1 + e^-x) without overflow."""
    small = np.exp(-np.abs(predictor))
    return np.where(predictor >= 0, 1.0, small) / (1.0 + small)


def _logistic_weight(predictor: Floats) -> Floats:
    small = np.exp(-np.abs(predictor))
    return small / ((1.0 + small) * (1.0 + small))


def _logistic_loss(predictor: Floats, outcome: Floats) -> Floats:
    return np.logaddexp(0.0, predictor) - outcome * predictor


def _exp(predictor: Floats) -> Floats:
    return np.exp(np.minimum(predictor, 60.0))


LOGISTIC: Final = Family("logistic", "binary", "log-odds", expit, _logistic_weight, _logistic_loss)
POISSON: Final = Family("poisson", "count", "log", _exp, _exp, lambda eta, y: _exp(eta) - y * eta)
LINEAR: Final = Family(
    "linear",
    "number",
    "identity",
    lambda eta: eta,
    np.ones_like,
    lambda eta, y: 0.5 * (y - eta) * (y - eta),
)
FamilyName: TypeAlias = Literal["logistic", "poisson", "linear"]
FAMILIES: Final = {family.name: family for family in (LOGISTIC, POISSON, LINEAR)}
