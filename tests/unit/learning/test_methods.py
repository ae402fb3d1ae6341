"""How a model was learned is said in words, with just the numbers that its file tells."""

import pytest

from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import Model, decode_model, identify_model
from iamata.learning.estimators.newton import Settings
from iamata.learning.methods import count_rounds, spell_method, spell_patients, spell_settings
from iamata.learning.programmes import Programme, run
from iamata.learning.protocols import (
    Bayes,
    Estimator,
    Learned,
    Private,
    Regression,
    Trees,
    learn,
    split_site,
)
from iamata.learning.schemas import Numeric, Outcome, Schema
from iamata.learning.tables import parse_table
from iamata.testing.learning import draw_rows, write_protocol

ROWS = 80
MARKER = Numeric(name="marker", low=-5, high=5, outside="clip", missing="mean")
NO_MORE = "at most 128 in the datasets, whose sizes the ledger has in bands"
BARE = Regression(settings=Settings(l2=0.0))
FEW = Trees(settings=Boosting(trees_max=2, stops_early=False))
NOISY = Private(epsilon_micro=1_000_000)


def listen(programme: Programme[Learned], asked: list[str]) -> Programme[Learned]:
    """Run a programme, and note the names of the sums that it asks for."""
    try:
        query = next(programme)
        while True:
            asked.append(query.name)
            query = programme.send((yield query))
    except StopIteration as end:
        learned: Learned = end.value
        return learned


def fit(estimator: Estimator) -> tuple[Model, list[str]]:
    """Learn at one site; return the model, and the names of the sums that were asked."""
    schema = Schema(columns=(MARKER,), outcome=Outcome(name="ill"))
    protocol = write_protocol(schema=schema, estimator=estimator)
    rows, asked = draw_rows(ROWS, seed=1), list[str]()
    columns = {name: [row[name] for row in rows] for name in ("marker", "ill")}
    table = parse_table(schema, columns, [str(number) for number in range(ROWS)])

    learned = run(lambda: listen(learn(protocol), asked), [split_site(protocol, table, number=0)])

    return decode_model(learned.model, identify_model(learned.model)), asked


@pytest.mark.parametrize(
    ("estimator", "method", "settings"),
    [
        (
            BARE,
            "logistic regression, without a penalty, by Newton's method",
            "regression (family logistic, l2 0.0, rounds_max 25)",
        ),
        (
            FEW,
            (
                "gradient-boosted trees over histograms of up to 32 bins: up to 2 trees, "
                "4 levels deep at most, learning rate 0.1, L2 penalty 1, at least 20 patients in a leaf"
            ),
            "trees (trees_max 2, learning_rate 0.1, bins_max 32, growth",
        ),
        (
            Bayes(smoothing=0.5),
            "naive Bayes, with 0.5 added to the count of each category",
            "bayes (smoothing 0.5)",
        ),
        (
            NOISY,
            (
                "logistic regression under differential privacy: two sums with noise, "
                "of rows clipped to a norm of 3"
            ),
            "private (epsilon_micro 1000000, delta 1e-05, norm_max 3.0)",
        ),
    ],
)
def test_a_method_is_told_with_its_penalty_and_every_setting(
    estimator: Estimator, method: str, settings: str
) -> None:
    assert spell_method(estimator) == method
    assert spell_settings(estimator).startswith(settings)


@pytest.mark.parametrize("estimator", [BARE, FEW, Bayes(), NOISY])
def test_rounds_are_the_sums_that_were_asked(estimator: Estimator) -> None:
    model, asked = fit(estimator)

    assert count_rounds(model) == len(asked) > 0


def test_patients_are_told_as_far_as_the_models_file_tells_them() -> None:
    exact, _ = fit(BARE)
    trees, _ = fit(FEW)

    assert isinstance(exact, LinearModel)
    told = [spell_patients(model, one, patients_max=128) for model, one in ((exact, BARE), (trees, FEW))]
    assert told == [f"80 trained it, with 80 rows; {NO_MORE}", NO_MORE]
    assert spell_patients(exact, NOISY, patients_max=128) == f"about 80, a count with noise; {NO_MORE}"
