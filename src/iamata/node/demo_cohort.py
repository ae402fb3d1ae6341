"""What the demo's study learns, and from whose records: the truth that docs/reference/sample.md states.

The protocol is the one that stands there. The patients are the sample's, each known to one hospital.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from iamata.consent.data_use import ResearchPurpose
from iamata.learning.cohorts import Cohort
from iamata.learning.protocols import Protocol, Regression
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.model.instants import format_day
from iamata.node.demo_stage import SAMPLE_SEED
from iamata.sample.attacks import INDEX_DAY
from iamata.sample.generating import PATIENTS_MAX, Part, generate
from iamata.sample.lives import draw_life

SEED: Final = SAMPLE_SEED + 1
"""Not the seed of those whom the hospitals know already."""
YEARS: Final = 2
AGE_MIN: Final = 40
"""Whom the study asks: among so few of them there are enough attacks to say how good a model is."""
HOLDOUT_PERCENT: Final = 40
"""Of 80 patients, so that no hospital keeps out fewer than ten."""
LOOK_BACK: Final = (-1095, 1)
AFTER: Final = (1, 731)
NOT_TOLD: Final = "mean"
"""What becomes of a value that was not measured."""


def write_view(name: str, resource: str, *select: dict[str, Any], **columns: str) -> dict[str, Any]:
    """Write a view of one kind of resource, its columns by their paths."""
    return {
        "resourceType": "ViewDefinition",
        "name": name,
        "status": "active",
        "resource": resource,
        "select": [{"column": write_columns(**columns)}, *select],
    }


def write_columns(**columns: str) -> list[dict[str, str]]:
    """Write columns by their paths."""
    return [{"name": name, "path": path} for name, path in columns.items()]


def look_back(view: str, take: str, column: str, *codes: str) -> dict[str, Any]:
    """Write what is taken of the findings of three years."""
    what = {
        "type": "history",
        "view": view,
        "date": "day",
        "take": take,
        "column": column,
        "days": LOOK_BACK,
    }
    return what | ({"where": {"code": codes}} if codes else {})


COHORT: Final[dict[str, Any]] = {
    "views": {
        "people": write_view("people", "Patient", sex="gender", born="birthDate"),
        "visits": write_view(
            "visits", "Encounter", day="period.start", is_before="period.start < @2025-01-01T00:00:00Z"
        ),
        "findings": write_view(
            "findings",
            "Observation",
            code="code.coding.code.first()",
            day="effective.ofType(dateTime)",
            value="value.ofType(Quantity).value",
            word="value.ofType(CodeableConcept).coding.code.first()",
        ),
        "pressures": write_view(
            "pressures",
            "Observation",
            {
                "forEach": "component.where(code.coding.code = '8480-6')",
                "column": write_columns(systolic="value.ofType(Quantity).value"),
            },
            day="effective.ofType(dateTime)",
        ),
        "attacks": write_view(
            "attacks", "Condition", code="code.coding.code.first()", day="onset.ofType(dateTime)"
        ),
    },
    "index": {"view": "visits", "date": "day", "which": "last", "where": {"is_before": ["true"]}},
    "features": {
        "age": {"type": "age", "view": "people", "birth": "born"},
        "sex": {"type": "fixed", "view": "people", "column": "sex"},
        "smokes": look_back("findings", "last", "word", "72166-2"),
        "systolic": look_back("pressures", "mean", "systolic"),
        "ldl": look_back("findings", "mean", "value", "18262-6"),
        "hdl": look_back("findings", "mean", "value", "2085-9"),
        "hba1c": look_back("findings", "mean", "value", "4548-4"),
    },
    "outcome": {"view": "attacks", "date": "day", "days": AFTER, "where": {"code": ["22298006"]}},
}
PROTOCOL: Final = Protocol(
    title="Heart attack within a year",
    question="From what is known at the last visit of 2024, who has a heart attack in 2025?",
    purpose=ResearchPurpose(is_health=True),
    schema=Schema(
        columns=(
            Numeric(name="age", low=0.0, high=120.0),
            Categorical(name="sex", categories=("female", "male")),
            Categorical(name="smokes", categories=("266919005", "8517006", "449868002"), missing=NOT_TOLD),
            Numeric(name="systolic", low=50.0, high=260.0, missing=NOT_TOLD),
            Numeric(name="ldl", low=0.0, high=400.0, missing=NOT_TOLD),
            Numeric(name="hdl", low=0.0, high=200.0, missing=NOT_TOLD),
            Numeric(name="hba1c", low=2.0, high=20.0, missing=NOT_TOLD),
        ),
        outcome=Outcome(name="attack"),
    ),
    classes=("Patient", "Encounter", "Observation", "Condition"),
    cohort=msgspec.convert(COHORT, Cohort),
    estimator=Regression(),
    holdout_percent=HOLDOUT_PERCENT,
)


def draw_charts(hospitals: int, patients: int) -> list[list[Part]]:
    """Draw, for each hospital, the records of so many whom the study asks, seen before 2025."""
    charts: list[list[Part]] = [[] for _ in range(hospitals)]
    for part in generate(SEED, PATIENTS_MAX, hospitals, years=YEARS, overlap_percent=0):
        chart = charts[part.hospital.number - 1]
        if len(chart) < patients and is_wanted(part):
            chart.append(part)
        if all(len(one) == patients for one in charts):
            break
    return charts


def is_wanted(part: Part) -> bool:
    """Tell whether somebody is old enough to be asked, and was seen before 2025."""
    if part.patient is None or draw_life(SEED, part.patient).person.compute_age(INDEX_DAY) < AGE_MIN:
        return False
    visits = [one["period"] for one in part.resources if one["resourceType"] == "Encounter"]
    return any(isinstance(one, dict) and one["start"] <= format_day(INDEX_DAY) for one in visits)


def write_charts(folder: Path, parts: Sequence[Part]) -> Iterator[str]:
    """Write patients' records for an import, and name each patient."""
    for part in parts:
        (folder / f"{part.name}.json").write_bytes(part.encode_bundle())
        yield f"Patient/{part.resources[0]['id']}"
