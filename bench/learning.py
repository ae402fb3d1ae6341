"""heart.* and diabetes.*: what is learned from sums over sites is worth, on published data.

A simulation in one process: shares are the whole numbers that would travel, and are added in clear. That
nodes with masks come to the same coefficients is shown next door, on FLamby's own split: `heart.nodes_gap`
(`bench/study.py`). The floor of a figure is its pooled twin's, scikit-learn's on all rows at once. Split n
is drawn from seed n; `heart.splits` and `diabetes.splits` say how many there are. `_low` and `_high` are
the 2.5 and 97.5 percentiles over splits, which overlap, so they say how much a split matters and no more.

`heart.dp_accuracy` runs the programme of a study with a budget of ε = 1, its other settings the defaults,
with the noise that nodes draw: discrete, at each of the four sites, so much that two sites' suffice. Those
defaults were chosen on these hospitals' rows, on parts of training folds of other seeds. What one split
tests on another trains on, so the figure flatters them somewhat. Its public bounds lie near what the rows
have (`heart.BOUNDS`); `heart.dp_accuracy_wide` takes the widest that are possible, which nobody chose. The
exact regression and the trees run with their defaults, but for 200 trees at most instead of 100.

What the data do not show: a single hospital's own model does as well at home on Heart Disease; the sites of
Diabetes-130 are cut by payer, not by hospital, and its rows look back on earlier ones of the same patient
at the same site (`examples/diabetes.py`).
"""

import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from examples import diabetes
from threadpoolctl import threadpool_limits

from bench import heart
from bench.harness import RUNS, Figure, compare, measure_s
from bench.twins import Parts, PooledRegression, grow_pooled, score
from iamata.consent.data_use import ResearchPurpose
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.regression import LogisticRegression
from iamata.learning.estimators.trees import GradientBoosting
from iamata.learning.federations import Tables
from iamata.learning.programmes import Add, Query, add_plainly, run
from iamata.learning.protocols import MICRO, Private, Protocol, learn, split_site
from iamata.learning.schemas import Schema
from iamata.learning.summing import START, draw_noise, plan_round
from iamata.learning.tables import Integers, Table
from iamata.model.ids import RANDOM_ID_BYTES, RunId, compute_random_id
from iamata.model.reasons import Reason, Refused
from iamata.testing.rounds import make_plan, make_seed

SPLITS: Final = 300
DIABETES: Final = (
    Path(__file__).resolve().parents[2] / "shared" / "data" / "diabetes-130" / "diabetic_data.csv.xz"
)
DIABETES_SPLITS: Final = 20
GROWTH_ROWS: Final = 20_000


def measure() -> dict[str, Figure]:
    """Learn from the four hospitals of Heart Disease, and from the eight sites of Diabetes-130."""
    exact = measure_heart()
    private = measure_privacy(floor=exact["heart.accuracy"].value)
    return {**exact, **private, **measure_growth(), **measure_diabetes()}


def measure_heart() -> dict[str, Figure]:
    """Fit on 300 splits of FLamby's sizes."""
    hospitals = heart.load_hospitals()
    ours, twins = [], []
    gaps, rounds = [], []
    for seed in range(SPLITS):
        parts = list(heart.split_all(hospitals, seed))
        train = [one for one, _ in parts]
        fitted, twin = LogisticRegression().fit(Tables(train)), PooledRegression(train)
        gaps.append(twin.measure_gap(fitted))
        rounds.append(fitted.n_iter_)
        ours.append(score(parts, fitted.model_.predict))
        twins.append(score(parts, twin.predict))
    accuracy, area = zip(*ours, strict=True)
    pooled_accuracy, pooled_area = (statistics.fmean(one) for one in zip(*twins, strict=True))
    return {
        **_summarise("heart.accuracy", accuracy, pooled_accuracy),
        **_summarise("heart.auroc", area, pooled_area),
        "heart.splits": _count_splits(SPLITS),
        "heart.coefficient_gap": Figure(value=max(gaps), unit="largest"),
        "heart.rounds": Figure(value=max(rounds), unit="exchanges"),
    }


def measure_privacy(*, floor: float) -> dict[str, Figure]:
    """Fit within ε = 1 and δ = 1e-5 on the same splits; the floor is what the exact fit is worth."""
    figures: dict[str, Figure] = {}
    for key, schema in (("heart.dp_accuracy", heart.CLIPPED), ("heart.dp_accuracy_wide", heart.WIDE)):
        hospitals, protocol = heart.load_hospitals(schema=schema), write_private_protocol(schema)
        accuracy = [
            fit_privately(protocol, list(heart.split_all(hospitals, seed)), seed) for seed in range(SPLITS)
        ]
        figures |= _summarise(key, accuracy, floor)
    return figures


