"""heart.* and diabetes.*: what is learned from sums over sites is worth, on published data.

A simulation in one process: shares are the whole numbers that would travel, and are added in clear. The
floor of a figure is its pooled twin's, scikit-learn's on all rows at once; `_low` and `_high` are the
2.5 and 97.5 percentiles over splits, which overlap, so they say how much a split matters and no more.

What the data do not show: a single hospital's own model does as well at home on Heart Disease; the sites of
Diabetes-130 are cut by payer, not by hospital, and its rows look back on earlier ones of the same patient
at the same site (`examples/diabetes.py`). No setting was chosen on a test fold: regressions and trees run
with their defaults, and the private fit's were chosen on parts of training folds of other seeds.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from examples import diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression as PooledLogistic
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from bench import heart
from bench.harness import RUNS, Figure, compare, measure_s
from iamata.learning.estimators.design import list_terms, read_term
from iamata.learning.estimators.regression import LogisticRegression, PrivateLogisticRegression
from iamata.learning.estimators.trees import GradientBoosting
from iamata.learning.federations import Tables
from iamata.learning.programmes import Add, Query, add_plainly
from iamata.learning.schemas import Categorical
from iamata.learning.tables import Floats, Integers, Table
from iamata.model.reasons import Reason, require

SPLITS: Final = 300
DIABETES: Final = (
    Path(__file__).resolve().parents[2] / "shared" / "data" / "diabetes-130" / "diabetic_data.csv.xz"
)
DIABETES_SPLITS: Final = 5
GROWTH_ROWS: Final = 20_000
RHO: Final = 0.0305
"""Zero-concentrated privacy within epsilon 1 and delta 1e-5 (Canonne et al. 2020, proposition 12)."""
LIKELIER: Final = 0.5
HONEST_PART: Final = 0.5
"""The part of the sites whose noise has to suffice."""
Parts = Sequence[tuple[Table, Table]]
Predict = Callable[[Table], Floats]


def measure() -> dict[str, Figure]:
    """Learn from the four hospitals of Heart Disease, and from the eight sites of Diabetes-130."""
    return {**measure_heart(), **measure_growth(), **measure_diabetes()}


def measure_heart() -> dict[str, Figure]:
    """Fit on 300 splits of FLamby's sizes and on FLamby's own; then again within a budget of privacy."""
    hospitals, clipped = heart.load_hospitals(), heart.load_hospitals(schema=heart.CLIPPED)
    ours, twins, private = [], [], []
    gaps, rounds = [], []
    for seed in range(SPLITS):
        parts = list(heart.split_all(hospitals, seed))
        fitted = LogisticRegression().fit(Tables([train for train, _ in parts]))
        twin, scale = _fit_twin([train for train, _ in parts])
        gaps.append(_measure_gap(fitted, twin))
        rounds.append(fitted.n_iter_)
        ours.append(_score(parts, fitted.model_.predict))
        twins.append(_score(parts, partial(_predict, twin, scale)))
        private.append(_fit_privately(list(heart.split_all(clipped, seed)), seed))
    own = list(heart.split_all(hospitals, heart.FLAMBY_SEED))
    accuracy, area = zip(*ours, strict=True)
    pooled_accuracy, pooled_area = (statistics.fmean(one) for one in zip(*twins, strict=True))
    return {
        **_summarise("heart.accuracy", accuracy, pooled_accuracy),
        **_summarise("heart.auroc", area, pooled_area),
        **_summarise("heart.dp_accuracy", private, pooled_accuracy),
        "heart.flamby": _measure_own(own),
        "heart.coefficient_gap": Figure(value=max(gaps), unit="largest"),
        "heart.rounds": Figure(value=max(rounds), unit="exchanges"),
    }


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
    """Fit both kinds of model on five splits by patient."""
    sites = diabetes.load_sites(DIABETES)
    regressions, trees, pooled, grown = [], [], [], []
    for seed in range(DIABETES_SPLITS):
        parts = [diabetes.split_by_patient(site, seed) for site in sites]
        train = Tables([one for one, _ in parts])
        regressions.append(_score(parts, LogisticRegression().fit(train).model_.predict)[1])
        trees.append(_score(parts, GradientBoosting(trees_max=200).fit(train).model_.predict)[1])
        twin, scale = _fit_twin(train.tables)
        pooled.append(_score(parts, partial(_predict, twin, scale))[1])
        grown.append(_grow_twin(parts))
    return {
        **_summarise("diabetes.auroc_logistic", regressions, statistics.fmean(pooled)),
        **_summarise("diabetes.auroc_trees", trees, statistics.fmean(grown)),
    }


def add_with_noise(seed: int) -> Add:
    """Return what adds shares with Gaussian noise such that half of the sites would suffice."""
    chance = np.random.default_rng(seed)

    def add(query: Query, shares: Sequence[Integers]) -> Integers:
        require(query.noise is not None, Reason.INPUT_INVALID, "a sum without noise")
        noise = query.noise
        whole = 0.0 if noise is None else noise.sensitivity / math.sqrt(2.0 * noise.rho)
        each = whole / math.sqrt(math.ceil(HONEST_PART * len(shares)))
        noisy = [one + np.rint(chance.normal(0.0, each, len(one))).astype(np.int64) for one in shares]
        total: Integers = np.sum(np.stack(noisy), axis=0, dtype=np.int64)
        return total

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


def _fit_privately(parts: Parts, seed: int) -> float:
    train = Tables([train for train, _ in parts], add_with_noise(seed))
    return _score(parts, PrivateLogisticRegression(rho=RHO).fit(train).model_.predict)[0]


def _score(parts: Parts, predict: Predict) -> tuple[float, float]:
    """Return the mean of the sites' accuracies, and the area under the curve of all test rows."""
    scores = [predict(test) for _, test in parts]
    outcomes = [test.outcome for _, test in parts]
    right = [
        float(((one > LIKELIER) == outcome).mean()) for one, outcome in zip(scores, outcomes, strict=True)
    ]
    return statistics.fmean(right), float(roc_auc_score(np.concatenate(outcomes), np.concatenate(scores)))


