"""What the sample holds is plausible, and a learner finds the documented truth in it again."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from statistics import mean
from typing import Any

import pytest

from iamata.sample.demographics import LAST_DAY
from iamata.sample.generating import generate
from iamata.sample.lives import Life, draw_life
from iamata.sample.readings import compute_filtration
from iamata.sample.risks import RISKS, compute_factors

_LIVES = 8_000
_ADULT_AGE = 18

_HBA1C, _SYSTOLIC, _BMI, _CREATININE, _EGFR = "4548-4", "8480-6", "39156-5", "2160-0", "98979-8"
_HEIGHT, _WEIGHT = "8302-2", "29463-7"
_DIABETES, _HYPERTENSION, _KIDNEY = "44054006", "59621000", "709044004"


@cache
def _adults() -> tuple[Life, ...]:
    lives = (draw_life(17, index) for index in range(_LIVES))
    return tuple(life for life in lives if life.person.compute_age(LAST_DAY) >= _ADULT_AGE)


@pytest.mark.parametrize(
    ("illness", "least", "most"),
    [
        ("hypertension", 0.24, 0.36),
        ("diabetes", 0.08, 0.15),
        ("hyperlipidaemia", 0.18, 0.30),
        ("heart_disease", 0.05, 0.10),
        ("heart_failure", 0.01, 0.04),
        ("stroke", 0.02, 0.05),
        ("kidney_disease", 0.03, 0.08),
        ("lung_disease", 0.04, 0.08),
        ("asthma", 0.05, 0.11),
        ("osteoarthritis", 0.09, 0.18),
        ("depression", 0.06, 0.12),
        ("alcohol_use", 0.03, 0.08),
        ("hiv", 0.001, 0.01),
    ],
)
def test_prevalence_among_adults_is_plausible(illness: str, least: float, most: float) -> None:
    assert least < mean(illness in life.onsets for life in _adults()) < most


@pytest.mark.parametrize("illness", ["diabetes", "hypertension"])
def test_a_logistic_regression_recovers_the_coefficients(illness: str) -> None:
    risk = next(risk for risk in RISKS if risk.illness == illness)
    rows, answers = [], []
    for life in _adults():
        if life.person.compute_age(LAST_DAY) > 30:
            factors = compute_factors(life.person, life.body, day=LAST_DAY)
            rows.append([1.0, *(factors[name] for name in risk.coefficients)])
            answers.append(float(illness in life.onsets))
    found = _fit_logistic(rows, answers)
    for estimate, truth in zip(found, [risk.intercept, *risk.coefficients.values()], strict=True):
        assert estimate == pytest.approx(truth, abs=0.25)
        assert estimate * truth > 0 or abs(truth) < 0.2


def test_smokers_have_more_lung_disease_and_parents_hand_down_diabetes() -> None:
    assert _share("lung_disease", has_smoked=True) > 3 * _share("lung_disease", has_smoked=False)
    heirs = [life for life in _adults() if life.person.has_family_diabetes]
    others = [life for life in _adults() if not life.person.has_family_diabetes]
    assert mean("diabetes" in life.onsets for life in heirs) > 1.5 * mean(
        "diabetes" in life.onsets for life in others
    )


@pytest.mark.parametrize(
    ("condition", "measure", "difference"),
    [
        (_DIABETES, _HBA1C, 1.0),
        (_DIABETES, _BMI, 1.0),
        (_HYPERTENSION, _SYSTOLIC, 3.0),
        (_KIDNEY, _CREATININE, 0.4),
    ],
)
def test_the_resources_show_the_illness(condition: str, measure: str, difference: float) -> None:
    ill = [
        values[measure] for conditions, values in _charts() if condition in conditions and measure in values
    ]
    well = [
        values[measure]
        for conditions, values in _charts()
        if condition not in conditions and measure in values
    ]
    assert mean(ill) > mean(well) + difference


def test_body_mass_index_follows_from_height_and_weight() -> None:
    for _, values in _charts():
        if _BMI in values:
            assert values[_BMI] == pytest.approx(values[_WEIGHT] / (values[_HEIGHT] / 100) ** 2, abs=0.051)
            assert 11 < values[_BMI] < 60


def test_the_filtration_rate_is_that_of_ckd_epi_2021() -> None:
    # Both values are the equation worked by hand.
    assert compute_filtration(0.9, age=50, is_male=True) == pytest.approx(142 * 0.9938**50)
    expected = 142 * (1.4 / 0.7) ** -1.2 * 0.9938**60 * 1.012
    assert compute_filtration(1.4, age=60, is_male=False) == pytest.approx(expected)


def test_ages_and_sexes_are_mixed() -> None:
    lives = [draw_life(23, index) for index in range(1_000)]
    ages = [life.person.compute_age(LAST_DAY) for life in lives]
    assert 1 <= min(ages) < 5
    assert 88 < max(ages) < 97
    assert 42 < mean(ages) < 54
    assert 0.43 < mean(life.person.is_male for life in lives) < 0.53


def _share(illness: str, *, has_smoked: bool) -> float:
    return mean(illness in life.onsets for life in _adults() if life.person.has_smoked is has_smoked)


@cache
def _charts() -> tuple[tuple[set[str], dict[str, float]], ...]:
    """List the condition codes and the last measured values of each patient at each hospital."""
    charts = []
    for part in generate(31, 700):
        conditions: set[str] = set()
        values: dict[str, float] = {}
        for entry in json.loads(part.encode_bundle())["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] == "Condition":
                conditions.add(resource["code"]["coding"][0]["code"])
            for measured in [resource, *resource.get("component", [])]:
                if "valueQuantity" in measured:
                    values[measured["code"]["coding"][0]["code"]] = measured["valueQuantity"]["value"]
        charts.append((conditions, values))
    return tuple(charts)


def _fit_logistic(rows: Sequence[Sequence[float]], answers: Sequence[float]) -> list[float]:
    """Fit by Newton's method: small, slow, and independent of what it checks."""
    weights = [0.0] * len(rows[0])
    for _ in range(7):
        gradient = [0.0] * len(weights)
        hessian: list[dict[int, float]] = [defaultdict(float) for _ in weights]
        for row, answer in zip(rows, answers, strict=True):
            chance = 1 / (1 + math.exp(-sum(map(math.prod, zip(weights, row, strict=True)))))
            for i, left in enumerate(row):
                gradient[i] += (answer - chance) * left
                for j, right in enumerate(row):
                    hessian[i][j] += chance * (1 - chance) * left * right
        steps = _solve([[line[j] for j in range(len(weights))] for line in hessian], gradient)
        weights = [weight + step for weight, step in zip(weights, steps, strict=True)]
    return weights


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a positive definite system by elimination."""
    lines: list[Any] = [[*line, value] for line, value in zip(matrix, right, strict=True)]
    for i, pivot in enumerate(lines):
        lines[i] = [value / pivot[i] for value in pivot]
        for j, line in enumerate(lines):
            if i != j:
                lines[j] = [value - line[i] * top for value, top in zip(line, lines[i], strict=True)]
    return [line[-1] for line in lines]
