"""Models of numbers and counts: evaluated in runs, told by their cards, and asked about a patient."""

import json
import math
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest
from sklearn.metrics import mean_poisson_deviance, r2_score, root_mean_squared_error

from iamata.cli.model import CUT, show_answer
from iamata.learning.estimators.families import FamilyName
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.newton import Settings
from iamata.learning.evaluation.evaluating import Plan
from iamata.learning.evaluation.kinds import read_evaluation
from iamata.learning.evaluation.numbers import NumberEvaluation, evaluate_numbers
from iamata.learning.evaluation.subgroups import ByCategory, list_sites
from iamata.learning.programmes import Site, run
from iamata.learning.protocols import Regression, is_kept_out, learn, name_document, split_site
from iamata.learning.schemas import Categorical, Outcome, Schema
from iamata.learning.tables import Table
from iamata.learning.worth import NOT_SHOWN
from iamata.ledger.entries import Attestation, Model, Role
from iamata.ledger.tables import RUNS
from iamata.model.ids import Digest, ModelId, PatientId, PersonId
from iamata.model.instants import Instant
from iamata.notebook import NumberWorth
from iamata.notebook.worth import read_worth
from iamata.testing.learning import SCHEMA, SITES, StudyWorld, write_protocol
from iamata.workflows.frozen_tables import PatientRows, Row, make_table
from iamata.workflows.lineages import get_model
from iamata.workflows.model_cards import list_figures
from iamata.workflows.model_uses import Answer, Application, Studied, apply_model
from iamata.workflows.model_verification import Evidence, verify_model
from iamata.workflows.run_audits import Finished, audit_site

KINDS: Final[dict[str, tuple[FamilyName, Outcome]]] = {
    "number": ("linear", Outcome(name="stay", kind="number", low=-40.0, high=70.0)),
    "count": ("poisson", Outcome(name="stay", kind="count", low=1.0, high=100.0)),
}
SMOKES: Final = Categorical(name="smokes", categories=("no", "yes", "a pipe"))
"""Nobody smokes a pipe."""
NEAR: Final = 1e-6
SMALL: Final = SITES[-1]
"""Where fewer than ten of those who are kept out have stayed."""


class Learned:
    """A study whose outcome is a number or a count, trained and evaluated at four sites."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        family, outcome = KINDS[kind]
        smokers = ByCategory(column="smokes", category="yes")
        self.world = StudyWorld(
            protocol=write_protocol(
                schema=Schema(columns=(SCHEMA.columns[0], SMOKES), outcome=outcome),
                estimator=Regression(settings=Settings(family=family)),
                holdout_percent=40,
                evaluation=Plan(cells=256, groups=(smokers, *list_sites(len(SITES))), calibration_groups=3),
            )
        )
        chance = random.Random(7)
        for site in SITES:
            for patient, (row,) in self.world.rows[site].items():
                self.world.rows[site][patient] = [{**row, "stay": self.draw(row, chance)}]
        self.world.withdraw(SMALL, 12, kept_out=True)
        for site in SITES:
            self.world.build(site)
        self.model = self.world.learn()
        doctor = self.world.world.register_person("doctor", member=SITES[0], roles=(Role.CLINICIAN,))
        self.doctor = PersonId(doctor.id)

    def draw(self, row: Row, chance: random.Random) -> float:
        """Draw a row's outcome: nobody knows why it is what it is, but for the marker and smoking."""
        law = float(str(row["marker"])) + 0.5 * (row["smokes"] == "yes")
        if self.kind == "number":
            return 20.0 + 10.0 * law + chance.gauss(0.0, 5.0)
        rate, count, product = math.exp(0.8 + 0.5 * law), 0, chance.random()
        while product > math.exp(
            -rate
        ):  # Knuth's way to a Poisson number; nobody stays for less than a day
            count, product = count + 1, product * chance.random()
        return 1.0 + count

    @property
    def entry(self) -> Model:
        """The model on the ledger."""
        return get_model(self.world.world.engine.snapshot(), self.model)

    @property
    def card(self) -> bytes:
        """The model's card."""
        return self.read_card(self.model)

    def read_card(self, model: ModelId) -> bytes:
        """Return any model's card."""
        return self.world.read_model(get_model(self.world.world.engine.snapshot(), model).card)

    def pool(self) -> Table:
        """Put everybody's rows into one table, but for those kept out at the small site."""
        world = self.world
        rows = {
            patient: row
            for site in SITES
            for patient, row in world.rows[site].items()
            if patient in world.consents and not (site == SMALL and is_kept_out(world.protocol, patient))
        }
        return make_table(rows, world.protocol.schema)

    def find_figure(self, name: str) -> bytes:
        """Return a file beside the card."""
        return self.world.read_model(list_figures(self.card)[f"{self.model}-{name}"])

    def find_worth(self) -> NumberEvaluation:
        """Return what all sites attested."""
        worth = read_evaluation(self.find_figure("evaluation.json"))
        assert isinstance(worth, NumberEvaluation)
        return worth

    def list_attestations(self) -> tuple[Attestation, ...]:
        """List what the sites said."""
        entry = RUNS.find(self.world.world.engine.snapshot(), self.entry.run)
        assert entry is not None
        return entry.attestations

    def check(self, find_document: Callable[[Digest], bytes | None]) -> dict[str, bool]:
        """Say which statements about the model hold, with these documents at hand."""
        engine = self.world.world.engine
        evidence = Evidence(
            view=engine.snapshot(),
            networks=(engine.network,),
            at_ms=Instant(self.world.world.clock()),
            read_log=list,
            tell_block_ms=lambda _: Instant(0),
            custodies={},
            find_document=find_document,
        )
        return {one.name: one.holds for one in verify_model(evidence, self.model)}


