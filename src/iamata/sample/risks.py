"""The truth behind the sample, written down so that a learner's findings can be held against it.

Each illness is drawn once per patient, for the last day of the history, with probability p:

    ln(p / (1 - p)) = intercept + sum of coefficient x factor

The factors are those of the untreated body on that day; treatment lowers what is measured afterwards,
as it does in life. The coefficients are invented. Their signs and rough sizes follow what textbooks of
epidemiology teach (age, weight, pressure, smoking, parents); the intercepts were set so that the
prevalence among adults is plausible for people who visit hospitals. They support no medical claim.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from iamata.sample.demographics import Person
from iamata.sample.physiology import Body, compute_ldl, compute_systolic

AGE_CENTRE: Final = 50
AGE_STEP: Final = 10
BMI_CENTRE: Final = 27
BMI_STEP: Final = 5
PRESSURE_CENTRE: Final = 130
PRESSURE_STEP: Final = 10
LDL_CENTRE: Final = 115
LDL_STEP: Final = 30


@dataclass(frozen=True, slots=True)
class Risk:
    """A logistic model of one illness; a factor may be an illness that stands above it in RISKS."""

    illness: str
    intercept: float
    coefficients: Mapping[str, float]


RISKS: Final = (
    Risk("hypertension", -1.05, {"age": 0.35, "bmi": 0.30, "pressure": 0.90}),
    Risk("diabetes", -2.90, {"age": 0.45, "bmi": 0.75, "pressure": 0.15, "family_diabetes": 1.00}),
    Risk("hyperlipidaemia", -1.50, {"age": 0.30, "bmi": 0.20, "ldl": 0.90}),
    Risk(
        "heart_disease",
        -4.80,
        {
            "age": 0.70,
            "male": 0.60,
            "bmi": 0.15,
            "pressure": 0.25,
            "ldl": 0.35,
            "smoker": 0.70,
            "diabetes": 0.80,
            "family_heart": 0.75,
        },
    ),
    Risk("heart_failure", -5.20, {"age": 0.60, "heart_disease": 1.60, "hypertension": 0.50, "bmi": 0.20}),
    Risk("stroke", -4.90, {"age": 0.65, "pressure": 0.30, "smoker": 0.50, "diabetes": 0.50}),
    Risk("kidney_disease", -4.10, {"age": 0.55, "diabetes": 0.90, "hypertension": 0.60}),
    Risk("lung_disease", -4.20, {"age": 0.45, "smoker": 1.90}),
    Risk("asthma", -2.50, {"age": -0.05, "bmi": 0.15}),
    Risk("osteoarthritis", -2.30, {"age": 0.65, "bmi": 0.40, "male": -0.40}),
    Risk("depression", -2.10, {"age": -0.05, "male": -0.60, "diabetes": 0.30, "heart_disease": 0.40}),
    Risk("alcohol_use", -3.50, {"male": 0.80, "smoker": 0.60}),
    Risk("hiv", -5.60, {"male": 0.70}),
)


def compute_factors(person: Person, body: Body, *, day: int) -> dict[str, float]:
    """Compute what the risks of a person depend on, before any illness is known."""
    age = person.compute_age(day)
    return {
        "age": (age - AGE_CENTRE) / AGE_STEP,
        "male": float(person.is_male),
        "bmi": (body.bmi - BMI_CENTRE) / BMI_STEP,
        "pressure": (compute_systolic(body, age) - PRESSURE_CENTRE) / PRESSURE_STEP,
        "ldl": (compute_ldl(body, age) - LDL_CENTRE) / LDL_STEP,
        "smoker": float(person.has_smoked),
        "family_diabetes": float(person.has_family_diabetes),
        "family_heart": float(person.has_family_heart_disease),
    }


def compute_probability(risk: Risk, factors: Mapping[str, float]) -> float:
    """Compute how likely an illness is, given the factors."""
    score = risk.intercept + sum(weight * factors[name] for name, weight in risk.coefficients.items())
    return 1 / (1 + math.exp(-score))
