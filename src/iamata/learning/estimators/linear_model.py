"""What a fitted linear model says of a row: an expected outcome, how sure it is, and what it rests on."""

from typing import Final

import msgspec
import numpy as np

from iamata.learning.estimators.design import build_matrix
from iamata.learning.estimators.families import FAMILIES
from iamata.learning.estimators.newton import LinearFit, get_outcome_range
from iamata.learning.estimators.predictions import Prediction, cut_forecasts
from iamata.learning.estimators.products import weigh
from iamata.learning.estimators.unlearned import Unlearned, find_unlearned
from iamata.learning.programmes import Site
from iamata.learning.schemas import Schema
from iamata.learning.tables import Floats, Table
from iamata.model.reasons import Reason, require

NORMAL_95: Final = 1.959963984540054
"""The quantile of the normal distribution that leaves 2.5 % above."""


class LinearModel(msgspec.Struct, frozen=True, kw_only=True, tag="linear"):
    """A fitted generalised linear model: everything that a prediction needs."""

    schema: Schema
    fit: LinearFit

    @property
    def coefficients(self) -> Floats:
        """The coefficients on the standardised design, intercept first: of a number, in its own unit.

        `fit` has them of the outcome as it was fitted, which the bounds of a number move to [-1, 1].
        """
        middle, half = get_outcome_range(self.schema.outcome)  # 0 and 1 but for a number
        found = half * np.array(self.fit.coefficients)
        found[0] += middle
        return found

    @property
    def reaches(self) -> Floats:
        """How far the 95 % interval of each coefficient reaches to either side, in the same unit."""
        _, half = get_outcome_range(self.schema.outcome)
        variances = np.diagonal(np.array(self.fit.covariance)) * self.fit.dispersion
        return half * NORMAL_95 * np.sqrt(np.maximum(0.0, variances))

    def predict(self, table: Table) -> Floats:
        """Return the expected outcome of each row, within the outcome's bounds."""
        return self._cut(self._to_outcome(weigh(self._build(table), np.array(self.fit.coefficients))))

    def explain(self, table: Table) -> list[Prediction]:
        """Return for each row the expected outcome, its interval, and what each column contributes.

        The interval is where the expected outcome lies (not a single patient's), should the form be right.
        None of it lies beyond the outcome's bounds, whatever the columns add up to.
        """
        matrix = self._build(table)
        predictor = weigh(matrix, np.array(self.fit.coefficients))
        variance = np.einsum("ij,jk,ik->i", matrix, np.array(self.fit.covariance), matrix)
        reach = NORMAL_95 * np.sqrt(np.maximum(0.0, variance * self.fit.dispersion))
        whole = [self._to_outcome(one) for one in (predictor, predictor - reach, predictor + reach)]
        columns = [self._cut(one) for one in whole]
        offset, added = float(self.coefficients[0]), matrix * self.coefficients
        unlearned = find_unlearned(table, self.list_unlearned())
        return [
            Prediction(
                value=value,
                low=low,
                high=high,
                offset=offset,
                contributions=self._gather(row),
                link=FAMILIES[self.fit.family].link,
                is_cut=value != uncut,
                unlearned=taken,
            )
            for value, low, high, uncut, row, taken in zip(
                *(one.tolist() for one in columns),
                whole[0].tolist(),
                added.tolist(),
                unlearned,
                strict=True,
            )
        ]

    def list_unlearned(self) -> Unlearned:
        """List the categories, and the lacks of a value, that few in training had, or nobody."""
        terms = self.fit.moments.terms
        means = {term.column: f"the mean, {term.mean:g}" for term in terms if term.category is None}
        return {
            (one.column, one.category): means.get(one.column) or self.schema.list_categories(one.column)[0]
            for one in terms
            if one.category is not None and one.spread == 0
        }

    def _build(self, table: Table) -> Floats:
        require(
            table.schema.columns == self.schema.columns, Reason.TABLE_CLASHES, "not the model's columns"
        )
        return build_matrix(Site(table), self.fit.moments.terms)

    def _to_outcome(self, predictor: Floats) -> Floats:
        middle, half = get_outcome_range(self.schema.outcome)
        return middle + half * FAMILIES[self.fit.family].compute_mean(predictor)

    def _cut(self, forecasts: Floats) -> Floats:
        return cut_forecasts(self.schema.outcome, forecasts)

    def _gather(self, row: list[float]) -> dict[str, float]:
        gathered: dict[str, float] = {}
        for term, added in zip(self.fit.moments.terms, row[1:], strict=True):
            gathered[term.column] = gathered.get(term.column, 0.0) + added
        return gathered
