"""A ledger in one file for an outsider: the genesis on the first line, then a block a line."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis, read_genesis
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused, require

LINE_BYTES_MAX: Final = 256 * 1024 * 1024
"""A block of the most transactions, each of the greatest size."""


class ExportedBlock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A block as text: every part of it is printable."""

    height: int
    time_ms: int
    first_leaf: int
    header: str
    transactions: tuple[str, ...]
    leaves: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Export:
    """An export that is being read."""

    genesis: Genesis
    blocks: Iterator[StoredBlock]


def write_export(path: Path, genesis: Genesis, blocks: Iterable[StoredBlock]) -> int:
    """Write a new file, and return how many blocks it holds."""
    count = 0
    try:
        with path.open("xb") as file:
            file.write(encode_struct(genesis) + b"\n")
            for block in blocks:
                file.write(encode_struct(_spell(block)) + b"\n")
                count += 1
    except FileExistsError as error:
        raise Refused(Reason.HOME_ALREADY_EXISTS, str(path)) from error
    except OSError as error:
        raise Refused(Reason.STORAGE_FULL, f"{path} could not be written") from error
    return count


@contextlib.contextmanager
def read_export(path: Path) -> Iterator[Export]:
    """Read an export block by block, or refuse it at the first line that is none."""
    try:
        with path.open("rb") as file:
            genesis = read_genesis(_read_line(file, "the genesis"))
            yield Export(genesis=genesis, blocks=_read_blocks(file))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error


def _read_blocks(file: BinaryIO) -> Iterator[StoredBlock]:
    number = 1
    while line := _read_line(file, f"block {number}"):
        try:
            block = _BLOCKS.decode(line)
            yield StoredBlock(
                height=block.height,
                time_ms=block.time_ms,
                first_leaf=block.first_leaf,
                header=block.header.encode("ascii"),
                transactions=tuple(one.encode("ascii") for one in block.transactions),
                leaves=tuple(one.encode("utf-8") for one in block.leaves),
            )
        except (ValueError, RecursionError) as error:
            raise Refused(Reason.FAULT_FOUND, f"block {number} of the export cannot be read") from error
        number += 1


def _read_line(file: BinaryIO, what: str) -> bytes:
    line = file.readline(LINE_BYTES_MAX)
    require(len(line) < LINE_BYTES_MAX, Reason.INPUT_TOO_LARGE, what)
    return line.removesuffix(b"\n")


def _spell(block: StoredBlock) -> ExportedBlock:
    return ExportedBlock(
        height=block.height,
        time_ms=block.time_ms,
        first_leaf=block.first_leaf,
        header=block.header.decode("ascii"),
        transactions=tuple(one.decode("ascii") for one in block.transactions),
        leaves=tuple(one.decode("utf-8") for one in block.leaves),
    )


_BLOCKS: Final = msgspec.json.Decoder(ExportedBlock)
