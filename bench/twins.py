"""What is learned from sums, and its pooled twin: scikit-learn's on all rows at once, scored alike."""

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression as PooledLogistic
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from iamata.learning.estimators.design import list_terms, read_term
from iamata.learning.estimators.regression import LogisticRegression
from iamata.learning.schemas import Categorical
from iamata.learning.tables import Floats, Table

LIKELIER: Final = 0.5

Parts = Sequence[tuple[Table, Table]]
"""Each site's rows to train on, and those to test on."""
Predict = Callable[[Table], Floats]


def score(parts: Parts, predict: Predict) -> tuple[float, float]:
    """Return the mean of the sites' accuracies, and the area under the curve of all test rows."""
    scores = [predict(test) for _, test in parts]
    outcomes = [test.outcome for _, test in parts]
    right = [
        float(((one > LIKELIER) == outcome).mean()) for one, outcome in zip(scores, outcomes, strict=True)
    ]
    return statistics.fmean(right), float(roc_auc_score(np.concatenate(outcomes), np.concatenate(scores)))


class PooledRegression:
    """scikit-learn's regression on all sites' rows at once: mean imputed, standardised, C = 1."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._scale = StandardScaler()
        rows = self._scale.fit_transform(_impute(_fill(tables)))
        twin = PooledLogistic(C=1.0, solver="newton-cholesky", tol=1e-10, max_iter=100)
        self._twin = twin.fit(rows, np.concatenate([table.outcome for table in tables]))

    def predict(self, table: Table) -> Floats:
        """Return the probability of a yes for each row."""
        rows = _fill([table])
        filled = self._scale.transform(np.where(np.isnan(rows), self._scale.mean_, rows))
        probabilities: Floats = self._twin.predict_proba(filled)
        return probabilities[:, 1]

    def measure_gap(self, ours: LogisticRegression) -> float:
        """Return how far apart a coefficient of the two is at most, the intercept among them."""
        gap = float(np.abs(ours.coef_ - self._twin.coef_[0]).max())
        return max(gap, abs(ours.intercept_ - float(self._twin.intercept_[0])))


def grow_pooled(tables: Sequence[Table]) -> Predict:
    """Grow scikit-learn's boosted trees on all rows at once, with its own bins."""
    columns = tables[0].schema.columns
    twin = HistGradientBoostingClassifier(
        max_iter=200,
        early_stopping=True,
        random_state=0,
        categorical_features=[isinstance(column, Categorical) for column in columns],
    )
    twin.fit(_stack(tables), np.concatenate([one.outcome for one in tables]))
    return partial(_predict_grown, twin)


def _predict_grown(twin: HistGradientBoostingClassifier, table: Table) -> Floats:
    return np.asarray(twin.predict_proba(_stack([table]))[:, 1])


def _stack(tables: Sequence[Table]) -> Floats:
    names = [column.name for column in tables[0].schema.columns]
    return np.vstack([np.column_stack([table.columns[name] for name in names]) for table in tables])


def _fill(tables: Sequence[Table]) -> Floats:
    """Return all rows' design, not standardised; NaN where a number is missing."""
    return np.vstack(
        [
            np.column_stack([read_term(table, *term) for term in list_terms(table.schema.get_features())])
            for table in tables
        ]
    )


def _impute(rows: Floats) -> Floats:
    missing = np.isnan(rows)
    return np.where(missing, np.nanmean(rows, axis=0), rows) if bool(missing.any()) else rows
