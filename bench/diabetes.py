"""Diabetes 130-US hospitals, 1999-2008: readmission within 30 days, at eight sites cut by a stated rule.

Clore, Cios, DeShazo, Strack (2014), CC BY 4.0. 101,766 encounters of 71,518 patients. The data name no
hospital, so the sites are no hospitals: a patient lies where the payer of their first encounter puts them
(the seven commonest payers, and one site for all others). Encounters that ended in death or a hospice
cannot be followed by a readmission and are left out.
"""

import csv
import hashlib
import io
import lzma
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from iamata.learning.schemas import Categorical, Column, Numeric, Outcome, Schema
from iamata.learning.tables import Cell, Table, parse_table

FILE: Final = (
    Path(__file__).resolve().parents[2] / "shared" / "data" / "diabetes-130" / "diabetic_data.csv.xz"
)
MD5: Final = "502f0cc004e4cf71536ec2e61596e42f"
PAYERS: Final = ("?", "MC", "HM", "SP", "BC", "MD", "CP")
SITES: Final = len(PAYERS) + 1
DIED: Final = frozenset({"11", "13", "14", "19", "20", "21"})
"""Discharge dispositions: expired, or to a hospice (IDs_mapping.csv)."""
TEST_FRACTION: Final = 0.2

_COUNTS: Final = {
    "time_in_hospital": 14,
    "num_lab_procedures": 150,
    "num_procedures": 6,
    "num_medications": 90,
    "number_diagnoses": 16,
}
_VISITS: Final = {"number_outpatient": 50, "number_emergency": 80, "number_inpatient": 25}
"""Visits of the year before, taken as log(1 + n): the tenth says less than the first."""
_SPECIALTIES: Final = (
    "InternalMedicine",
    "Emergency/Trauma",
    "Family/GeneralPractice",
    "Cardiology",
    "Surgery-General",
    "Nephrology",
    "Orthopedics",
    "Orthopedics-Reconstructive",
    "Radiologist",
    "Pulmonology",
    "Psychiatry",
    "Urology",
    "ObstetricsandGynecology",
    "Gastroenterology",
    "PhysicalMedicineandRehabilitation",
    "Oncology",
)
_DRUGS: Final = (
    "insulin",
    "metformin",
    "glipizide",
    "glyburide",
    "pioglitazone",
    "rosiglitazone",
    "glimepiride",
)
_GROUPS: Final = (
    ("circulatory", ((390, 459), (785, 785))),
    ("respiratory", ((460, 519), (786, 786))),
    ("digestive", ((520, 579), (787, 787))),
    ("diabetes", ((250, 250),)),
    ("injury", ((800, 999),)),
    ("musculoskeletal", ((710, 739),)),
    ("genitourinary", ((580, 629), (788, 788))),
    ("neoplasms", ((140, 239),)),
    ("other", ()),
)
"""Groups of ICD-9 codes by Strack et al. (2014), table 2."""


def _words(name: str, *categories: str) -> Categorical:
    return Categorical(name=name, categories=categories, outside="missing")


def _list_columns() -> Iterator[Column]:
    yield _words("age", *(f"[{decade}-{decade + 10})" for decade in range(0, 100, 10)))
    yield _words("gender", "Female", "Male")
    yield _words("race", "Caucasian", "AfricanAmerican", "Hispanic", "Other", "Asian")
    yield _words("admission_type_id", *map(str, range(1, 9)))
    yield _words("discharge_disposition_id", *(str(one) for one in range(1, 29) if str(one) not in DIED))
    yield _words("admission_source_id", *map(str, range(1, 26)))
    yield _words("medical_specialty", *_SPECIALTIES)
    yield from (Numeric(name=name, low=0, high=high) for name, high in _COUNTS.items())
    yield from (Numeric(name=name, low=0, high=math.log1p(high)) for name, high in _VISITS.items())
    yield from (_words(f"diag_{number}", *(name for name, _ in _GROUPS)) for number in (1, 2, 3))
    yield _words("max_glu_serum", "None", "Norm", ">200", ">300")
    yield _words("A1Cresult", "None", "Norm", ">7", ">8")
    yield from (_words(drug, "No", "Steady", "Up", "Down") for drug in _DRUGS)
    yield _words("change", "No", "Ch")
    yield _words("diabetesMed", "No", "Yes")


SCHEMA: Final = Schema(columns=tuple(_list_columns()), outcome=Outcome(name="readmitted"))


def load_sites(path: Path = FILE) -> list[Table]:
    """Read the encounters and deal them to the eight sites, or fail where the file is another one."""
    raw = lzma.decompress(path.read_bytes())
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != MD5:
        message = f"{path.name} is not the published file"
        raise RuntimeError(message)
    rows = list(csv.DictReader(io.StringIO(raw.decode())))
    homes: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: int(row["encounter_id"])):
        payer = row["payer_code"]
        homes.setdefault(row["patient_nbr"], PAYERS.index(payer) if payer in PAYERS else len(PAYERS))
    followed = [row for row in rows if row["discharge_disposition_id"] not in DIED]
    return [_parse([row for row in followed if homes[row["patient_nbr"]] == one]) for one in range(SITES)]


def split_by_patient(table: Table, seed: int) -> tuple[Table, Table]:
    """Split a site's rows in four fifths and one, all rows of a patient on one side."""
    patients = sorted(dict.fromkeys(table.patients))
    draws = np.random.default_rng(seed).random(len(patients))
    tested = {patient for patient, draw in zip(patients, draws, strict=True) if draw < TEST_FRACTION}
    chosen = np.array([patient in tested for patient in table.patients])
    return table.select(~chosen), table.select(chosen)


def _parse(rows: Sequence[dict[str, str]]) -> Table:
    columns: dict[str, list[Cell]] = {}
    for column in SCHEMA.columns:
        cells = [row[column.name] for row in rows]
        columns[column.name] = [None if cell == "?" else _spell(column.name, cell) for cell in cells]
    columns["readmitted"] = [float(row["readmitted"] == "<30") for row in rows]
    return parse_table(SCHEMA, columns, [row["patient_nbr"] for row in rows])


def _spell(name: str, cell: str) -> Cell:
    if name in _VISITS:
        return math.log1p(float(cell))
    return _group(cell) if name.startswith("diag_") else cell


def _group(code: str) -> str:
    number = int(float(code)) if code[0].isdigit() else 0
    for name, ranges in _GROUPS:
        if any(low <= number <= high for low, high in ranges):
            return name
    return "other"
