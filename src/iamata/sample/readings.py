"""What the instruments and the laboratory print on a day, given a life and what treatment does.

eGFR: CKD-EPI 2021 (Inker et al., N Engl J Med 2021;385:1737). Total cholesterol: Friedewald's sum. Mean
glucose from HbA1c: Nathan et al., Diabetes Care 2008;31:1473.
"""

import math
from random import Random
from typing import Final

from iamata.sample import measures as m
from iamata.sample.demographics import DAYS_PER_YEAR, LAST_DAY
from iamata.sample.lives import Life
from iamata.sample.measures import Reading, read_off
from iamata.sample.physiology import (
    BMI_MEAN,
    compute_bmi,
    compute_diastolic,
    compute_height,
    compute_ldl,
    compute_pulse,
    compute_systolic,
)

PRESSURE_TREATED: Final = -10
"""What treatment takes off the systolic pressure, in mmHg."""
LDL_TREATED: Final = 0.70
"""What treatment leaves of the LDL cholesterol."""
DIABETES_HBA1C: Final = 1.7
"""What treated diabetes adds to HbA1c, in percent points."""
KIDNEY_CREATININE: Final = 0.75
"""What chronic kidney disease adds to creatinine, in mg/dL."""


def take_body(random: Random, life: Life, day: int) -> list[Reading]:
    """Measure height, weight and the body mass index that follows from them."""
    age = life.person.compute_age(day)
    years_left = (LAST_DAY - day) / DAYS_PER_YEAR
    height = read_off(m.HEIGHT, compute_height(life.body, age))
    metres = float(height.value) / 100
    bmi = compute_bmi(life.body, age, years_left=years_left) * random.gauss(1, 0.012)
    weight = read_off(m.WEIGHT, bmi * metres**2)
    return [height, weight, read_off(m.BODY_MASS_INDEX, float(weight.value) / metres**2)]


def take_pressure(random: Random, life: Life, day: int) -> tuple[Reading, Reading]:
    """Measure systolic and diastolic pressure; known hypertension is treated."""
    age = life.person.compute_age(day)
    systolic = compute_treated_systolic(life, day) + random.gauss(0, 5)
    diastolic = compute_diastolic(systolic, age) + random.gauss(0, 3)
    return read_off(m.SYSTOLIC, max(70.0, systolic)), read_off(m.DIASTOLIC, max(40.0, diastolic))


def take_pulse(random: Random, life: Life, day: int) -> Reading:
    """Count the heart rate."""
    return read_off(
        m.HEART_RATE, max(42.0, compute_pulse(life.body, life.person.compute_age(day)) + random.gauss(0, 4))
    )


def take_sugar(random: Random, life: Life, day: int) -> list[Reading]:
    """Measure glucose and HbA1c, which agree with each other."""
    hba1c = compute_hba1c(life, day) + random.gauss(0, 0.1)
    if life.has("diabetes", day):
        hba1c += random.gauss(0, 0.3)
    glucose = 0.92 * (28.7 * hba1c - 46.7) + random.gauss(0, 7)
    return [read_off(m.GLUCOSE, max(60.0, glucose)), read_off(m.HBA1C, max(4.2, hba1c))]


def take_lipids(random: Random, life: Life, day: int) -> list[Reading]:
    """Measure the cholesterols and triglycerides; known hyperlipidaemia and heart disease are treated."""
    body = life.body
    overweight = body.bmi - BMI_MEAN
    ldl = compute_treated_ldl(life, day) + random.gauss(0, 5)
    hdl = max(22.0, compute_hdl(life) + random.gauss(0, 2))
    triglycerides = math.exp(4.7 + 0.03 * overweight + body.triglycerides + random.gauss(0, 0.1))
    return [
        read_off(m.CHOLESTEROL, ldl + hdl + triglycerides / 5),
        read_off(m.LDL, ldl),
        read_off(m.HDL, hdl),
        read_off(m.TRIGLYCERIDES, triglycerides),
    ]


def take_kidney(random: Random, life: Life, day: int) -> list[Reading]:
    """Measure creatinine and compute the filtration rate from it."""
    age = life.person.compute_age(day)
    level = (
        (0.92 if life.body.is_male else 0.74)
        + 0.001 * (age - 40)
        + life.body.creatinine
        + random.gauss(0, 0.03)
    )
    if life.has("kidney_disease", day):
        level += KIDNEY_CREATININE + 2 * abs(life.body.creatinine)
    creatinine = read_off(m.CREATININE, max(0.4, level))
    rate = compute_filtration(float(creatinine.value), age=int(age), is_male=life.body.is_male)
    return [creatinine, read_off(m.FILTRATION, rate)]


def take_blood(random: Random, life: Life) -> Reading:
    """Measure haemoglobin."""
    return read_off(
        m.HAEMOGLOBIN, (14.9 if life.body.is_male else 13.4) + life.body.haemoglobin + random.gauss(0, 0.3)
    )


def compute_treated_systolic(life: Life, day: int) -> float:
    """Compute the systolic pressure in mmHg; known hypertension is treated."""
    treated = PRESSURE_TREATED if life.has("hypertension", day) else 0
    return compute_systolic(life.body, life.person.compute_age(day)) + treated


def compute_treated_ldl(life: Life, day: int) -> float:
    """Compute the LDL cholesterol in mg/dL; known hyperlipidaemia and heart disease are treated."""
    is_treated = life.has("hyperlipidaemia", day) or life.has("heart_disease", day)
    return compute_ldl(life.body, life.person.compute_age(day)) * (LDL_TREATED if is_treated else 1)


def compute_hdl(life: Life) -> float:
    """Compute the HDL cholesterol in mg/dL."""
    body = life.body
    return (47 if body.is_male else 57) - 0.5 * (body.bmi - BMI_MEAN) + body.hdl


def compute_hba1c(life: Life, day: int) -> float:
    """Compute HbA1c in percent; treated diabetes keeps it high."""
    body = life.body
    value = (
        5.2 + 0.006 * (life.person.compute_age(day) - 40) + 0.02 * (body.bmi - BMI_MEAN) + body.glycaemia
    )
    return value + (DIABETES_HBA1C + 2 * abs(body.glycaemia) if life.has("diabetes", day) else 0)


def compute_filtration(creatinine: float, *, age: int, is_male: bool) -> float:
    """Compute the estimated glomerular filtration rate (CKD-EPI 2021) of an adult."""
    ratio = creatinine / (0.9 if is_male else 0.7)
    low = min(ratio, 1.0) ** (-0.302 if is_male else -0.241)
    high = max(ratio, 1.0) ** -1.2
    return float(142 * low * high * 0.9938**age * (1.0 if is_male else 1.012))
