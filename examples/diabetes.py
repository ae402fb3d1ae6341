"""Learn which patients with diabetes come back within 30 days, from 101,766 encounters at eight sites.

    python examples/diabetes.py FILE

FILE is `diabetic_data.csv.xz` of Diabetes 130-US hospitals, 1999-2008 (Clore, Cios, DeShazo, Strack 2014,
CC BY 4.0). The data name no hospital, so the sites are no hospitals: a patient lies where the payer of
their first encounter puts them (the seven commonest payers, and one site for all others). Encounters that
ended in death or a hospice cannot be followed by a readmission and are left out.

A row says what was known when a stay ended, and so does what it says of the past: columns named `past_…`
are made from earlier encounters (a lower encounter_id) of the same patient, all of which lie at the same
site. Whether those were followed by a readmission is never looked at.
"""

import csv
import hashlib
import io
import lzma
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from iamata.learning.estimators.regression import LogisticRegression
from iamata.learning.estimators.trees import GradientBoosting
from iamata.learning.evaluation.evaluating import Plan, evaluate
from iamata.learning.federations import Tables
from iamata.learning.schemas import Categorical, Column, Numeric, Outcome, Schema
from iamata.learning.tables import Cell, Table, parse_table

MD5: Final = "502f0cc004e4cf71536ec2e61596e42f"
PAYERS: Final = ("?", "MC", "HM", "SP", "BC", "MD", "CP")
SITES: Final = len(PAYERS) + 1
DIED: Final = frozenset({"11", "13", "14", "19", "20", "21"})
"""Discharge dispositions: expired, or to a hospice (IDs_mapping.csv)."""
TEST_FRACTION: Final = 0.2
SHOWN: Final = 8

_COUNTS: Final = {
    "time_in_hospital": 14,
    "num_lab_procedures": 150,
    "num_procedures": 6,
    "num_medications": 90,
    "number_diagnoses": 16,
}
_VISITS: Final = {"number_outpatient": 50, "number_emergency": 80, "number_inpatient": 25}
"""Visits of the year before."""
_PAST: Final = {"past_stays": 40, "past_days": 300, "past_emergencies": 40, "past_days_last": 14}
"""Earlier stays here, their days, how many began as an emergency, and the days of the last one."""
_LOGARITHMIC: Final = {**_VISITS, **_PAST}
"""Taken as log(1 + n): the tenth says less than the first."""
_EMERGENCY: Final = "1"
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


_DISCHARGES: Final = tuple(str(one) for one in range(1, 29) if str(one) not in DIED)

Row: TypeAlias = dict[str, str]


def _words(name: str, *categories: str) -> Categorical:
    return Categorical(name=name, categories=categories, outside="missing")


def _list_columns() -> Iterator[Column]:
    yield _words("age", *(f"[{decade}-{decade + 10})" for decade in range(0, 100, 10)))
    yield _words("gender", "Female", "Male")
    yield _words("race", "Caucasian", "AfricanAmerican", "Hispanic", "Other", "Asian")
    yield _words("admission_type_id", *map(str, range(1, 9)))
    yield _words("discharge_disposition_id", *_DISCHARGES)
    yield _words("admission_source_id", *map(str, range(1, 26)))
    yield _words("medical_specialty", *_SPECIALTIES)
    yield from (Numeric(name=name, low=0, high=high) for name, high in _COUNTS.items())
    yield from (Numeric(name=name, low=0, high=math.log1p(high)) for name, high in _LOGARITHMIC.items())
    yield from (_words(f"diag_{number}", *(name for name, _ in _GROUPS)) for number in (1, 2, 3))
    yield _words("max_glu_serum", "None", "Norm", ">200", ">300")
    yield _words("A1Cresult", "None", "Norm", ">7", ">8")
    yield from (_words(drug, "No", "Steady", "Up", "Down") for drug in _DRUGS)
    yield _words("past_discharge", *_DISCHARGES)
    yield _words("past_diagnosis", "no", "yes")
    yield _words("change", "No", "Ch")
    yield _words("diabetesMed", "No", "Yes")


SCHEMA: Final = Schema(columns=tuple(_list_columns()), outcome=Outcome(name="readmitted"))