def _measure_own(parts: Parts) -> Figure:
    train = [one for one, _ in parts]
    twin, scale = _fit_twin(train)
    fitted = LogisticRegression().fit(Tables(train))
    floor = _score(parts, partial(_predict, twin, scale))[0]
    return compare(_score(parts, fitted.model_.predict)[0], "of 1", floor)


def _fill(tables: Sequence[Table]) -> Floats:
    """Return all rows' design, not standardised; NaN where a number is missing."""
    return np.vstack(
        [
            np.column_stack([read_term(table, *term) for term in list_terms(table.schema.get_features())])
            for table in tables
        ]
    )


def _fit_twin(tables: Sequence[Table]) -> tuple[PooledLogistic, StandardScaler]:
    """Fit scikit-learn's regression on all rows at once: mean imputed, standardised, C = 1."""
    scale = StandardScaler()
    rows = scale.fit_transform(_impute(_fill(tables)))
    twin = PooledLogistic(C=1.0, solver="newton-cholesky", tol=1e-10, max_iter=100)
    return twin.fit(rows, np.concatenate([table.outcome for table in tables])), scale


def _impute(rows: Floats) -> Floats:
    missing = np.isnan(rows)
    return np.where(missing, np.nanmean(rows, axis=0), rows) if bool(missing.any()) else rows


def _predict(twin: PooledLogistic, scale: StandardScaler, table: Table) -> Floats:
    rows = _fill([table])
    probabilities: Floats = twin.predict_proba(scale.transform(np.where(np.isnan(rows), scale.mean_, rows)))
    return probabilities[:, 1]


def _measure_gap(ours: LogisticRegression, twin: PooledLogistic) -> float:
    gap = float(np.abs(ours.coef_ - twin.coef_[0]).max())
    return max(gap, abs(ours.intercept_ - float(twin.intercept_[0])))


def _grow_twin(parts: Parts) -> float:
    """Return the area under the curve of scikit-learn's boosted trees with its own bins."""

    def stack(tables: Sequence[Table]) -> Floats:
        names = [column.name for column in tables[0].schema.columns]
        return np.vstack([np.column_stack([table.columns[name] for name in names]) for table in tables])

    columns = parts[0][0].schema.columns
    twin = HistGradientBoostingClassifier(
        max_iter=200,
        early_stopping=True,
        random_state=0,
        categorical_features=[isinstance(column, Categorical) for column in columns],
    )
    twin.fit(stack([one for one, _ in parts]), np.concatenate([one.outcome for one, _ in parts]))
    return _score(parts, lambda table: np.asarray(twin.predict_proba(stack([table]))[:, 1]))[1]


def _summarise(key: str, values: Sequence[float], floor: float) -> dict[str, Figure]:
    """Return the mean over splits beside the twin's, and where 95 % of the splits lie."""
    low, high = np.percentile(values, [2.5, 97.5]).tolist()
    return {
        key: compare(statistics.fmean(values), "of 1", floor),
        f"{key}_low": Figure(value=low, unit="of 1"),
        f"{key}_high": Figure(value=high, unit="of 1"),
    }
