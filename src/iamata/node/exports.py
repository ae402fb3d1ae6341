"""A ledger in one file for an outsider: the genesis on the first line, then a block a line.

Where a network continues another, the genesis of that one is on the next line, and so on to the first.

Every line has one spelling. That whole blocks are missing from the end, no export can show by itself: its
reader compares height and app hash with what another member says.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Final

import msgspec

from iamata.ledger.blocks import StoredBlock
from iamata.ledger.genesis import Genesis, read_genesis
from iamata.ledger.misbehaviour import Misbehaviour
from iamata.ledger.succession import PREDECESSORS_MAX, check_lineage
from iamata.model.canonical import encode_struct
from iamata.model.reasons import Reason, Refused, require

LINE_BYTES_MAX: Final = 256 * 1024 * 1024
"""A block of the most transactions, each of the greatest size."""


class ExportedBlock(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A block as text: every part of it is printable."""

    height: int
    time_ms: int
    first_leaf: int
    header: str
    transactions: tuple[str, ...]
    leaves: tuple[str, ...]
    groups: tuple[int, ...] = ()
    misbehaviours: tuple[Misbehaviour, ...] = ()
    light: str = ""
    """Where validators order: their votes for this block."""


@dataclasses.dataclass(frozen=True, slots=True)
class Export:
    """An export that is being read."""

    genesis: Genesis
    predecessors: tuple[Genesis, ...]
    """Of the networks that it goes on from, oldest first."""
    blocks: Iterator[StoredBlock]
    lights: dict[int, bytes]
    """Light blocks by height, each from when its block is read until somebody takes it out."""


def find_no_light(_: int) -> bytes | None:
    """Find no votes, as where one signer orders."""
    return None


def write_export(
    path: Path,
    genesis: Genesis,
    blocks: Iterable[StoredBlock],
    *,
    predecessors: Sequence[Genesis] = (),
    find_light: Callable[[int], bytes | None] = find_no_light,
) -> int:
    """Write a new file, and return how many blocks it holds."""
    count = 0
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise Refused(Reason.HOME_ALREADY_EXISTS, str(path)) from error
    except OSError as error:
        raise Refused(Reason.STORAGE_FULL, f"{path}: {error.strerror}") from error
    with _removing_what_fails(path), file:
        for one in (genesis, *reversed(predecessors)):
            file.write(encode_struct(one) + b"\n")
        for block in blocks:
            file.write(encode_struct(_spell(block, find_light(block.height))) + b"\n")
            count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


@contextlib.contextmanager
def read_export(path: Path) -> Iterator[Export]:
    """Read an export block by block, or refuse it at the first line that is none."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise Refused(Reason.FILE_NOT_FOUND, f"{path}: {error.strerror}") from error
    with file:
        lineage, lights = _read_lineage(file), dict[int, bytes]()
        yield Export(
            genesis=lineage[-1],
            predecessors=lineage[:-1],
            blocks=_read_blocks(file, lights),
            lights=lights,
        )


def _read_lineage(file: BufferedReader) -> tuple[Genesis, ...]:
    """Read the genesis and those of the networks before, as many as name one; oldest first."""
    found = [_read_genesis(file, 1)]
    while found[0].continues is not None:
        require(len(found) <= PREDECESSORS_MAX, Reason.FAULT_FOUND, "the export has no first genesis")
        found.insert(0, _read_genesis(file, len(found) + 1))
    try:
        check_lineage(found)
    except Refused as refused:
        raise Refused(Reason.FAULT_FOUND, refused.detail) from refused
    return tuple(found)


def _read_genesis(file: BufferedReader, number: int) -> Genesis:
    try:
        return read_genesis(_read_line(file, f"the genesis, line {number} of the export,"))
    except Refused as refused:
        raise Refused(Reason.FAULT_FOUND, refused.detail) from refused


def _read_blocks(file: BufferedReader, lights: dict[int, bytes]) -> Iterator[StoredBlock]:
    number = 1
    while file.peek(1):
        what = f"block {number} of the export"
        block, light = _read_block(_read_line(file, what), what)
        if light:
            lights[block.height] = light
        yield block
        number += 1


def _read_block(line: bytes, what: str) -> tuple[StoredBlock, bytes]:
    """Read one line in its one spelling, so that no changed byte means the same."""
    try:
        block = _BLOCKS.decode(line)
        require(encode_struct(block) == line, Reason.FAULT_FOUND, f"{what} is spelled otherwise")
        stored = StoredBlock(
            height=block.height,
            time_ms=block.time_ms,
            first_leaf=block.first_leaf,
            header=block.header.encode("ascii"),
            transactions=tuple(one.encode("ascii") for one in block.transactions),
            leaves=tuple(one.encode("utf-8") for one in block.leaves),
            groups=block.groups,
            misbehaviours=block.misbehaviours,
        )
        return stored, block.light.encode("ascii")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused(Reason.FAULT_FOUND, f"{what} cannot be read") from error


def _read_line(file: BufferedReader, what: str) -> bytes:
    line = file.readline(LINE_BYTES_MAX)
    require(len(line) < LINE_BYTES_MAX, Reason.INPUT_TOO_LARGE, what)
    require(line.endswith(b"\n"), Reason.FAULT_FOUND, f"{what} is cut off")
    return line[:-1]


@contextlib.contextmanager
def _removing_what_fails(path: Path) -> Iterator[None]:
    """Leave no half of an export behind: it would verify as a shorter ledger."""
    try:
        yield
    except BaseException as failure:
        path.unlink(missing_ok=True)
        if isinstance(failure, OSError):
            raise Refused(Reason.STORAGE_FULL, f"{path}: {failure.strerror}") from failure
        raise


def _spell(block: StoredBlock, light: bytes | None) -> ExportedBlock:
    try:
        return ExportedBlock(
            height=block.height,
            time_ms=block.time_ms,
            first_leaf=block.first_leaf,
            header=block.header.decode("ascii"),
            transactions=tuple(one.decode("ascii") for one in block.transactions),
            leaves=tuple(one.decode("utf-8") for one in block.leaves),
            groups=block.groups,
            misbehaviours=block.misbehaviours,
            light="" if light is None else light.decode("ascii"),
        )
    except UnicodeDecodeError as error:
        raise Refused(Reason.HOME_CORRUPT, f"block {block.height}") from error


_BLOCKS: Final = msgspec.json.Decoder(ExportedBlock)