def measure_growth() -> dict[str, Figure]:
    """Fit one regression on the same rows at 200 sites and, as the floor, at 10; and count what is sent."""
    rows = _repeat(list(heart.load_hospitals().values()), GROWTH_ROWS)
    sent: list[int] = []

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        sent.append(query.length)
        return add_plainly(query, shares)

    seconds = {}
    for count in (10, 200):
        federation = Tables(_deal(rows, count), add)
        seconds[count] = min(measure_s(partial(LogisticRegression().fit, federation)) for _ in range(RUNS))
    sent.clear()
    LogisticRegression().fit(Tables(_deal(rows, 10), add))
    return {
        "learning.sites_200_s": compare(seconds[200], "s", seconds[10]),
        "learning.sent_bytes": Figure(value=8 * sum(sent), unit="bytes from a site"),
    }


def measure_diabetes() -> dict[str, Figure]:
    """Fit both kinds of model on splits by patient, as many at a time as there are cores."""
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_take_one_core) as pool:
        areas = list(pool.map(_learn_readmissions, range(DIABETES_SPLITS)))
    regressions, trees, pooled, grown = zip(*areas, strict=True)
    return {
        **_summarise("diabetes.auroc_logistic", regressions, statistics.fmean(pooled)),
        **_summarise("diabetes.auroc_trees", trees, statistics.fmean(grown)),
        "diabetes.splits": _count_splits(DIABETES_SPLITS),
    }


def write_private_protocol(schema: Schema) -> Protocol:
    """Write a study whose runs spend ε = 1 each, with defaults for all that it may leave unsaid."""
    return Protocol(
        title="Heart disease",
        question="Who has heart disease?",
        purpose=ResearchPurpose(is_health=True),
        schema=schema,
        classes=("Observation",),
        estimator=Private(epsilon_micro=MICRO),
    )


def fit_privately(protocol: Protocol, parts: Parts, number: int) -> float:
    """Train as a private study's run of this number would, and return the mean of the sites' accuracies."""
    sites = [split_site(protocol, train, number=at) for at, (train, _) in enumerate(parts)]
    raw = run(lambda: learn(protocol), sites, add_as_nodes(number)).model
    return score(parts, decode_model(raw, identify_model(raw)).predict)[0]


def add_as_nodes(number: int) -> Add:
    """Return what adds shares and the noise that nodes draw, in a run of this number."""
    run_id = RunId(compute_random_id(number.to_bytes(RANDOM_ID_BYTES, "big")))

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        among = make_plan(len(shares))
        plan = plan_round(
            query, network=among.network, run=run_id, datasets=(), seats=among.seats, transcript=START
        )
        noisy = []
        for at, share in enumerate(shares):
            noise = draw_noise(query, plan, share, secret=make_seed(at))
            if noise is None:
                raise Refused(Reason.BUDGET_EXHAUSTED, f"{query.name}: a sum without noise")
            noisy.append(share + noise[1:])  # in front is the number of rows'
        return add_plainly(query, noisy)

    return add


def _repeat(tables: Sequence[Table], rows: int) -> Table:
    """Return so many rows, drawn from all tables with replacement, each a patient."""
    chance = np.random.default_rng(0)
    drawn = chance.integers(0, sum(map(len, tables)), rows)
    columns = {
        name: np.concatenate([table.columns[name] for table in tables])[drawn] for name in tables[0].columns
    }
    outcome = np.concatenate([table.outcome for table in tables])[drawn]
    return Table(tables[0].schema, columns, outcome, tuple(str(number) for number in range(rows)))


def _deal(table: Table, sites: int) -> list[Table]:
    owner = np.arange(len(table)) % sites
    return [table.select(owner == number) for number in range(sites)]


def _take_one_core() -> None:
    """Let others compute beside this process, instead of waiting for each other in every product."""
    threadpool_limits(1)


@cache
def _load_readmissions() -> list[Table]:
    return diabetes.load_sites(DIABETES)


def _learn_readmissions(seed: int) -> tuple[float, float, float, float]:
    """Return the areas under the curve of a split: regression, trees, and the pooled twin of each."""
    parts = [diabetes.split_by_patient(site, seed) for site in _load_readmissions()]
    train = Tables([one for one, _ in parts])
    predictions = (
        LogisticRegression().fit(train).model_.predict,
        GradientBoosting(trees_max=200).fit(train).model_.predict,
        PooledRegression(train.tables).predict,
        grow_pooled(train.tables),
    )
    regression, trees, pooled, grown = (score(parts, predict)[1] for predict in predictions)
    return regression, trees, pooled, grown


def _summarise(key: str, values: Sequence[float], floor: float) -> dict[str, Figure]:
    """Return the mean over splits beside the twin's, and where 95 % of the splits lie."""
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return {
        key: compare(statistics.fmean(values), "of 1", floor),
        f"{key}_low": Figure(value=low, unit="of 1"),
        f"{key}_high": Figure(value=high, unit="of 1"),
    }


def _count_splits(count: int) -> Figure:
    return Figure(value=count, unit=f"splits, of seeds 0 to {count - 1}")
