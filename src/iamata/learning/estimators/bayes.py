"""Naive Bayes: the baseline that a study's model has to beat, in one exchange.

Numbers are normal within each class, categories multinomial with Laplace's correction, columns independent
given the class. What is missing says nothing.
"""

from typing import Final, Self

import msgspec
import numpy as np

from iamata.learning.estimators.classifying import Classifier
from iamata.learning.estimators.design import PATIENTS_MIN, SPREAD_MIN, get_range
from iamata.learning.estimators.families import expit
from iamata.learning.estimators.parameters import Parameters
from iamata.learning.estimators.predictions import Prediction
from iamata.learning.estimators.unlearned import Unlearned, find_unlearned
from iamata.learning.federations import Federation
from iamata.learning.programmes import (
    Given,
    Part,
    Programme,
    Query,
    Site,
    Values,
    choose_bits,
    round_rows,
)
from iamata.learning.schemas import Categorical, Column, Numeric, Schema
from iamata.learning.tables import ROWS_MAX, Floats, Table
from iamata.model.reasons import Reason, require

BITS: Final = choose_bits(ROWS_MAX)
NOBODYS: Final = "a category that nobody has"


class Normal(msgspec.Struct, frozen=True, kw_only=True, tag="normal"):
    """A number's mean and variance among those with no, and among those with yes."""

    column: str
    means: tuple[float, float]
    variances: tuple[float, float]


class Multinomial(msgspec.Struct, frozen=True, kw_only=True, tag="multinomial"):
    """How often each category occurs among those with no, and among those with yes."""

    column: str
    rates: tuple[tuple[float, ...], tuple[float, ...]]
    unlearned: tuple[str, ...]
    """Categories that nobody has; their rates are of smoothing alone."""


class BayesModel(msgspec.Struct, frozen=True, kw_only=True, tag="bayes"):
    """A fitted naive Bayes: everything that a prediction needs."""

    schema: Schema
    rates: tuple[float, float]
    """How many rows have no, and how many yes, as parts of all."""
    columns: tuple[Normal | Multinomial, ...]

    def predict(self, table: Table) -> Floats:
        """Return the probability of yes of each row."""
        return expit(self._get_offset() + sum(self._weigh(table).values(), np.zeros(len(table))))

    def explain(self, table: Table) -> list[Prediction]:
        """Return for each row the probability and what each column adds; a baseline gives no interval."""
        weights = self._weigh(table)
        unlearned = find_unlearned(table, self.list_unlearned())
        return [
            Prediction(
                value=value,
                low=0.0,
                high=1.0,
                offset=self._get_offset(),
                contributions={column: float(added[row]) for column, added in weights.items()},
                unlearned=unlearned[row],
            )
            for row, value in enumerate(self.predict(table).tolist())
        ]

    def list_unlearned(self) -> Unlearned:
        """List the categories that nobody in training had; what is missing says nothing anyway."""
        return {
            (one.column, category): NOBODYS
            for one in self.columns
            if isinstance(one, Multinomial)
            for category in one.unlearned
        }

    def _get_offset(self) -> float:
        return float(np.log(self.rates[1]) - np.log(self.rates[0]))

    def _weigh(self, table: Table) -> dict[str, Floats]:
        """Return the log of how much likelier each column is with yes."""
        require(
            table.schema.columns == self.schema.columns, Reason.TABLE_CLASHES, "not the model's columns"
        )
        return {one.column: _compare(one, table.columns[one.column]) for one in self.columns}


class NaiveBayes(Classifier, Parameters):
    """Predict yes or no, as scikit-learn's GaussianNB and CategoricalNB together."""

    model_: BayesModel

    def __init__(self, *, smoothing: float = 1.0) -> None:
        self.smoothing = smoothing

    def fit(self, federation: Federation) -> Self:
        """Count over all sites, or refuse one class, too few patients, and a number that hardly varies."""
        schema = federation.schema
        self.model_ = federation.run(lambda: fit_bayes(schema, smoothing=self.smoothing))
        return self


