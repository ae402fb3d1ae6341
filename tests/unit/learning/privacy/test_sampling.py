"""Draws follow the discrete Gaussian to the last digit that so many of them show."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from iamata.learning.privacy.sampling import VARIANCE_MAX, Chance, is_drawn, sample_gaussians
from iamata.model.reasons import Reason, Refused

DRAWS = 20_000
DEVIATIONS = 4
"""The keys are fixed, so a test that passed once passes for ever."""


@pytest.mark.parametrize("variance", [Fraction(1, 4), Fraction(1), Fraction(7, 3), Fraction(40)])
def test_draws_have_the_probabilities_of_the_discrete_gaussian(variance: Fraction) -> None:
    draws = Counter(sample_gaussians(Chance(b"g" * 32), variance, DRAWS).tolist())
    reach = math.ceil(4 * math.sqrt(variance)) + 1
    weights = {z: math.exp(-(z**2) / (2 * variance)) for z in range(-40 * reach, 40 * reach + 1)}
    whole = math.fsum(weights.values())
    expected = [DRAWS * weights[z] / whole for z in range(-reach, reach + 1)]
    observed = [draws[z] for z in range(-reach, reach + 1)]

    for number, mean in zip(observed, expected, strict=True):
        assert abs(number - mean) <= DEVIATIONS * math.sqrt(mean) + 1
    assert sum(observed) >= DRAWS - 10  # beyond four deviations there are one or two


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 1), (1, 3), (1, 1), (7, 3), (5, 1)])
def test_a_yes_has_the_probability_of_an_exponential(numerator: int, denominator: int) -> None:
    chance = Chance(b"e" * 32)

    yes = sum(is_drawn(chance, numerator, denominator) for _ in range(DRAWS))

    probability = math.exp(-numerator / denominator)
    deviation = math.sqrt(DRAWS * probability * (1 - probability))
    assert abs(yes - DRAWS * probability) <= DEVIATIONS * deviation


def test_every_number_below_a_limit_comes_equally_often() -> None:
    chance = Chance(b"u" * 32)

    counts = Counter(chance.draw_below(5) for _ in range(DRAWS))

    assert all(abs(counts[number] - DRAWS / 5) <= DEVIATIONS * math.sqrt(DRAWS / 5) for number in range(5))
    assert {chance.draw_below(1) for _ in range(3)} == {0}


@pytest.mark.parametrize("deviation", [2**10, 2**30, 2**54])
def test_a_wide_gaussian_is_as_wide_as_it_says(deviation: int) -> None:
    draws = sample_gaussians(Chance(b"w" * 32), Fraction(deviation**2), 4_000).astype(np.float64)

    assert np.std(draws) / deviation == pytest.approx(1, abs=0.05)
    assert abs(np.mean(draws)) <= 0.06 * deviation


def test_the_same_key_draws_the_same_numbers() -> None:
    first = sample_gaussians(Chance(b"k" * 32), Fraction(100), 8).tolist()

    assert first == sample_gaussians(Chance(b"k" * 32), Fraction(100), 8).tolist()
    assert first != sample_gaussians(Chance(b"l" * 32), Fraction(100), 8).tolist()
    assert repr(Chance(b"k" * 32)) == "Chance()"


@pytest.mark.parametrize("variance", [Fraction(0), Fraction(-1), Fraction(VARIANCE_MAX + 1)])
def test_a_variance_out_of_range_is_refused(variance: Fraction) -> None:
    with pytest.raises(Refused) as refusal:
        sample_gaussians(Chance(b"k" * 32), variance, 1)
    assert refusal.value.reason is Reason.VALUE_NOT_ENCODABLE
