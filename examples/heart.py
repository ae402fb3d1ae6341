"""Learn who has heart disease from four hospitals, none of which shows a row to anybody.

    python examples/heart.py FOLDER

FOLDER holds UCI Heart Disease's four files `processed.*.data` (Janosi and others 1988, CC BY 4.0). The four
hospitals are simulated in this process; what is summed is what would travel between their nodes, and the
model is the same. `examples/heart_nodes.py` does it between real ones.
"""

import sys
from pathlib import Path

from iamata.learning.estimators.regression import LogisticRegression
from iamata.learning.evaluation.evaluating import Plan, evaluate
from iamata.learning.federations import Tables
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Cell, Table, parse_table

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
SCHEMA = Schema(
    columns=(
        Numeric(name="age", low=18, high=100),  # years
        Categorical(name="sex", categories=("0", "1")),  # 1: male
        Categorical(name="chest_pain", categories=("1", "2", "3", "4")),
        Numeric(name="pressure", low=0, high=300),  # mm Hg, at rest
        Numeric(name="cholesterol", low=0, high=700),  # mg/dl
        Categorical(name="fasting_sugar", categories=("0", "1")),  # 1: above 120 mg/dl
        Categorical(name="ecg", categories=("0", "1", "2")),
        Numeric(name="pulse_max", low=30, high=250),  # beats a minute
        Categorical(name="angina", categories=("0", "1")),  # under exercise
        Numeric(name="depression", low=-5, high=10),  # of ST, mm
    ),
    outcome=Outcome(name="disease"),
)
OUTCOME_COLUMN = 13
"""0 where no vessel is narrowed by half, else how many."""


def main(folder: Path) -> None:
    """Fit over all hospitals, say what the model is worth on every third patient, and what it rests on."""
    tables = [read_hospital(folder, name) for name in HOSPITALS]
    parts = [[number % 3 == 0 for number in range(len(table))] for table in tables]
    training = Tables([choose(table, part, kept=False) for table, part in zip(tables, parts, strict=True)])
    testing = Tables([choose(table, part, kept=True) for table, part in zip(tables, parts, strict=True)])

    fitted = LogisticRegression().fit(training)
    worth = testing.run(lambda: evaluate(fitted.model_.predict, "heart", Plan()))

    rows = sum(len(table) for table in training.tables)
    print(f"Learned from {rows} patients of {len(HOSPITALS)} hospitals in {fitted.n_iter_} sums.")
    area = worth.auroc
    print(f"On {worth.rows} others: AUROC {area.value:.3f} ({area.low:.3f} to {area.high:.3f}),", end=" ")
    print(f"accuracy {worth.accuracy:.3f}.")
    for term, coefficient in zip(fitted.model_.fit.moments.terms, fitted.coef_, strict=True):
        name = term.column if term.category is None else f"{term.column} is {term.category or 'missing'}"
        if coefficient:
            print(f"  {name:32} {coefficient:+.3f}")


def read_hospital(folder: Path, name: str) -> Table:
    """Read one hospital's table."""
    cells = read_cells(folder, name)
    return parse_table(SCHEMA, cells, [f"{name}-{number}" for number in range(len(cells["disease"]))])


def read_cells(folder: Path, name: str) -> dict[str, list[Cell]]:
    """Read the columns of one hospital's file; a question mark is a missing value."""
    lines = [line.split(",") for line in (folder / f"processed.{name}.data").read_text().splitlines()]
    cells: dict[str, list[Cell]] = {
        column.name: [read_cell(line[place], column) for line in lines]
        for place, column in enumerate(SCHEMA.columns)
    }
    return cells | {"disease": [float(float(line[OUTCOME_COLUMN]) > 0) for line in lines]}


def read_cell(text: str, column: Categorical | Numeric) -> Cell:
    """Read one value as its column wants it."""
    if text == "?":
        return None
    return str(int(float(text))) if isinstance(column, Categorical) else float(text)


def choose(table: Table, part: list[bool], *, kept: bool) -> Table:
    """Return the rows that are kept for testing, or the others."""
    return table.without(
        [one for one, is_kept in zip(table.patients, part, strict=True) if is_kept is not kept]
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  the program, and its argument
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
