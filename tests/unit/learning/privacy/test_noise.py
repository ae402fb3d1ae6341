"""The honest half's noise suffices, the sum carries it, and asking again does not wash it out."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from iamata.learning.privacy.accounting import compute_distributed_rho
from iamata.learning.privacy.noise import (
    compute_variance,
    count_honest,
    derive_noise_key,
    sample_noise,
)
from iamata.learning.secure_sum.encoding import Part
from iamata.learning.secure_sum.rehearsal import rehearse
from iamata.learning.secure_sum.site import Site
from iamata.model.reasons import Reason, Refused
from iamata.testing.rounds import make_keys, make_plan, make_seed

PART = Part(length=3, scale_bits=10, magnitude_max=8)


def test_half_of_those_who_must_remain_are_counted_on() -> None:
    assert [count_honest(make_plan(sites).threshold) for sites in (3, 4, 5, 10)] == [2, 2, 2, 4]


@pytest.mark.parametrize("sensitivity", [Fraction(1, 10), Fraction(1), Fraction(1_000), Fraction(2**30)])
@pytest.mark.parametrize("sites", [3, 10, 100])
def test_the_noise_of_the_honest_half_costs_what_it_may(sites: int, sensitivity: Fraction) -> None:
    honest = count_honest(make_plan(sites).threshold)
    rho = Fraction(1, 30)

    variance = compute_variance(sensitivity=sensitivity, rho=rho, honest=honest, length=10_000)

    spent = compute_distributed_rho(float(sensitivity), float(variance), sites=honest, length=10_000)
    assert spent <= float(rho) * (1 + 1e-8)


def test_a_sum_carries_the_noise_of_all_even_beyond_a_bound() -> None:
    plan = make_plan(4, parts=[PART])
    noise = [sample_noise(make_seed(at), variance=Fraction(2**30), length=4) for at in range(4)]
    sites = [
        Site.start(
            plan, key, seed=make_seed(at, label=2), rows=5, values=[np.full(3, 8.0)], noise=noise[at]
        )
        for at, key in enumerate(make_keys(4))
    ]

    total = rehearse(plan, sites)

    drawn = np.sum(noise, axis=0)
    assert total.rows == 20 + drawn[0]
    assert total.integers[0].tolist() == [4 * 8 * 2**10 + number for number in drawn[1:]]


def test_one_query_gets_one_noise() -> None:
    query, other = make_plan(3).query, make_plan(3, query=1).query
    keys = [derive_noise_key(bytes(32), one) for one in (query, query, other)]

    assert keys[0] == keys[1] != keys[2]
    assert derive_noise_key(b"x" * 32, query) != keys[0]


@pytest.mark.parametrize(
    "noise", [np.zeros(3, dtype=np.int64), np.zeros(4), np.zeros((2, 2), dtype=np.int64)]
)
def test_noise_of_another_shape_is_refused(noise: Any) -> None:
    with pytest.raises(Refused) as refusal:
        Site.start(
            make_plan(4, parts=[PART]),
            make_keys(1)[0],
            seed=bytes(32),
            rows=1,
            values=[np.zeros(3)],
            noise=noise,
        )
    assert refusal.value.reason is Reason.VALUE_NOT_ENCODABLE


@pytest.mark.parametrize(("sensitivity", "rho", "honest"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_no_noise_without_a_measure(sensitivity: int, rho: int, honest: int) -> None:
    with pytest.raises(Refused):
        compute_variance(sensitivity=Fraction(sensitivity), rho=Fraction(rho), honest=honest, length=1)