def main(path: Path) -> None:
    """Fit a regression and trees on four fifths of the patients, and judge them on the rest."""
    parts = [split_by_patient(site, seed=0) for site in load_sites(path)]
    training, testing = Tables([train for train, _ in parts]), Tables([test for _, test in parts])
    print(f"Learned from {sum(map(len, training.tables)):,} stays at {len(parts)} sites.")

    regression, trees = LogisticRegression().fit(training), GradientBoosting(trees_max=200).fit(training)
    for name, model in (("regression", regression.model_), ("trees", trees.model_)):
        worth = testing.run(partial(evaluate, model.predict, name, Plan()))
        area = worth.auroc
        print(f"{name:10} AUROC {area.value:.3f} ({area.low:.3f} to {area.high:.3f})", end=" ")
        print(f"on {worth.rows:,} stays of other patients, of whom {worth.rate:.1%} came back.")

    print("What weighs most in the regression, per standard deviation:")
    terms = zip(regression.model_.fit.moments.terms, regression.coef_.tolist(), strict=True)
    for term, coefficient in sorted(terms, key=lambda one: -abs(one[1]))[:SHOWN]:
        name = term.column if term.category is None else f"{term.column} is {term.category or 'missing'}"
        print(f"  {name:40} {coefficient:+.3f}")


def load_sites(path: Path) -> list[Table]:
    """Read the encounters and deal them to the eight sites, or fail where the file is another one."""
    raw = lzma.decompress(path.read_bytes())
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != MD5:
        message = f"{path.name} is not the published file"
        raise RuntimeError(message)
    rows = sorted(csv.DictReader(io.StringIO(raw.decode())), key=lambda row: int(row["encounter_id"]))
    sites: list[list[Row]] = [[] for _ in range(SITES)]
    for earlier, row in look_back(rows):
        payer = (earlier[0] if earlier else row)["payer_code"]
        site = sites[PAYERS.index(payer) if payer in PAYERS else len(PAYERS)]
        if row["discharge_disposition_id"] not in DIED:
            site.append(row | describe_past(row, earlier))
    return [_parse(site) for site in sites]


def look_back(rows: Sequence[Row]) -> Iterator[tuple[Sequence[Row], Row]]:
    """Yield each encounter, in the order of their ids, after its patient's earlier ones."""
    earlier: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        yield tuple(earlier[row["patient_nbr"]]), row
        earlier[row["patient_nbr"]].append(row)


def describe_past(row: Row, earlier: Sequence[Row]) -> Row:
    """Return what the site knew of a patient from their earlier encounters, as more cells of the row."""
    if not earlier:
        return dict.fromkeys((*_PAST, "past_discharge", "past_diagnosis"), "") | {"past_stays": "0"}
    last = earlier[-1]
    diagnoses = {_group(one["diag_1"]) for one in earlier}
    return {
        "past_stays": str(len(earlier)),
        "past_days": str(sum(int(one["time_in_hospital"]) for one in earlier)),
        "past_emergencies": str(sum(one["admission_type_id"] == _EMERGENCY for one in earlier)),
        "past_days_last": last["time_in_hospital"],
        "past_discharge": last["discharge_disposition_id"],
        "past_diagnosis": "yes" if _group(row["diag_1"]) in diagnoses else "no",
    }


def split_by_patient(table: Table, seed: int) -> tuple[Table, Table]:
    """Split a site's rows in four fifths and one, all rows of a patient on one side."""
    patients = sorted(dict.fromkeys(table.patients))
    draws = np.random.default_rng(seed).random(len(patients))
    tested = {patient for patient, draw in zip(patients, draws, strict=True) if draw < TEST_FRACTION}
    chosen = np.array([patient in tested for patient in table.patients])
    return table.select(~chosen), table.select(chosen)


def _parse(rows: Sequence[Row]) -> Table:
    columns: dict[str, list[Cell]] = {}
    for column in SCHEMA.columns:
        cells = [row[column.name] for row in rows]
        columns[column.name] = [None if cell in {"", "?"} else _spell(column.name, cell) for cell in cells]
    columns["readmitted"] = [float(row["readmitted"] == "<30") for row in rows]
    return parse_table(SCHEMA, columns, [row["patient_nbr"] for row in rows])


def _spell(name: str, cell: str) -> Cell:
    if name in _LOGARITHMIC:
        return math.log1p(float(cell))
    return _group(cell) if name.startswith("diag_") else cell


def _group(code: str) -> str:
    number = int(float(code)) if code[0].isdigit() else 0
    for name, ranges in _GROUPS:
        if any(low <= number <= high for low, high in ranges):
            return name
    return "other"


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  the program, and its argument
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
