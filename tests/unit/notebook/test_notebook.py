"""Notebooks: tables of what the ledger says, figures that sites attested, and tables out of data frames."""

from collections.abc import Callable
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from iamata.learning.protocols import Private
from iamata.learning.schemas import Numeric, Outcome, Schema
from iamata.ledger.tables import MODELS, RUNS
from iamata.model.ids import Digest, ModelId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused
from iamata.notebook import Worth, frames, read_frame
from iamata.notebook.worth import read_worth
from iamata.testing.learning import OWNER, SITES, StudyWorld, write_protocol
from iamata.workflows.lineages import trace
from iamata.workflows.model_cards import list_figures


@pytest.fixture(scope="module")
def world() -> StudyWorld:
    """Tell a study up to its model."""
    world = StudyWorld(patients=40, protocol=write_protocol(holdout_percent=30))
    for site in SITES:
        world.build(site)
    world.learn()
    return world


def tabulate(world: StudyWorld, make: Callable[..., pa.Table], **more: Any) -> list[dict[str, Any]]:
    engine = world.world.engine
    rows: list[dict[str, Any]] = make(engine.snapshot(), trace(engine), **more).to_pylist()
    return rows


def find_worth(world: StudyWorld, fetch: Callable[[Digest], bytes] | None = None) -> Worth:
    view = world.world.engine.snapshot()
    (name,) = trace(world.world.engine).models
    model = MODELS.find(view, name)
    assert model is not None
    run = RUNS.find(view, model.run)
    assert run is not None
    worth = read_worth(world.read_model(model.card), run.attestations, fetch or world.read_model)
    assert isinstance(worth, Worth)
    return worth


def test_studies_and_permits_tell_who_granted_what_until_when(world: StudyWorld) -> None:
    (study,) = tabulate(world, frames.list_studies)
    (permit,) = tabulate(world, frames.list_permits)

    assert (study["study"], study["owner"], study["status"]) == (world.study, OWNER, "granted")
    assert study["sites"] == list(SITES)
    assert isinstance(study["until"], date)
    assert permit["granted_by"] == study["approvals"] != []
    assert (permit["budget"], permit["left"], permit["is_revoked"]) == (0, 0, False)


def test_datasets_runs_and_models_join_by_their_ids(world: StudyWorld) -> None:
    datasets = tabulate(world, frames.list_datasets, at_ms=Instant(0))
    (run,) = tabulate(world, frames.list_runs, at_ms=Instant(0))
    (model,) = tabulate(world, frames.list_models, at_ms=Instant(0))

    assert [one["custodian"] for one in datasets] == list(SITES)
    assert {one["leaves"] for one in datasets} == {64}  # a band of sizes, not the 40 patients
    assert (run["study"], run["status"], run["reason"]) == (world.study, "finished", None)
    assert sorted(run["attested_by"]) == run["sites"] == list(SITES)
    assert (model["run"], model["status"], model["supersedes"]) == (run["run"], "current", None)


def test_an_empty_table_has_its_columns(world: StudyWorld) -> None:
    engine = world.world.engine
    table = frames.list_spending(engine.snapshot(), trace(engine))

    assert (table.num_rows, table.column_names) == (0, ["custodian", "day", "spent"])


def test_a_budget_is_told_as_epsilon_spent_and_left() -> None:
    schema = Schema(
        columns=(Numeric(name="marker", low=-5.0, high=5.0, outside="clip"),),
        outcome=Outcome(name="ill"),
    )
    private = write_protocol(schema=schema, estimator=Private(epsilon_micro=2_000_000))
    world = StudyWorld(patients=12, protocol=private, budget_micro=5_000_000)
    for site in SITES:
        world.build(site)
    world.start()

    (permit,) = tabulate(world, frames.list_permits)
    (run,) = tabulate(world, frames.list_runs, at_ms=Instant(0))
    spent = tabulate(world, frames.list_spending)

    assert (permit["budget"], permit["spent"], permit["left"]) == (5, 2, 3)
    assert (run["status"], run["spends"]) == ("running", 2)
    assert [(one["custodian"], one["spent"]) for one in spent] == [(site, 2) for site in SITES]
    assert isinstance(spent[0]["day"], date)


