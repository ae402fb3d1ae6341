"""UCI Heart Disease at its four hospitals, prepared and split as FLamby does (fed_heart_disease).

Janosi, Steinbrunn, Pfisterer, Detrano (1988), CC BY 4.0. Ten attributes without missing values, 740 rows;
the outcome is any disease (a number above 0). FLamby keeps 66 % of each hospital for training.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.learning.tables import Table, parse_table

FOLDER: Final = Path(__file__).resolve().parents[2] / "shared" / "data" / "heart-disease"
MD5: Final = {
    "cleveland": "2d91a8ff69cfd9616aa47b59d6f843db",
    "hungarian": "22e96bee155b5973568101c93b3705f6",
    "switzerland": "9a87f7577310b3917730d06ba9349e20",
    "va": "4249d03ca7711e84f4444768c9426170",
}
SIZES: Final = {"cleveland": (199, 104), "hungarian": (172, 89), "switzerland": (30, 16), "va": (85, 45)}
FLAMBY_SEED: Final = 43
TRAIN_FRACTION: Final = 0.66

BOUNDS: Final = {
    "age": {"low": 35.0, "high": 75.0},
    "trestbps": {"low": 90.0, "high": 170.0},
    "chol": {"low": 60.0, "high": 380.0},
    "thalach": {"low": 90.0, "high": 190.0},
    "oldpeak": {"low": -1.2, "high": 3.2},
}
"""About what adults in a cardiology department have: from general knowledge, and near these rows' means
and two standard deviations all the same, so `WIDE` does without."""
SCHEMA: Final = Schema(
    columns=(
        Numeric(name="age", low=18, high=100, missing="refuse"),  # years
        Categorical(name="sex", categories=("0", "1"), missing="refuse"),
        Categorical(name="cp", categories=("1", "2", "3", "4"), missing="refuse"),
        Numeric(name="trestbps", low=0, high=300, missing="refuse"),  # mm Hg; one 0 means not measured
        Numeric(name="chol", low=0, high=700, missing="refuse"),  # mg/dl; 0 means not measured
        Categorical(name="fbs", categories=("0", "1"), missing="refuse"),
        Categorical(name="restecg", categories=("0", "1", "2"), missing="refuse"),
        Numeric(name="thalach", low=30, high=250, missing="refuse"),  # beats a minute
        Categorical(name="exang", categories=("0", "1"), missing="refuse"),
        Numeric(name="oldpeak", low=-5, high=10, missing="refuse"),  # mm
    ),
    outcome=Outcome(name="disease"),
)
"""FLamby leaves a 0 for what was not measured as it is, and so do we, to be comparable."""


def _clip(bounds: Mapping[str, Mapping[str, float]]) -> Schema:
    """Return the columns with public bounds to which values are clipped; none is ever refused."""
    columns = tuple(
        msgspec.structs.replace(
            column,
            missing="mean",
            outside="missing" if isinstance(column, Categorical) else "clip",
            **bounds.get(column.name, {}),
        )
        for column in SCHEMA.columns
    )
    return msgspec.structs.replace(SCHEMA, columns=columns)


CLIPPED: Final = _clip(BOUNDS)
"""For differential privacy, by somebody who knows what such patients have."""
WIDE: Final = _clip({})
"""For differential privacy, by somebody who knows only what is possible at all."""


def load_hospitals(folder: Path = FOLDER, schema: Schema = SCHEMA) -> dict[str, Table]:
    """Read the four hospitals' complete rows, or fail where a file is not the one that FLamby pins."""
    return {name: _load(folder / f"processed.{name}.data", name, schema) for name in MD5}


def split_as_flamby(table: Table, seed: int = FLAMBY_SEED) -> tuple[Table, Table]:
    """Split one hospital into FLamby's training and test rows, stratified by the outcome where that can be.

    `seed` 43 is FLamby's own split; others give splits of the same sizes.
    """
    classes, counts = np.unique(table.outcome, return_counts=True)
    is_stratified = len(classes) > 1 and bool((counts > 2).all())  # noqa: PLR2004  FLamby's condition
    _, test = train_test_split(
        np.arange(len(table)),
        test_size=1.0 - TRAIN_FRACTION,
        train_size=TRAIN_FRACTION,
        random_state=seed,
        shuffle=True,
        stratify=table.outcome if is_stratified else None,
    )
    chosen: NDArray[np.bool_] = np.isin(np.arange(len(table)), test)
    return table.select(~chosen), table.select(chosen)


def split_all(hospitals: dict[str, Table], seed: int) -> Iterator[tuple[Table, Table]]:
    """Split each hospital with one seed."""
    for name, table in hospitals.items():
        train, test = split_as_flamby(table, seed)
        if (len(train), len(test)) != SIZES[name]:
            message = f"{name} was not split in FLamby's sizes"
            raise RuntimeError(message)
        yield train, test


def _load(path: Path, name: str, schema: Schema) -> Table:
    raw = path.read_bytes()
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != MD5[name]:
        message = f"{path.name} is not the file that FLamby pins"
        raise RuntimeError(message)
    lines = [line.split(",") for line in raw.decode().splitlines() if line]
    kept = [line for line in lines if "?" not in (*line[:10], line[13])]
    columns: dict[str, list[float | str]] = {
        column.name: [_spell(line[place], is_word=isinstance(column, Categorical)) for line in kept]
        for place, column in enumerate(schema.columns)
    }
    columns["disease"] = [float(float(line[13]) > 0) for line in kept]
    return parse_table(schema, columns, [f"{name}-{number}" for number in range(len(kept))])


def _spell(cell: str, *, is_word: bool) -> float | str:
    return str(int(float(cell))) if is_word else float(cell)