@pytest.fixture(scope="module", params=KINDS)
def learned(request: pytest.FixtureRequest) -> Learned:
    """Learn a model of each kind once."""
    return Learned(request.param)


def test_a_run_finds_what_scikit_learn_finds_in_all_rows_that_were_kept_out(learned: Learned) -> None:
    protocol, table = learned.world.protocol, learned.pool()
    raw = learned.world.read_model(learned.entry.content)
    kept_out = table.select(np.array([is_kept_out(protocol, one) for one in table.patients]))
    expected = decode_model(raw, identify_model(raw)).predict(kept_out)

    found = learned.find_worth().errors

    assert found.rows == len(kept_out) > 40
    assert found.mean_error.value == pytest.approx(np.mean(expected - kept_out.outcome), abs=NEAR)
    squared = root_mean_squared_error(kept_out.outcome, expected)
    assert found.root_mean_square_error == pytest.approx(squared, abs=NEAR)
    assert found.explained == pytest.approx(r2_score(kept_out.outcome, expected), abs=NEAR)
    if learned.kind == "count":
        assert found.deviance == pytest.approx(mean_poisson_deviance(kept_out.outcome, expected), abs=NEAR)


def test_a_run_over_sites_is_worth_what_its_pooled_twin_is(learned: Learned) -> None:
    protocol = learned.world.protocol
    pooled = run(lambda: learn(protocol), [split_site(protocol, learned.pool(), number=0)])

    found, twin = learned.find_worth(), pooled.evaluation

    assert isinstance(twin, NumberEvaluation)
    assert (found.errors.rows, found.errors.mean) == (twin.errors.rows, twin.errors.mean)
    assert found.errors.explained == pytest.approx(twin.errors.explained, abs=NEAR)
    assert [one.rows for one in found.calibration] == [one.rows for one in twin.calibration]
    smokers, same = found.groups[0].errors, twin.groups[0].errors
    assert smokers is not None
    assert same is not None
    assert smokers.root_mean_square_error == pytest.approx(same.root_mean_square_error, abs=NEAR)