def test_other_libraries_take_the_tables_as_they_are(world: StudyWorld) -> None:
    engine = world.world.engine
    datasets = frames.list_datasets(engine.snapshot(), trace(engine), at_ms=Instant(0))

    found = duckdb.from_arrow(datasets).aggregate("status, count(*) as sites").fetchall()

    assert found == [("active", len(SITES))]


def test_a_models_worth_is_what_its_card_says(world: StudyWorld) -> None:
    worth = find_worth(world)

    figures = {row["figure"]: row for row in worth.figures.to_pylist()}
    assert set(figures) == {"auroc", "auprc", "brier", "accuracy"}
    (name,) = trace(world.world.engine).models
    entry = MODELS.find(world.world.engine.snapshot(), name)
    assert entry is not None
    card = world.read_model(entry.card).decode()
    assert f"| AUROC | {figures['auroc']['value']:.3f} |" in card
    assert figures["auroc"]["low"] < figures["auroc"]["value"] < figures["auroc"]["high"]
    assert f"±{figures['auroc']['resolution']:.4f} of AUROC" in card
    assert figures["brier"]["resolution"] is None
    assert worth.roc.column("true_positive_rate").to_pylist()[-1] == 1
    recall, precision = (worth.precision_recall.column(one).to_pylist() for one in ("recall", "precision"))
    assert recall == sorted(recall)
    assert precision[-1] == pytest.approx(worth.rate)  # who names everybody is right as often as chance
    assert sum(worth.calibration.column("rows").to_pylist()) == worth.rows


def test_figures_that_no_site_attested_are_refused(world: StudyWorld) -> None:
    (name,) = trace(world.world.engine).models
    entry = MODELS.find(world.world.engine.snapshot(), ModelId(name))
    assert entry is not None
    (wanted,) = (
        one for what, one in list_figures(world.read_model(entry.card)).items() if what.endswith(".json")
    )
    better = world.read_model(wanted).replace(b'"value":0.', b'"value":0.9', 1)

    with pytest.raises(Refused) as refused:
        find_worth(world, lambda digest: better if digest == wanted else world.read_model(digest))

    assert refused.value.reason is Reason.BODY_CHANGED


def test_a_sites_table_is_read_out_of_any_data_frame(world: StudyWorld) -> None:
    schema = world.protocol.schema
    row = {"who": ["a"], "marker": [1.5], "smokes": ["yes"], "ill": [1], "other": ["x"]}

    table = read_frame(duckdb.from_arrow(pa.table(row)), schema, patient="who")

    assert (table.patients, table.outcome.tolist()) == (("a",), [1])
    assert table.columns["smokes"].tolist() == [1]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (pa.table({"who": ["a"], "marker": [1.0], "ill": [1]}), Reason.TABLE_CLASHES),
        (pa.table({"who": [None], "marker": [1.0], "smokes": ["no"], "ill": [1]}), Reason.VALUE_MISSING),
        (
            pa.table({"who": ["a"], "marker": [9.0], "smokes": ["no"], "ill": [1]}),
            Reason.VALUE_OUT_OF_BOUNDS,
        ),
        (pa.table({"who": ["a"], "marker": [[1]], "smokes": ["no"], "ill": [1]}), Reason.TABLE_CLASHES),
        ("a word", Reason.TABLE_CLASHES),
    ],
    ids=["a column too few", "nobody's row", "beyond the bounds", "a list for a number", "no frame"],
)
def test_what_is_no_sites_table_is_refused(world: StudyWorld, frame: object, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        read_frame(frame, world.protocol.schema, patient="who")

    assert refused.value.reason is reason
