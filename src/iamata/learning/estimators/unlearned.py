"""What a model learned nothing of, for few patients had it or none, and what it takes it for."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from iamata.learning.estimators.design import read_term
from iamata.learning.tables import Table

Unlearned: TypeAlias = Mapping[tuple[str, str], str]
"""What it is taken for, in words, by column and category; "" is the lack of a value."""


def find_unlearned(table: Table, unlearned: Unlearned) -> list[dict[str, str]]:
    """Return of each row the columns that say what a model did not learn, and what that is taken for."""
    found: list[dict[str, str]] = [{} for _ in table.patients]
    for (name, category), taken in unlearned.items():
        is_there = read_term(table, table.schema.get_column(name), category) > 0
        for row in np.flatnonzero(is_there).tolist():
            found[row][name] = taken
    return found