def fit_bayes(schema: Schema, *, smoothing: float) -> Programme[BayesModel]:
    """Fit over all sites, in one exchange."""
    require(schema.outcome.kind == "binary", Reason.SCHEMA_INVALID, "kind of the outcome")
    features = schema.get_features()
    widths = [len(one.categories) if isinstance(one, Categorical) else 3 for one in features]
    scales = [0 if isinstance(one, Categorical) else BITS for one in features]
    parts = [
        Part(f"{one.name} {side}", width, bits)
        for one, width, bits in zip(features, widths, scales, strict=True)
        for side in (0, 1)
    ]
    sums = yield Query("classes", (Part("patients", 1), Part("rows", 2), *parts), compute_classes)
    rows = sums["rows"]
    require(float(sums["patients"][0]) >= PATIENTS_MIN, Reason.TOO_FEW_PATIENTS)
    require(bool((rows > 0).all()), Reason.ONE_CLASS_ONLY)
    rates = (rows / rows.sum()).tolist()
    columns = tuple(
        _describe(one, (sums[f"{one.name} 0"], sums[f"{one.name} 1"]), smoothing) for one in features
    )
    return BayesModel(schema=schema, rates=(rates[0], rates[1]), columns=columns)


def compute_classes(_given: Given, site: Site) -> Values:
    """Count and add up each column of a site among those with no and those with yes."""
    table = site.table
    values: dict[str, Floats] = {
        "patients": np.array([table.count_patients()], dtype=np.float64),
        "rows": np.bincount(table.outcome.astype(np.int64), minlength=2).astype(np.float64),
    }
    for column in table.schema.get_features():
        for side in (0, 1):
            cells = table.columns[column.name][table.outcome == side]
            values[f"{column.name} {side}"] = _add_up(column, cells[~np.isnan(cells)])
    return values


def _add_up(column: Column, cells: Floats) -> Floats:
    if isinstance(column, Categorical):
        return np.bincount(cells.astype(np.int64), minlength=len(column.categories)).astype(np.float64)
    middle, half = get_range(column, None)
    moved = (cells - middle) / half
    squares = round_rows(moved * moved, BITS).sum()
    return np.array([len(cells), round_rows(moved, BITS).sum(), squares])


def _describe(column: Column, sums: tuple[Floats, Floats], smoothing: float) -> Normal | Multinomial:
    if isinstance(column, Numeric):
        sides = [_compute_moments(column, one.tolist()) for one in sums]
        return Normal(
            column=column.name,
            means=(sides[0][0], sides[1][0]),
            variances=(sides[0][1], sides[1][1]),
        )
    smoothed = [one + smoothing for one in sums]
    rates = [tuple((one / float(np.cumsum(one)[-1])).tolist()) for one in smoothed]
    nobodys = np.flatnonzero(sums[0] + sums[1] == 0)
    unlearned = tuple(column.categories[place] for place in nobodys.tolist())
    return Multinomial(column=column.name, rates=(rates[0], rates[1]), unlearned=unlearned)


def _compute_moments(column: Numeric, sums: list[float]) -> tuple[float, float]:
    """Return mean and variance in the column's unit; refuse where those of a class are all alike."""
    count, total, square = sums
    require(count > 0, Reason.COLUMN_CONSTANT, column.name)
    middle, half = get_range(column, None)
    mean = total / count
    variance = square / count - mean * mean
    what = f"{column.name} hardly varies among those of one outcome; narrow its bounds, or leave it out"
    require(variance >= SPREAD_MIN * SPREAD_MIN, Reason.COLUMN_CONSTANT, what)
    return middle + half * mean, half * half * variance


def _compare(column: Normal | Multinomial, values: Floats) -> Floats:
    missing = np.isnan(values)
    if isinstance(column, Multinomial):
        ratios = np.log(np.array(column.rates[1])) - np.log(np.array(column.rates[0]))
        return np.where(missing, 0.0, ratios[np.where(missing, 0, values).astype(np.int64)])
    terms = [
        -0.5 * (np.log(variance) + (values - mean) * (values - mean) / variance)
        for mean, variance in zip(column.means, column.variances, strict=True)
    ]
    return np.where(missing, 0.0, terms[1] - terms[0])