def test_a_card_tells_errors_with_a_curve_and_nothing_of_a_small_site(learned: Learned) -> None:
    card, worth = learned.card.decode(), learned.find_worth()

    _, front, text = card.split("---\n", 2)
    metadata = {
        key: json.loads(value) for key, value in (line.split(": ", 1) for line in front.splitlines())
    }
    (result,) = metadata["model-index"][0]["results"]
    told = {one["type"]: one["value"] for one in result["metrics"]}
    of_kind = {"mean_poisson_deviance"} if learned.kind == "count" else set()
    assert metadata["pipeline_tag"] == "tabular-regression"
    assert set(told) == {"mae", "rmse", "r_squared"} | of_kind
    assert told["rmse"] == pytest.approx(worth.errors.root_mean_square_error, rel=1e-3)
    assert f"| RMSE | {worth.errors.root_mean_square_error:.4g} | |" in text
    assert (
        f"| mean error | {worth.errors.mean_error.value:.4g} | {worth.errors.mean_error.low:.4g} to" in text
    )
    assert [one.label for one in worth.groups if one.errors is None] == [f"site {SMALL}"]
    assert f"| site {SMALL} | not shown: it, or what is left without it, is too small | | | |" in text
    picture = learned.find_figure("calibration.svg")
    assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314  drawn here
    assert picture.count(b"<circle") == len(worth.calibration) > 1
    assert set(list_figures(learned.card)) == {
        f"{learned.model}-{name}" for name in ("calibration.svg", "evaluation.json")
    }


def test_without_a_site_the_card_has_the_others_under_their_own_names(learned: Learned) -> None:
    world, (lost, *others) = learned.world, SITES

    model = world.learn(without=(lost,))

    card, view = learned.read_card(model).decode(), world.world.engine.snapshot()
    told = dict(re.findall(r"^\| site (\S+) \| ([^|]+) \|", card, re.MULTILINE))
    kept_out = {
        site: sum(is_kept_out(world.protocol, one) for one in world.rows[site] if one in world.consents)
        for site in others
    }
    assert list(told) == list(SITES)
    assert [told[site] for site in (lost, SMALL)] == [NOT_SHOWN] * 2
    assert [told[site] for site in others[:-1]] == [str(kept_out[site]) for site in others[:-1]]
    assert len({told[site] for site in others}) == len(others)  # so nobody's can be taken for another's
    name = get_model(view, model).run
    entry = RUNS.find(view, name)
    assert entry is not None
    assert (
        audit_site(world.offices[others[0]].custody, view, Finished(name, entry, world.protocol, None)) > 0
    )


def test_what_all_sites_attested_is_verified_and_a_better_figure_is_found(learned: Learned) -> None:
    honest = learned.find_figure("evaluation.json")
    better = honest.replace(b'"explained":0.', b'"explained":0.9', 1)
    digest = name_document(honest)

    holds = learned.check(learned.world.read_model)
    lies = learned.check(lambda wanted: better if wanted == digest else learned.world.read_model(wanted))

    assert better != honest
    assert (holds["figures"], holds["contents"]) == (True, True)
    assert (lies["figures"], lies["contents"]) == (False, False)


def test_a_notebook_has_the_figures_as_tables(learned: Learned) -> None:
    worth = read_worth(learned.card, learned.list_attestations(), learned.world.read_model)

    assert isinstance(worth, NumberWorth)
    errors = learned.find_worth().errors
    figures = {row["figure"]: row for row in worth.figures.to_pylist()}
    assert ("deviance" in figures) == (learned.kind == "count")
    assert figures["explained"]["value"] == errors.explained
    assert figures["mean_error"]["low"] < figures["mean_error"]["value"] < figures["mean_error"]["high"]
    assert sum(worth.calibration.column("rows").to_pylist()) == worth.rows == errors.rows
    groups = worth.groups.to_pylist()
    assert [row["group"] for row in groups][:2] == ["smokes = yes", f"site {SITES[0]}"]
    for row, group in zip(groups, learned.find_worth().groups, strict=True):
        found = group.errors
        assert row["rows"] == (None if found is None else found.rows)
        assert row["mean_error"] == (None if found is None else found.mean_error.value)


