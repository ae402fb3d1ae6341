"""Write a table to a file, a batch at a time: whole in the end, or not there at all.

Until it is whole it lies beside its place, under another name. Whatever is written is health data, so only
its owner may read it.
"""

import contextlib
import csv
import errno
import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from iamata.columns.arrow import Columns, Values, make_batch, make_schema
from iamata.model.reasons import Reason, Refused, require

ROW_GROUP_ROWS: Final = 65_536
ROW_GROUP_BYTES: Final = 64 * 2**20
"""Parquet is written in groups of so many rows, or so many bytes: what waits in memory."""
PRIVATE_MODE: Final = 0o600
FORMATS: Final = (".parquet", ".csv", ".ndjson")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_NDJSON: Final = msgspec.json.Encoder(decimal_format="number")


class Sink(Protocol):
    """A file in one format."""

    def add(self, batch: pa.RecordBatch, values: Values) -> None:
        """Take in some rows: as Arrow has them, and as they came."""
        ...

    def finish(self) -> None:
        """Write what is still waiting."""
        ...

    def abandon(self) -> None:
        """Let go of the file, whatever is in it."""
        ...


class TableWriter:
    """A table that is being written."""

    def __init__(self, columns: Columns, schema: pa.Schema, sink: Sink) -> None:
        self.rows = 0
        self._columns = columns
        self._schema = schema
        self._sink = sink

    def check(self, values: Values) -> pa.RecordBatch:
        """Refuse a value that is not of its column's type."""
        return make_batch(self._columns, self._schema, values)

    def add(self, values: Values) -> None:
        """Add rows, given as columns; a value that is not of its column's type is refused."""
        batch = self.check(values)
        if batch.num_rows:
            self._sink.add(batch, values)
            self.rows += batch.num_rows


@contextlib.contextmanager
def open_table(path: Path, columns: Columns) -> Iterator[TableWriter]:
    """Open a new table whose format its name tells; whatever interrupts it, no part stays."""
    require(path.suffix in FORMATS, Reason.INPUT_INVALID, f"a table ends in {', '.join(FORMATS)}")
    require(not path.exists(), Reason.HOME_ALREADY_EXISTS, str(path))
    part = path.with_name(f".{path.name}.part")
    schema = make_schema(columns)
    try:
        with _open_private(part) as file:
            with _finishing(_make_sink(path.suffix, file, columns, schema)) as sink:
                yield TableWriter(columns, schema, sink)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except FileNotFoundError as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path.parent)) from error
    except OSError as error:
        reason = Reason.STORAGE_FULL if error.errno in _FULL else Reason.INPUT_INVALID
        raise Refused(reason, f"{path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _finishing(sink: Sink) -> Iterator[Sink]:
    """Finish what is written, or let go of it before its file closes."""
    try:
        yield sink
        sink.finish()
    except BaseException:
        with contextlib.suppress(OSError, ValueError, pa.ArrowException):  # what went wrong first is told
            sink.abandon()
        raise


def _open_private(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
    return os.fdopen(descriptor, "wb")


def _make_sink(suffix: str, file: IO[bytes], columns: Columns, schema: pa.Schema) -> Sink:
    if suffix == ".parquet":
        return _Parquet(file, schema)
    if suffix == ".ndjson":
        return _Lines(file, schema.names)
    for column, kind in columns:
        require(not kind.is_collection, Reason.INPUT_INVALID, f"{column.place}: CSV holds no collections")
    return _Csv(file, schema.names)


class _Parquet:
    """Parquet, compressed with zstd."""

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(file, schema, compression="zstd")
        self._schema = schema
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch, values: Values) -> None:
        del values
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= ROW_GROUP_ROWS or self._bytes >= ROW_GROUP_BYTES:
            self._write()

    def finish(self) -> None:
        self._write()
        self._writer.close()

    def abandon(self) -> None:
        self._writer.close()

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, schema=self._schema))
        self._waiting, self._rows, self._bytes = [], 0, 0


class _Lines:
    """NDJSON: every number as it was written."""

    def __init__(self, file: IO[bytes], names: Sequence[str]) -> None:
        self._file = file
        self._names = names

    def add(self, batch: pa.RecordBatch, values: Values) -> None:
        del batch
        rows = [dict(zip(self._names, row, strict=True)) for row in zip(*values, strict=True)]
        self._file.write(_NDJSON.encode_lines(rows))

    def finish(self) -> None:
        """Nothing waits."""

    def abandon(self) -> None:
        """Nothing is held."""


class _Csv:
    """CSV (RFC 4180) with a line of names; what is empty is an empty field."""

    def __init__(self, file: IO[bytes], names: Sequence[str]) -> None:
        self._text = _Utf8(file)
        self._writer = csv.writer(self._text)
        self._writer.writerow(names)

    def add(self, batch: pa.RecordBatch, values: Values) -> None:
        del batch
        self._writer.writerows([_spell(cell) for cell in row] for row in zip(*values, strict=True))

    def finish(self) -> None:
        """Nothing waits."""

    def abandon(self) -> None:
        """Nothing is held."""


class _Utf8:
    """What csv writes to: text, into a file of bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode("utf-8", "replace"))


def _spell(cell: Any) -> Any:  # noqa: ANN401  JSON
    if type(cell) is bool:
        return "true" if cell else "false"
    return format(cell, "f") if type(cell) is Decimal else cell
