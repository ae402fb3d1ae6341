"""Studies between nodes that nobody could learn from: the ledger says why, and there is no model.

What never comes as far as a run is refused where it is brought: columns that collide (`columns/`,
`learning/test_tables`), cells that fit no column (`learning/test_tables`), a changed model file
(`estimators/test_model_files`, `workflows/test_model_verification`). A permit that expires during a run
needs a clock that a test moves (`workflows/test_run_faults`). There, too, one class only and what does not
converge: beside other datasets of the same patients, one whose outcome differs in a few rows is not built.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pytest

from iamata.learning.estimators.newton import Settings
from iamata.learning.protocols import Private, Protocol, Regression
from iamata.learning.schemas import Numeric, Schema
from iamata.ledger.entries import ModelStatus
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import SCHEMA, draw_rows, write_protocol
from iamata.testing.nodes import RunningNode
from iamata.testing.study_network import Granted, StudyNetwork, Wanted
from iamata.workflows.frozen_tables import Row

SITES: Final = tuple(MemberId(f"hospital-{letter}") for letter in "abcd")
LAST: Final = SITES[-1]
ROWS: Final[Mapping[str, list[Row]]] = {site: draw_rows(12, seed) for seed, site in enumerate(SITES)}
BARE: Final = Regression(settings=Settings(l2=0.0))
TWICE: Final = Schema(
    columns=(*SCHEMA.columns, Numeric(name="again", low=-10.0, high=10.0)), outcome=SCHEMA.outcome
)
OPEN: Final = Schema(
    columns=(Numeric(name="marker", low=-5.0, high=5.0, outside="clip", missing="mean"),),
    outcome=SCHEMA.outcome,
)
EPSILON_MICRO: Final = 1_000_000
REWRITTEN: Final = """
from iamata.workflows import run_rounds
run_rounds.compute_code_digest = lambda: "A" * 43
from iamata.cli.main import main
main()
"""
"""A node whose code is not what was reviewed."""


def change(make: Callable[[Row], Row], sites: tuple[str, ...] = SITES) -> dict[str, list[Row]]:
    """Change the rows of some sites."""
    return {site: [make(row) if site in sites else row for row in rows] for site, rows in ROWS.items()}


def want(rows: Mapping[str, list[Row]], protocol: Protocol | None = None, budget_micro: int = 0) -> Wanted:
    return Wanted(protocol or write_protocol(), rows, budget_micro)


WANTED: Final = {
    "constant": want(change(lambda row: {**row, "marker": 1.0})),
    "collinear": want(
        change(lambda row: {**row, "again": -2.0 * float(row["marker"] or 0)}),
        write_protocol(schema=TWICE, estimator=BARE),
    ),
    "nobody": want({**ROWS, LAST: []}),
    "other types": want(change(lambda row: {**row, "marker": "high"}, (LAST,))),
    "not a number": want(change(lambda row: {**row, "ill": float("nan")}, (LAST,))),
    "dear": want(
        ROWS,
        write_protocol(schema=OPEN, estimator=Private(epsilon_micro=EPSILON_MICRO)),
        budget_micro=EPSILON_MICRO,
    ),
    "rewritten": want(ROWS),
}


@dataclasses.dataclass
class Running:
    """A network with these studies, while its nodes run."""

    network: StudyNetwork
    granted: dict[str, Granted]
    nodes: list[RunningNode]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    network = StudyNetwork(tmp_path_factory.mktemp("refusals") / "net", write_protocol(), ROWS)
    granted = network.add(WANTED)
    with network.running() as nodes:
        running = Running(network, granted, nodes)
        try:
            yield running
        finally:
            running.nodes[-1].stop()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("constant", Reason.COLUMN_CONSTANT),
        ("collinear", Reason.COLUMNS_COLLINEAR),
    ],
)
def test_what_cannot_be_learned_from_fails_a_run(running: Running, name: str, reason: Reason) -> None:
    run = running.network.start(study=running.granted[name].study)

    assert running.network.await_failure(run) == reason
    assert running.network.list_models(run) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nobody", Reason.TOO_FEW_PATIENTS),
        ("other types", Reason.TABLE_CLASHES),
        ("not a number", Reason.VALUE_MISSING),
    ],
)
def test_a_site_without_a_table_that_fits_has_no_dataset_and_the_others_learn(
    running: Running, name: str, reason: Reason
) -> None:
    granted = running.granted[name]

    run, model = running.network.train(study=granted.study)

    assert granted.refusals == {LAST: reason}
    assert running.network.get_model(model).status is ModelStatus.CURRENT
    with running.network.reading() as engine:
        assert len(running.network.get_run(engine, run).datasets) == len(SITES) - 1


def test_a_budget_that_is_spent_starts_no_run(running: Running) -> None:
    study = running.granted["dear"].study
    running.network.train(study=study)

    with pytest.raises(Refused) as refused:
        running.network.start(study=study)

    assert refused.value.reason is Reason.BUDGET_EXHAUSTED


def test_a_site_whose_code_is_not_what_was_reviewed_takes_no_part(running: Running) -> None:
    network, last = running.network, running.nodes[-1]
    last.stop()
    with RunningNode(last.home, verb="serve", program=REWRITTEN):
        run = network.start(study=running.granted["rewritten"].study)

        assert network.await_failure(run) == Reason.CODE_NOT_REVIEWED
        assert network.list_models(run) == []
    running.nodes[-1] = RunningNode(last.home)
    network.train(study=running.granted["rewritten"].study)
