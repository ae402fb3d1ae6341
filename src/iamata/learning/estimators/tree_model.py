"""What boosted trees say of a row: a probability, what happened to rows like it, and what it rests on."""

from typing import Final

import msgspec
import numpy as np

from iamata.learning.estimators.boosting import Boosted
from iamata.learning.estimators.families import expit
from iamata.learning.estimators.predictions import Prediction
from iamata.learning.estimators.tree import score_trees
from iamata.learning.estimators.unlearned import Unlearned, find_unlearned
from iamata.learning.evaluation.calibration import Calibration
from iamata.learning.schemas import Schema
from iamata.learning.tables import Floats, Table
from iamata.model.reasons import Reason, require

OTHERS: Final = "a category that no split names"
HIGHEST: Final = "a number above every cut"


class TreeModel(msgspec.Struct, frozen=True, kw_only=True, tag="trees"):
    """Boosted trees: everything that a prediction needs."""

    schema: Schema
    boosted: Boosted
    calibration: tuple[Calibration, ...] = ()
    """What happened to those who were kept out of training, by their log-odds."""

    def predict(self, table: Table) -> Floats:
        """Return the probability of yes of each row."""
        return expit(self._score(table))

    def explain(self, table: Table) -> list[Prediction]:
        """Return for each row the probability, an interval, and what each column's splits add.

        The interval is that of what happened to the patients kept out whose scores were like the row's; it
        need not hold the probability, and is 0 to 1 where the model was not evaluated.
        """
        scores = self._score(table)
        added: dict[str, Floats] = {}
        offset = self.boosted.offset + sum(tree.nodes[0].value for tree in self.boosted.trees)
        for tree in self.boosted.trees:
            for column, values in tree.attribute(table).items():
                added[column] = added.get(column, np.zeros(len(table))) + values
        unlearned = find_unlearned(table, self.list_unlearned())
        rows = zip(expit(scores).tolist(), scores.tolist(), unlearned, range(len(table)), strict=True)
        return [
            msgspec.structs.replace(
                self._describe(value, score, offset, _pick(added, row)), unlearned=taken
            )
            for value, score, taken, row in rows
        ]

    def list_unlearned(self) -> Unlearned:
        """List the categories, and the lacks of a value, that few in training had, or nobody."""
        return {
            (column, kind): OTHERS if self.schema.list_categories(column) else HIGHEST
            for column, kind in self.boosted.unlearned
        }

    def _score(self, table: Table) -> Floats:
        require(
            table.schema.columns == self.schema.columns, Reason.TABLE_CLASHES, "not the model's columns"
        )
        return score_trees(table, self.boosted.offset, self.boosted.trees)

    def _describe(
        self, value: float, score: float, offset: float, contributions: dict[str, float]
    ) -> Prediction:
        low, high = 0.0, 1.0
        for group in reversed(self.calibration):
            if score < group.up_to or group is self.calibration[-1]:
                low, high = group.observed.low, group.observed.high
        return Prediction(value=value, low=low, high=high, offset=offset, contributions=contributions)


def _pick(added: dict[str, Floats], row: int) -> dict[str, float]:
    return {column: float(values[row]) for column, values in added.items()}
