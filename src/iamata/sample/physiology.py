"""How a body measures: height, weight, pulse, pressure and cholesterol as functions of age and person.

The numbers are invented to look right. Children's heights are shares of the adult height, read off the
medians of the WHO and CDC growth charts and rounded; so are their body mass indices.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from random import Random
from typing import Final

ADULT_AGE: Final = 18
BMI_LEAST: Final = 17.0
BMI_MOST: Final = 55.0
BMI_MEAN: Final = 26.8
BMI_GAIN_PER_YEAR: Final = 0.12
"""Adults were a little lighter in earlier years."""

_GROWTH_AGES: Final = (0, 1, 2, 4, 6, 8, 10, 12, 14, 16, 18)
_HEIGHT_SHARES: Final = (0.29, 0.44, 0.50, 0.59, 0.67, 0.74, 0.80, 0.87, 0.94, 0.985, 1.0)
_BMI_MEDIANS: Final = (13.5, 16.8, 16.3, 15.5, 15.4, 15.9, 16.7, 17.9, 19.3, 20.6, 22.0)
_CHILD_PULL: Final = 0.5
"""How much of an adult's weight for height shows already in the child."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What stays with a person: the adult height, the BMI of the last day, and deviations from the mean."""

    is_male: bool
    height_cm: float
    bmi: float
    pressure: float
    pulse: float
    ldl: float
    hdl: float
    triglycerides: float
    creatinine: float
    haemoglobin: float
    glycaemia: float


def draw_body(random: Random, *, is_male: bool) -> Body:
    """Draw the body of an adult, or of the adult that a child will be."""
    return Body(
        is_male=is_male,
        height_cm=random.gauss(176.5, 7.0) if is_male else random.gauss(163.5, 6.5),
        bmi=min(BMI_MOST, BMI_LEAST + 1 + random.gammavariate(4.0, 2.2)),
        pressure=random.gauss(0, 10),
        pulse=random.gauss(0, 7),
        ldl=random.gauss(0, 26),
        hdl=random.gauss(0, 9),
        triglycerides=random.gauss(0, 0.3),
        creatinine=random.gauss(0, 0.09),
        haemoglobin=random.gauss(0, 0.8),
        glycaemia=random.gauss(0, 0.2),
    )


def compute_height(body: Body, age: float) -> float:
    """Compute the height in centimetres."""
    return body.height_cm if age >= ADULT_AGE else body.height_cm * _grow(_HEIGHT_SHARES, age)


def compute_bmi(body: Body, age: float, *, years_left: float) -> float:
    """Compute the body mass index, `years_left` before the last day."""
    if age < ADULT_AGE:
        return _grow(_BMI_MEDIANS, age) * math.pow(body.bmi / BMI_MEAN, _CHILD_PULL)
    return max(BMI_LEAST, body.bmi - BMI_GAIN_PER_YEAR * years_left)


def compute_systolic(body: Body, age: float) -> float:
    """Compute the usual systolic pressure in mmHg, untreated."""
    if age < ADULT_AGE:
        return 88 + 1.5 * age + body.pressure / 2
    return 103 + 0.42 * age + 0.9 * (body.bmi - BMI_MEAN) + 3 * body.is_male + body.pressure


def compute_diastolic(systolic: float, age: float) -> float:
    """Compute the diastolic pressure that goes with a systolic one; arteries stiffen with age."""
    return 27 + 0.41 * systolic - 0.12 * max(0.0, age - 60)


def compute_pulse(body: Body, age: float) -> float:
    """Compute the usual heart rate per minute."""
    return 71 + body.pulse + 2.6 * max(0.0, ADULT_AGE - age) + 0.3 * (body.bmi - BMI_MEAN)


def compute_ldl(body: Body, age: float) -> float:
    """Compute the LDL cholesterol in mg/dL, untreated."""
    return max(35.0, 98 + 0.6 * min(40.0, max(0.0, age - 20)) + body.ldl)


def _grow(table: tuple[float, ...], age: float) -> float:
    """Interpolate in a growth table."""
    step = min(max(1, bisect_right(_GROWTH_AGES, age)), len(_GROWTH_AGES) - 1)
    younger, older = _GROWTH_AGES[step - 1], _GROWTH_AGES[step]
    share = (age - younger) / (older - younger)
    return table[step - 1] + share * (table[step] - table[step - 1])
