"""Small made-up tables, as several sites and as one."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pytest

from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Table, parse_table

Kind = Literal["binary", "count", "number"]
MakeTable = Callable[..., Table]


@pytest.fixture(scope="session")
def make_table() -> MakeTable:
    """Return a maker of tables: age, dose and ward, and an outcome with some luck in it."""
    return _make_table


@pytest.fixture(scope="session")
def cut() -> Callable[[Table, Sequence[int]], list[Table]]:
    """Return what deals a table's rows to sites of the given sizes, in order."""
    return _cut


def _make_table(kind: Kind = "binary", *, rows: int = 300, seed: int = 1, missing: float = 0.1) -> Table:
    chance = np.random.default_rng(seed)
    age = chance.uniform(20, 90, rows).round(1)
    dose = chance.gamma(2.0, 2.0, rows).round(3)
    ward = chance.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    predictor = (age - 55) / 20 + 0.3 * (dose - 4) + 0.5 * (ward == "b")
    match kind:
        case "binary":
            outcome = (chance.random(rows) < 1 / (1 + np.exp(-predictor))).astype(float)
        case "count":
            outcome = chance.poisson(np.exp(0.4 * predictor)).astype(float)
        case _:
            outcome = (50 + 8 * predictor + chance.normal(0, 3, rows)).clip(-100, 200)
    bounds = {"binary": (0, 1), "count": (0, 200), "number": (-100, 200)}[kind]
    schema = Schema(
        columns=(
            Numeric(name="age", low=0, high=120),
            Numeric(name="dose", low=0, high=50),
            Categorical(name="ward", categories=("a", "b", "c")),
        ),
        outcome=Outcome(name="y", kind=kind, low=bounds[0], high=bounds[1]),
    )
    columns = {
        "age": age.tolist(),
        "dose": [None if chance.random() < missing else one for one in dose.tolist()],
        "ward": [None if chance.random() < missing else one for one in ward.tolist()],
        "y": outcome.tolist(),
    }
    return parse_table(schema, columns, [f"p{number}" for number in range(rows)])


def _cut(table: Table, sizes: Sequence[int]) -> list[Table]:
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return [table.select(owner == number) for number in range(len(sizes))]
