"""Read some columns of a table that somebody else made: CSV (RFC 4180, UTF-8, a line of names) or Parquet.

A file is foreign: its size, its rows and its cells have limits, and what is wrong with it is said by its
columns and lines, never by its values.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from iamata.model.reasons import Reason, Refused, require

FILE_BYTES_MAX: Final = 512 * 2**20
ROWS_MAX: Final = 2**20
COLUMNS_MAX: Final = 10_000
CELL_CHARACTERS_MAX: Final = 4_096
BATCH_ROWS: Final = 16_384
PLACES_TOLD_MAX: Final = 5
"""More rows are counted, and not listed."""

Cell: TypeAlias = float | int | str | None
Cells: TypeAlias = dict[str, list[Cell]]


class ReadTable(NamedTuple):
    """The columns of a file, and where its rows stand there."""

    cells: Cells
    word: str
    """What a row is called: a line, or a row."""
    places: Sequence[int]
    """Of each row, its first line in CSV, where the names are line 1; its number from 1 on in Parquet."""

    def tell_rows(self, rows: Sequence[int]) -> str:
        """Say where rows, counted from 0, stand in the file: the first few, and how many more."""
        told = [str(self.places[row]) for row in rows[:PLACES_TOLD_MAX]]
        more = [f"{len(rows) - len(told):,} more"] if len(rows) > len(told) else []
        *first, last = [*told, *more]
        return f"{self.word}s {', '.join(first)} and {last}" if first else f"{self.word} {last}"


def read_table(path: Path, names: Sequence[str]) -> ReadTable:
    """Read the columns of these names, or refuse a file that has not each of them just once.

    Empty cells are None; truth values are spelled true and false. Other columns are passed over.
    """
    readers: dict[str, Callable[[Path, Sequence[str]], ReadTable]] = {
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise Refused(Reason.INPUT_INVALID, f"a table ends in {' or '.join(readers)}")
    try:
        require(
            path.stat().st_size <= FILE_BYTES_MAX, Reason.INPUT_TOO_LARGE, f"{path}: 512 MiB are allowed"
        )
        return reader(path, names)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error


def _read_csv(path: Path, names: Sequence[str]) -> ReadTable:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return _read_lines(file, path, names)
        except UnicodeDecodeError as error:
            raise Refused(Reason.INPUT_INVALID, f"{path} is not UTF-8") from error
        except csv.Error as error:
            raise Refused(Reason.INPUT_INVALID, f"{path} is not CSV") from error


def _read_lines(file: IO[str], path: Path, names: Sequence[str]) -> ReadTable:
    lines = csv.reader(file, strict=True)
    header = next(lines, [])
    places = _find_places(header, path, names)
    cells: Cells = {name: [] for name in names}
    starts: list[int] = []
    end = lines.line_num
    for line in lines:
        first, end = end + 1, lines.line_num
        if not line:
            continue
        where = f"{path}, line {first}"
        require(len(line) == len(header), Reason.INPUT_INVALID, f"{where}: not as many cells as names")
        for name, place in places:
            cell = line[place]
            require(len(cell) <= CELL_CHARACTERS_MAX, Reason.INPUT_TOO_LARGE, f"{where}: {name}")
            cells[name].append(cell or None)
        starts.append(first)
        require(len(starts) <= ROWS_MAX, Reason.INPUT_TOO_LARGE, f"{path}: more than {ROWS_MAX} rows")
    return ReadTable(cells, "line", starts)


def _read_parquet(path: Path, names: Sequence[str]) -> ReadTable:
    try:
        with pq.ParquetFile(path) as file:
            _find_places(file.schema_arrow.names, path, names)
            _require_room(file, path)
            for name in names:
                kind = file.schema_arrow.field(name).type
                require(_is_plain(kind), Reason.INPUT_INVALID, f"{path}: {name} holds no numbers or words")
            cells: Cells = {name: [] for name in names}
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(names)):
                for name in names:
                    cells[name] += _spell(batch.column(name), f"{path}: {name}")
            return ReadTable(cells, "row", range(1, len(cells[names[0]]) + 1))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused(Reason.INPUT_INVALID, f"{path} is not Parquet") from error


def _find_places(header: Sequence[str], path: Path, names: Sequence[str]) -> list[tuple[str, int]]:
    require(len(header) <= COLUMNS_MAX, Reason.INPUT_TOO_LARGE, f"{path}: more than {COLUMNS_MAX} columns")
    missing = [name for name in names if name not in header]
    require(not missing, Reason.TABLE_CLASHES, f"{path} has no column {', '.join(missing)}")
    twice = [name for name in names if header.count(name) > 1]
    require(not twice, Reason.TABLE_CLASHES, f"{path} has two columns {', '.join(twice)}")
    return [(name, header.index(name)) for name in names]


def _require_room(file: pq.ParquetFile, path: Path) -> None:
    """Refuse what would unfold into more than a plain file may hold.

    The sizes of single columns are not asked for: where those are broken, pyarrow ends the process.
    """
    metadata = file.metadata
    require(metadata.num_rows <= ROWS_MAX, Reason.INPUT_TOO_LARGE, f"{path}: more than {ROWS_MAX} rows")
    unfolded = sum(metadata.row_group(one).total_byte_size for one in range(metadata.num_row_groups))
    require(unfolded <= FILE_BYTES_MAX, Reason.INPUT_TOO_LARGE, f"{path}: 512 MiB are allowed")


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    tests = (
        *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal),
        *(pa.types.is_string, pa.types.is_large_string, pa.types.is_null),
    )
    return any(test(kind) for test in tests)


def _spell(column: pa.Array, what: str) -> Iterator[Cell]:
    for value in column.to_pylist():
        require(
            not isinstance(value, str) or len(value) <= CELL_CHARACTERS_MAX, Reason.INPUT_TOO_LARGE, what
        )
        yield _simplify(value)


def _simplify(value: Any) -> Cell:  # noqa: ANN401  Arrow's
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return float(value)
    plain: Cell = None if value == "" else value
    return plain
