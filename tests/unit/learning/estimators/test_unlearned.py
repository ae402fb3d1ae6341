"""What a model learned nothing of is told, with what it is taken for."""

import pytest

from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.model_files import Model, decode_model, identify_model
from iamata.learning.methods import spell_unlearned
from iamata.learning.programmes import run
from iamata.learning.protocols import Bayes, Estimator, Regression, Trees, learn, split_site
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Cell, parse_table
from iamata.testing.learning import draw_rows, write_protocol

SCHEMA = Schema(
    columns=(
        Numeric(name="marker", low=-5, high=5),
        Categorical(name="smokes", categories=("no", "yes", "few", "never seen")),
    ),
    outcome=Outcome(name="ill"),
)
FEW = 9
TREES = Trees(settings=Boosting(stops_early=False))


def fit(estimator: Estimator, *, few: int = FEW) -> Model:
    """Learn from 240 patients, of whom `few` smoke in a way of their own."""
    rows = [{**row, "smokes": "few"} if at < few else row for at, row in enumerate(draw_rows(240, seed=2))]
    columns = {name: [row[name] for row in rows] for name in ("marker", "smokes", "ill")}
    table = parse_table(SCHEMA, columns, [str(number) for number in range(len(rows))])
    protocol = write_protocol(schema=SCHEMA, estimator=estimator)
    raw = run(lambda: learn(protocol), [split_site(protocol, table, number=0)]).model
    return decode_model(raw, identify_model(raw))


def list_taken(model: Model) -> list[dict[str, str]]:
    """List what a model did not learn of five rows, and for what it takes it."""
    smokes: list[Cell] = ["no", "yes", "few", "never seen", None]
    columns: dict[str, list[Cell]] = {"marker": [1.0] * 4 + [None], "smokes": smokes, "ill": [0] * 5}
    return [one.unlearned for one in model.explain(parse_table(SCHEMA, columns, [""] * 5))]


def test_a_regression_takes_it_for_the_first_category_and_the_mean() -> None:
    model = fit(Regression())

    assert list_taken(model)[:4] == [{}, {}, {"smokes": "no"}, {"smokes": "no"}]
    assert list_taken(model)[4]["marker"].startswith("the mean, ")
    assert spell_unlearned(model) == "smokes: few, never seen (taken for no)"


def test_trees_take_it_for_what_no_split_names_and_for_the_highest() -> None:
    model = fit(TREES)
    other = {"smokes": "a category that no split names"}

    assert list_taken(model) == [{}, {}, other, other, {"marker": "a number above every cut", **other}]


def test_naive_bayes_takes_it_for_what_nobody_has() -> None:
    model = fit(Bayes(), few=0)
    nobodys = {"smokes": "a category that nobody has"}

    assert list_taken(model) == [{}, {}, nobodys, nobodys, {}]


@pytest.mark.parametrize("estimator", [Regression(), TREES])
def test_a_category_that_ten_have_is_learned(estimator: Estimator) -> None:
    assert list_taken(fit(estimator, few=FEW + 1))[2] == {}
