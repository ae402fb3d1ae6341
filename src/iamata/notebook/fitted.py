"""A model on record, asked about rows of one's own in scikit-learn's manner.

All of it happens in this process: rows go nowhere, and nobody is told. Whoever asks about a patient whom
they treat takes `iamata model apply`, which the patient sees.
"""

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from iamata.learning.estimators.classifying import Classifier
from iamata.learning.estimators.design import Term
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import Model
from iamata.learning.tables import Floats, Integers
from iamata.model.ids import ModelId
from iamata.model.reasons import Reason, Refused, require
from iamata.notebook.refusals import speaking_class
from iamata.notebook.rows import read_inputs

INTERCEPT: Final = "(intercept)"
_NUMBERS: Final = ("coefficient", "low", "high", "mean", "spread")
COEFFICIENTS: Final = pa.schema(
    [*((name, pa.string()) for name in ("term", "column", "category"))]
    + [(name, pa.float64()) for name in _NUMBERS]
)


@speaking_class
@dataclass(frozen=True)
class Fitted:
    """A model that was read; the sites that trained it attested its file. It is no medical device.

    Rows are any library's data frame with the columns of the study; others are passed over.
    """

    model: ModelId
    model_: Model
    """The model itself, where the estimators have theirs."""

    def predict_proba(self, rows: Any) -> Floats:  # noqa: ANN401  any library's frame
        """Return the probabilities of no and of yes, a row for each row; refused of counts and numbers."""
        require(self._is_binary, Reason.INPUT_INVALID, "its outcome is not yes or no: predict")
        return self._classifier.predict_proba(read_inputs(rows, self.model_.schema))

    def predict(self, rows: Any) -> Integers | Floats:  # noqa: ANN401  any library's frame
        """Return 1 where yes is as likely as no or likelier; of a count or a number, what is expected."""
        asked = self._classifier if self._is_binary else self.model_
        return asked.predict(read_inputs(rows, self.model_.schema))

    def explain(self, rows: Any) -> pa.Table:  # noqa: ANN401  any library's frame
        """Return of each row what is expected, from where to where (95 %), and what each column adds.

        What columns add, they add to the linear predictor, which begins at `offset`. Where a count or a
        number would lie beyond its public bounds, value and interval are cut to them. `unlearned` names the
        columns that say what the model learned nothing of.
        """
        said = self.model_.explain(read_inputs(rows, self.model_.schema))
        numbers = {
            name: [getattr(one, name) for one in said] for name in ("value", "low", "high", "offset")
        }
        added = {
            f"adds_{column.name}": [one.contributions.get(column.name, 0.0) for one in said]
            for column in self.model_.schema.get_features()
        }
        cells = {name: pa.array(cells, pa.float64()) for name, cells in (numbers | added).items()}
        unlearned = pa.array([list(one.unlearned) for one in said], pa.list_(pa.string()))
        return pa.table({**cells, "unlearned": unlearned})

    def list_coefficients(self) -> pa.Table:
        """Return a regression's intercept, and its coefficients, each within its 95 % interval.

        A coefficient is per standard deviation, of a number in its own unit; `mean` and `spread` are those
        by which its term was standardised. The intercept has none, and is where all terms are at their
        means. What few patients had, or nobody, was not learned: its spread is 0, and it has no interval.
        Refused of trees and naive Bayes.
        """
        if not isinstance(self.model_, LinearModel):
            raise Refused(Reason.INPUT_INVALID, "only regressions have coefficients: explain")
        terms = self.model_.fit.moments.terms
        coefficients, reaches = self.model_.coefficients.tolist(), self.model_.reaches.tolist()
        named = [(INTERCEPT, None, None), *map(_name, terms)]
        scaled = [(None, None), *((term.mean, term.spread) for term in terms)]
        within = [
            (None, None) if spread == 0 else (value - far, value + far)
            for value, far, (_, spread) in zip(coefficients, reaches, scaled, strict=True)
        ]
        rows = [
            dict(zip(COEFFICIENTS.names, (*words, value, *interval, *scale), strict=True))
            for words, value, interval, scale in zip(named, coefficients, within, scaled, strict=True)
        ]
        return pa.Table.from_pylist(rows, schema=COEFFICIENTS)

    @property
    def _is_binary(self) -> bool:
        return self.model_.schema.outcome.kind == "binary"

    @property
    def _classifier(self) -> Classifier:
        classifier = Classifier()
        classifier.model_ = self.model_
        return classifier


def _name(term: Term) -> tuple[str, str, str | None]:
    """Name a term in words, and by its column and category ("" where it indicates a missing value)."""
    said = term.column if term.category is None else f"{term.column} is {term.category or 'missing'}"
    return said, term.column, term.category
