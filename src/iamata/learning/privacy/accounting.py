"""What noise costs: zero-concentrated differential privacy (Bun and Steinke 2016), in epsilon and delta.

A mechanism that is rho-zCDP may be followed by another: the rho add up, over rounds and studies.
Figures here are floats, exact to some twelve digits; a budget that several must agree on is kept in
whole units.
"""

import math
from typing import Final

from iamata.model.reasons import Reason, require

RHO_MAX: Final = 1_000.0
_STEPS: Final = 64
_VARIANCE_MIN: Final = 0.25
_ORDER_MAX: Final = 1e9


def compute_rho(sensitivity: float, variance: float) -> float:
    """Compute what Gaussian noise costs, continuous or discrete (Canonne et al. 2020, theorem 4).

    `sensitivity` is the most by which one patient can change the vector, in the Euclidean norm and in
    the vector's own unit.
    """
    return sensitivity * sensitivity / (2 * variance)


def compute_distributed_rho(sensitivity: float, variance: float, *, sites: int, length: int) -> float:
    """Compute what the sum of several sites' discrete Gaussians costs, each of this variance.

    A sum of discrete Gaussians is nearly one (Kairouz, Liu and Steinke 2021, theorem 1): what it lacks
    vanishes as the variance grows, and matters below about 1. Refuses a variance below 1/4, of which
    the theorem says nothing.
    """
    require(variance >= _VARIANCE_MIN, Reason.PARAMETER_OUT_OF_RANGE, "variance")
    exponents = (-2 * math.pi**2 * variance * k / (k + 1) for k in range(1, sites))
    lack = 10 * sum(math.exp(exponent) for exponent in exponents)
    ratio = sensitivity / math.sqrt(sites * variance)
    epsilon = min(math.sqrt(ratio**2 + lack * length / 2), ratio + lack * math.sqrt(length))
    return epsilon**2 / 2


def compute_epsilon(rho: float, delta: float) -> float:
    """Compute an epsilon for which rho-zCDP is (epsilon, delta)-DP (Canonne et al. 2020, proposition 12).

    Every order a > 1 gives a valid epsilon, so that a search which stops early errs on the safe side.
    """
    require(0 < delta < 1 and 0 <= rho <= RHO_MAX, Reason.PARAMETER_OUT_OF_RANGE, "privacy")
    if rho == 0:
        return 0.0
    low, high = math.log(1e-6), math.log(_ORDER_MAX)
    for _ in range(_STEPS):  # a ternary search over log(a − 1): the function falls, then rises
        third = (high - low) / 3
        left = _compute_epsilon_at(low + third, rho, delta)
        if left < _compute_epsilon_at(high - third, rho, delta):
            high -= third
        else:
            low += third
    return max(0.0, _compute_epsilon_at((low + high) / 2, rho, delta))


def find_rho(epsilon: float, delta: float) -> float:
    """Find the most rho that may be spent within (epsilon, delta), rounded down."""
    require(epsilon > 0, Reason.PARAMETER_OUT_OF_RANGE, "privacy")
    low, high = 0.0, RHO_MAX
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if compute_epsilon(middle, delta) <= epsilon:
            low = middle
        else:
            high = middle
    return low


def _compute_epsilon_at(log_excess: float, rho: float, delta: float) -> float:
    order = 1 + math.exp(log_excess)
    slack = (math.log(1 / delta) - math.log(order)) / (order - 1)
    return rho * order + math.log1p(-1 / order) + slack
