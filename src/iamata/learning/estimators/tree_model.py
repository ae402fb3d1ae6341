"""What boosted trees say of a row: a probability, what happened to rows like it, and what it rests on."""

import msgspec
import numpy as np

from iamata.learning.estimators.boosting import Boosted
from iamata.learning.estimators.families import expit
from iamata.learning.schemas import Schema
from iamata.learning.tables import Floats, Table
from iamata.model.reasons import Reason, require


class TreeModel(msgspec.Struct, frozen=True, kw_only=True, tag="trees"):
    """Boosted trees: everything that a prediction needs."""

    schema: Schema
    boosted: Boosted

    def predict(self, table: Table) -> Floats:
        """Return the probability of yes of each row."""
        require(
            table.schema.columns == self.schema.columns, Reason.TABLE_CLASHES, "not the model's columns"
        )
        scores = np.full(len(table), self.boosted.offset)
        for tree in self.boosted.trees:
            scores = scores + tree.predict(table)
        return expit(scores)
