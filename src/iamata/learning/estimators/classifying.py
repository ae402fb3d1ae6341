"""What estimators of yes or no have in common, in the manner of scikit-learn."""

from typing import Protocol

import numpy as np

from iamata.learning.tables import Floats, Integers, Table


class Predicts(Protocol):
    """A fitted model of yes or no."""

    def predict(self, table: Table) -> Floats:
        """Return the probability of yes of each row."""
        ...


class Classifier:
    """Asks the fitted model."""

    model_: Predicts

    def predict_proba(self, table: Table) -> Floats:
        """Return the probabilities of no and of yes, a row for each row."""
        yes = self.model_.predict(table)
        return np.column_stack([1.0 - yes, yes])

    def predict(self, table: Table) -> Integers:
        """Return 1 where yes is at least as likely as no, which is how an evaluation counts accuracy."""
        return (self.model_.predict(table) >= 0.5).astype(np.int64)  # noqa: PLR2004  the likelier of two
