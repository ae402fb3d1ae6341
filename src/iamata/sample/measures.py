"""What is measured: LOINC codes, UCUM units, and how many decimals a laboratory would print.

Sources: LOINC 2.7x names and the UCUM units of its example column; FHIR R4 vital-signs profiles for
height, weight, body mass index, blood pressure and heart rate.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from iamata.sample.codes import LABORATORY, LOINC, SURVEY, UCUM, VITAL_SIGNS, Json, make_concept


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """A quantity that an Observation can hold."""

    code: Json
    category: list[Json]
    unit: str
    decimals: int


class Reading(NamedTuple):
    """A measured value, spelled with the decimals of its measure."""

    measure: Measure
    value: Decimal


def read_off(measure: Measure, value: float) -> Reading:
    """Round a value as the instrument would print it."""
    return Reading(measure, Decimal(f"{value:.{measure.decimals}f}"))


def make_quantity(reading: Reading) -> Json:
    """Make a FHIR Quantity."""
    unit = reading.measure.unit
    return {"value": reading.value, "unit": unit, "system": UCUM, "code": unit}


def _vital(code: str, display: str, unit: str, decimals: int) -> Measure:
    return Measure(make_concept(LOINC, code, display), VITAL_SIGNS, unit, decimals)


def _laboratory(code: str, display: str, unit: str, decimals: int) -> Measure:
    return Measure(make_concept(LOINC, code, display), LABORATORY, unit, decimals)


def _score(code: str, display: str) -> Measure:
    return Measure(make_concept(LOINC, code, display), SURVEY, "{score}", 0)


HEIGHT: Final = _vital("8302-2", "Body height", "cm", 1)
WEIGHT: Final = _vital("29463-7", "Body weight", "kg", 1)
BODY_MASS_INDEX: Final = _vital("39156-5", "Body mass index (BMI) [Ratio]", "kg/m2", 1)
HEART_RATE: Final = _vital("8867-4", "Heart rate", "/min", 0)
SYSTOLIC: Final = _vital("8480-6", "Systolic blood pressure", "mm[Hg]", 0)
DIASTOLIC: Final = _vital("8462-4", "Diastolic blood pressure", "mm[Hg]", 0)
BLOOD_PRESSURE: Final = make_concept(LOINC, "85354-9", "Blood pressure panel with all children optional")

GLUCOSE: Final = _laboratory("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 0)
HBA1C: Final = _laboratory("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 1)
CHOLESTEROL: Final = _laboratory("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", 0)
LDL: Final = _laboratory(
    "18262-6", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay", "mg/dL", 0
)
HDL: Final = _laboratory("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "mg/dL", 0)
TRIGLYCERIDES: Final = _laboratory("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", 0)
CREATININE: Final = _laboratory("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 2)
FILTRATION: Final = _laboratory(
    "98979-8",
    "Glomerular filtration rate/1.73 sq M.predicted by Creatinine-based formula (CKD-EPI 2021)",
    "mL/min/{1.73_m2}",
    0,
)
HAEMOGLOBIN: Final = _laboratory("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 1)

DEPRESSION_SCORE: Final = _score(
    "44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]"
)
ALCOHOL_SCORE: Final = _score("75626-2", "Total score [AUDIT-C]")
ABUSE_SCORE: Final = _score("76504-0", "Total score [HARK]")
