"""Who has a heart attack follows the documented truth, and a study over records finds it again."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from iamata.learning.cohort_rows import make_row
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.programmes import run
from iamata.learning.protocols import Protocol, learn, read_protocol, split_site
from iamata.learning.tables import Table
from iamata.model.ids import PatientId
from iamata.sample.attacks import (
    ATTACK,
    FOLLOWED_DAYS,
    INDEX_DAY,
    compute_attack_factors,
    compute_attack_probability,
    find_attack_day,
    is_at_risk,
)
from iamata.sample.demographics import LAST_DAY
from iamata.sample.generating import Part, encode_resource, generate
from iamata.sample.lives import draw_life
from iamata.workflows.cohort_views import compile_views, get_cohort
from iamata.workflows.frozen_tables import Row, make_table

LIVES = 20_000
PATIENTS = 1_000
SEED, OTHER_SEED = 17, 18
Z_MAX = 2.576
"""99 % of estimates are nearer to the truth, in standard errors."""
AGE_YEARS = 5.0
ATTACK_CODE = "22298006"


def test_a_pooled_regression_recovers_each_coefficient_within_its_interval() -> None:
    lives = [(index, draw_life(SEED, index)) for index in range(LIVES)]
    at_risk = [(index, life) for index, life in lives if is_at_risk(life)]
    rows = np.array([[1.0, *compute_attack_factors(life).values()] for _, life in at_risk])
    outcomes = np.array([find_attack_day(SEED, index, life) is not None for index, life in at_risk])
    found, errors = fit_logistic(rows, outcomes.astype(float))
    truth = np.array([ATTACK.intercept, *ATTACK.coefficients.values()])

    assert (np.abs(found - truth) < Z_MAX * errors).all()
    assert errors.max() < 0.08  # so the intervals say something
    probabilities = [compute_attack_probability(life) for _, life in at_risk]
    assert outcomes.mean() == pytest.approx(np.mean(probabilities), abs=0.01)


def test_an_attack_is_in_the_last_year_and_never_a_childs() -> None:
    for index in range(2_000):
        life = draw_life(SEED, index)
        day = find_attack_day(SEED, index, life)
        assert day is None or (
            is_at_risk(life) and INDEX_DAY < day <= INDEX_DAY + FOLLOWED_DAYS == LAST_DAY
        )


def test_every_hospital_that_knows_the_patient_knows_of_the_attack() -> None:
    emergencies: dict[int, int] = defaultdict(int)
    for part in list_patients(SEED, 300):
        day = find_attack_day(SEED, part.patient or 0, draw_life(SEED, part.patient or 0))
        onsets = [one["onsetDateTime"] for one in list_attacks(part)]
        assert len(onsets) == (day is not None)
        classes = [
            one["class"]["code"] for one in list_resources(part) if one["resourceType"] == "Encounter"
        ]
        emergencies[part.patient or 0] += classes.count("EMER")
        assert emergencies[part.patient or 0] <= (day is not None)


def test_the_reference_states_the_truth_that_is_drawn_by(root: Path) -> None:
    table = re.findall(r"^\| (.+?) \|.*\| (−?[0-9.]+) \|$", read_reference(root), re.MULTILINE)
    stated = [float(number.replace("−", "-")) for _, number in table]

    assert stated == [ATTACK.intercept, *ATTACK.coefficients.values()]


def test_the_documented_study_over_records_does_nearly_as_well_as_the_truth(root: Path) -> None:
    """The study of the reference, over the records of three hospitals, on patients of another seed."""
    protocol = read_protocol(re.findall(r"```json\n(.*?)```", read_reference(root), re.DOTALL)[0].encode())
    sites = [
        split_site(protocol, table, number=number)
        for number, table in enumerate(make_tables(protocol, SEED))
    ]
    result = run(lambda: learn(protocol), sites)
    model = decode_model(result.model, identify_model(result.model))
    assert isinstance(model, LinearModel)

    tests = make_tables(protocol, OTHER_SEED)
    outcomes = np.concatenate([table.outcome for table in tests])
    patients = [int(one) for table in tests for one in table.patients]
    truth = [compute_attack_probability(draw_life(OTHER_SEED, one)) for one in patients]
    learned = roc_auc_score(outcomes, np.concatenate([model.predict(table) for table in tests]))
    best = roc_auc_score(outcomes, truth)

    assert len(sites) == 3
    assert best > 0.84
    assert learned > best - 0.015
    per_year = model.fit.coefficients[1] / model.fit.moments.terms[0].spread
    assert per_year * AGE_YEARS == pytest.approx(ATTACK.coefficients["age"], abs=0.1)


def read_reference(root: Path) -> str:
    return (root / "docs" / "reference" / "sample.md").read_text(encoding="utf-8")


def list_patients(seed: int, count: int) -> list[Part]:
    return [part for part in generate(seed, count, years=3) if part.patient is not None]


def list_resources(part: Part) -> list[Any]:
    return [json.loads(encode_resource(one)) for one in part.resources]


def list_attacks(part: Part) -> list[Any]:
    conditions = [one for one in list_resources(part) if one["resourceType"] == "Condition"]
    return [one for one in conditions if one["code"]["coding"][0]["code"] == ATTACK_CODE]


def make_tables(protocol: Protocol, seed: int) -> list[Table]:
    """Make each hospital's table out of its records, as its vault would."""
    views, cohort = compile_views(protocol), get_cohort(protocol)
    tables: dict[int, dict[PatientId, list[Row]]] = defaultdict(dict)
    for part in list_patients(seed, PATIENTS):
        bodies: dict[object, list[bytes]] = defaultdict(list)
        for one in part.resources:
            bodies[one["resourceType"]].append(encode_resource(one))
        found = {
            name: [
                dict(zip(view.names, cells, strict=True))
                for columns in view.make_batches([view.read(one) for one in bodies[view.view.resource]])
                for cells in zip(*columns, strict=True)
            ]
            for name, view in views.items()
        }
        row = make_row(cohort, protocol.schema, found)
        if row is not None:
            tables[part.hospital.number][PatientId(f"{part.patient:026}")] = [row]
    return [make_table(rows, protocol.schema) for _, rows in sorted(tables.items())]


def fit_logistic(rows: Any, outcomes: Any) -> tuple[Any, Any]:
    """Fit by Newton's method, without a penalty; return coefficients and standard errors."""
    weights = np.zeros(rows.shape[1])
    information = np.eye(len(weights))
    for _ in range(12):
        chance = 1 / (1 + np.exp(-rows @ weights))
        information = rows.T @ (rows * (chance * (1 - chance))[:, None])
        weights += np.linalg.solve(information, rows.T @ (outcomes - chance))
    return weights, np.sqrt(np.diag(np.linalg.inv(information)))