def ask(learned: Learned, row: Row) -> Answer:
    world, site = learned.world, SITES[0]
    patient = PatientId(world.patients[site][0].id)
    wanted = Application(person=learned.doctor, patient=patient, model=learned.model)
    studied = Studied(file=world.read_model(learned.entry.content), protocol=world.protocol)
    return apply_model(world.offices[site], wanted, studied, row)


def test_a_doctor_is_told_the_value_in_its_unit_and_what_each_column_adds(
    learned: Learned, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(learned, {"marker": 1.0, "smokes": "yes"})
    said, standing = answer.prediction, {"model": learned.model, "status": "current", "is_overdue": False}

    show_answer(standing, answer)

    shown = capsys.readouterr().out
    assert said.low < said.value < said.high
    assert f"stay: {said.value:.3f} (95 %: {said.low:.3f} to {said.high:.3f})" in shown
    added = said.offset + sum(said.contributions.values())
    marker = said.contributions["marker"]
    if learned.kind == "number":
        assert said.link == "identity"
        assert said.value == pytest.approx(added)
        assert said.value == pytest.approx(35.0, abs=4.0)
        assert marker == pytest.approx(10.0, abs=3.0)
        assert f"{marker:+.3f}" in shown
    else:
        assert said.link == "log"
        assert said.value == pytest.approx(math.exp(added))
        assert said.value == pytest.approx(math.exp(1.8), abs=2.0)
        assert f"{math.exp(marker):.3f} times" in shown


def test_a_doctor_is_told_of_what_the_model_learned_nothing(
    learned: Learned, capsys: pytest.CaptureFixture[str]
) -> None:
    known, unknown = (ask(learned, {"marker": 0.5, "smokes": one}) for one in ("no", "a pipe"))
    missing = ask(learned, {"marker": None, "smokes": None})

    show_answer({"model": learned.model, "status": "current", "is_overdue": False}, unknown)

    assert known.prediction.unlearned == {}
    assert unknown.prediction.unlearned == {"smokes": "no"}
    assert unknown.prediction.value == known.prediction.value
    assert missing.prediction.unlearned["smokes"] == "no"
    assert missing.prediction.unlearned["marker"].startswith("the mean, ")
    assert (
        "smokes is a pipe: of that the model learned nothing; it takes it for no."
        in capsys.readouterr().out
    )
    nothing = (
        "Categories that few had or nobody, and of which it learned nothing: smokes: a pipe (taken for no)"
    )
    assert nothing in learned.card.decode()


@pytest.mark.parametrize("marker", [-5.0, 5.0])
def test_what_is_applied_is_what_was_evaluated_where_a_forecast_goes_beyond_the_bounds(
    learned: Learned, marker: float, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = learned.world.protocol.schema.outcome
    row: Row = {"marker": marker, "smokes": "yes"}
    answer = ask(learned, row)
    rows: PatientRows = {PatientId(str(one)): [{**row, "stay": 2.0 + one % 5}] for one in range(20)}
    raw = learned.world.read_model(learned.entry.content)
    model = decode_model(raw, identify_model(raw))

    found = run(
        lambda: evaluate_numbers(model.predict, "model", outcome, Plan()),
        [Site(make_table(rows, learned.world.protocol.schema))],
    )
    show_answer({"model": learned.model, "status": "current", "is_overdue": False}, answer)

    said = answer.prediction
    added = said.offset + sum(said.contributions.values())
    uncut = added if learned.kind == "number" else math.exp(added)
    assert said.value == pytest.approx(min(max(uncut, outcome.low), outcome.high))
    assert said.value == pytest.approx(found.errors.mean + found.errors.mean_error.value, abs=NEAR)
    assert outcome.low <= said.low <= said.value <= said.high <= outcome.high
    assert said.is_cut is (said.value != pytest.approx(uncut))
    assert said.is_cut is (learned.kind == ("number" if marker > 0 else "count"))
    assert (CUT in capsys.readouterr().out) is said.is_cut
