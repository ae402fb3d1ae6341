"""What noise is said to cost is what others say, and never less than it does cost."""

import math

import dp_accounting
import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from iamata.learning.privacy.accounting import (
    compute_distributed_rho,
    compute_epsilon,
    compute_rho,
    find_rho,
)
from iamata.model.reasons import Reason, Refused

DELTA = 1e-5
ORDERS = [1 + 10 ** (step / 40) for step in range(-60, 161)]


@pytest.mark.parametrize("multiplier", [0.5, 1, 2, 5, 20, 100])
@pytest.mark.parametrize("delta", [1e-9, DELTA, 1e-3])
def test_an_epsilon_is_that_of_dp_accounting(multiplier: float, delta: float) -> None:
    theirs = RdpAccountant(orders=ORDERS)
    theirs.compose(dp_accounting.GaussianDpEvent(multiplier), 3)

    ours = compute_epsilon(3 * compute_rho(1, multiplier**2), delta)

    assert ours <= theirs.get_epsilon(delta) + 1e-9
    assert ours == pytest.approx(theirs.get_epsilon(delta), rel=5e-3)


@pytest.mark.parametrize("deviation", [1, 3, 10])
def test_the_discrete_gaussian_costs_no_more_than_is_said(deviation: int) -> None:
    exactly = privacy_loss_distribution.from_discrete_gaussian_mechanism(deviation)

    said = compute_epsilon(compute_rho(1, deviation**2), DELTA)

    assert exactly.get_delta_for_epsilon(said) <= DELTA
    assert said <= 1.15 * exactly.get_epsilon_for_delta(DELTA)


@pytest.mark.parametrize("variance", [0.25, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("sites", [2, 4, 6])
def test_a_sum_of_discrete_gaussians_costs_no_more_than_is_said(sites: int, variance: float) -> None:
    """Convolve the distributions, and compute the Rényi divergence to the shifted sum outright."""
    reach = math.ceil(14 * math.sqrt(sites * variance)) + 2
    one = np.exp(-(np.arange(-reach, reach + 1, dtype=np.float64) ** 2) / (2 * variance))
    total = _convolve(one / one.sum(), sites)
    rho = compute_distributed_rho(1, variance, sites=sites, length=1)

    for order in (1.5, 2, 4, 8):
        above, below = total[1:], total[:-1]
        kept = (above > 1e-290) & (below > 1e-290)
        moment = np.exp(order * np.log(above[kept]) + (1 - order) * np.log(below[kept])).sum()
        assert math.log(moment) / (order - 1) <= order * rho * (1 + 1e-9)


def _convolve(one: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    total = one
    for _ in range(count - 1):
        total = np.convolve(total, one)
    return total


def test_many_sites_with_some_noise_are_as_good_as_one_with_all_of_it() -> None:
    assert compute_distributed_rho(3, 100, sites=5, length=1_000) == pytest.approx(compute_rho(3, 500))


@settings(max_examples=25)
@given(st.floats(0.01, 20), st.sampled_from([1e-9, DELTA, 1e-2]))
def test_what_may_be_spent_is_within_the_budget_and_nearly_all_of_it(epsilon: float, delta: float) -> None:
    rho = find_rho(epsilon, delta)

    assert compute_epsilon(rho, delta) <= epsilon
    assert compute_epsilon(rho * 1.000_001, delta) > epsilon


def test_nothing_spent_costs_nothing() -> None:
    assert compute_epsilon(0, DELTA) == 0


@pytest.mark.parametrize(("rho", "delta"), [(-1, DELTA), (1, 0), (1, 1), (math.nan, DELTA), (1e6, DELTA)])
def test_what_has_no_meaning_is_refused(rho: float, delta: float) -> None:
    with pytest.raises(Refused) as refusal:
        compute_epsilon(rho, delta)
    assert refusal.value.reason is Reason.PARAMETER_OUT_OF_RANGE
    with pytest.raises(Refused):
        find_rho(0, DELTA)
    with pytest.raises(Refused):
        compute_distributed_rho(1, 0.1, sites=3, length=1)
