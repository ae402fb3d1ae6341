"""Find the documents in files, folders and archives, and open one after the other."""

import enum
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO, Final

import msgspec

from iamata.fhir.resources import compact
from iamata.intake.archives import Member, walk_tar, walk_zip
from iamata.intake.limits import Limits
from iamata.intake.progress import CountedFile, Progress
from iamata.intake.streams import Meter, broken_is_refused, unpack
from iamata.model.reasons import Reason, Refused, require


class Kind(enum.Enum):
    """What a name promises."""

    DOCUMENT = "json"
    LINES = "ndjson"
    TAR = "tar"
    ZIP = "zip"


class Source(msgspec.Struct, frozen=True):
    """One JSON document or one stream of lines. Read it before asking for the next one."""

    name: str
    kind: Kind
    stream: IO[bytes]


class Begun(msgspec.Struct, frozen=True):
    """A document that is read whole if it is short, and else as far as may lie in memory early."""

    source: Source
    start: bytes
    content: bytes | None
    """All of it, compact, where the start was all."""


class Unreadable(msgspec.Struct, frozen=True):
    """A file, or a member of an archive, that could not be opened."""

    name: str
    refused: Refused


BEGINNING_BYTES_MAX: Final = 4 * 2**20
"""What is read of a document while another one is in hand; Synthea's longest has 2.7 MiB."""

_PIECE_BYTES: Final = 256 * 1024
_CODECS: Final = {".gz": "gz", ".xz": "xz"}
_SHORT: Final = {".tgz": ".tar.gz", ".txz": ".tar.xz"}
_KINDS: Final = {
    ".json": Kind.DOCUMENT,
    ".ndjson": Kind.LINES,
    ".jsonl": Kind.LINES,
    ".tar": Kind.TAR,
    ".zip": Kind.ZIP,
}
_PACKED_KINDS: Final = (Kind.TAR, Kind.ZIP)


def read_sources(
    paths: Sequence[Path], *, limits: Limits, progress: Progress
) -> Iterator[Source | Unreadable]:
    """Open every document below the paths, in an order that is the same each time."""
    progress.bytes_total += sum(_measure(path) for path, _ in _list_files(paths))
    for path, is_named in _list_files(paths):
        kind, codec = _tell_kind(path.name)
        if kind is not None or is_named:
            try:
                yield from _read_file(path, kind, codec, limits=limits, progress=progress)
            except Refused as refused:
                yield Unreadable(name=_show(str(path)), refused=refused)
            progress.files_read += 1


def read_document(source: Source, limits: Limits) -> bytes:
    """Read a document whole, and drop the white space between its tokens."""
    return finish_document(Begun(source, b"", None), limits)


def begin_document(source: Source, limits: Limits) -> Begun:
    """Read a document's beginning, of which `finish_document` makes the whole."""
    size_bytes = min(BEGINNING_BYTES_MAX, limits.document_bytes_max) + 1
    start = _read_up_to(source.stream, size_bytes)
    if len(start) < size_bytes:
        return Begun(source, b"", compact(start))
    return Begun(source, start, None)


def finish_document(begun: Begun, limits: Limits) -> bytes:
    """Read the rest of a document, and drop the white space between its tokens."""
    if begun.content is not None:
        return begun.content
    rest_bytes_max = limits.document_bytes_max + 1 - len(begun.start)
    content = begun.start + _read_up_to(begun.source.stream, rest_bytes_max)
    require(len(content) <= limits.document_bytes_max, Reason.INPUT_TOO_LARGE)
    return compact(content)


def _read_up_to(stream: IO[bytes], size_bytes: int) -> bytes:
    """Read so many bytes, or all; by pieces, for a buffer of the largest size is fresh memory each time."""
    pieces: list[bytes] = []
    with broken_is_refused():
        while size_bytes and (piece := stream.read(min(size_bytes, _PIECE_BYTES))):
            pieces.append(piece)
            size_bytes -= len(piece)
    return b"".join(pieces)


def _read_file(
    path: Path, kind: Kind | None, codec: str, *, limits: Limits, progress: Progress
) -> Iterator[Source | Unreadable]:
    require(kind is not None or os.path.exists(path), Reason.FILE_NOT_FOUND)  # noqa: PTH110  a question only
    require(kind is not None, Reason.INPUT_INVALID, "neither JSON, NDJSON, tar nor zip")
    with _open(path, progress) as file:
        meter = Meter(_measure(path), limits)
        name = _show(str(path))
        if kind is Kind.TAR:
            yield from _read_members(name, walk_tar(file, codec, meter=meter, limits=limits), meter, limits)
        elif kind is Kind.ZIP:
            yield from _read_members(name, walk_zip(file, meter=meter, limits=limits), meter, limits)
        elif kind is not None:
            yield Source(name=name, kind=kind, stream=unpack(file, codec, meter=meter, limits=limits))


def _read_members(
    archive: str, members: Iterator[Member], meter: Meter, limits: Limits
) -> Iterator[Source | Unreadable]:
    for member, content in members:
        kind, codec = _tell_kind(member.rpartition("/")[2])
        name = f"{archive}!{_show(member)}"
        if isinstance(content, Refused):
            yield Unreadable(name=name, refused=content)
        elif kind in _PACKED_KINDS:
            yield Unreadable(
                name=name, refused=Refused(Reason.INPUT_INVALID, "an archive inside an archive")
            )
        elif kind is not None:
            stream = unpack(content, codec, meter=meter, limits=limits) if codec else content
            yield Source(name=name, kind=kind, stream=stream)


def _open(path: Path, progress: Progress) -> BinaryIO:
    """Open a plain file; a pipe or a device would make the import wait for ever."""
    try:
        require(stat.S_ISREG(path.stat().st_mode), Reason.CANNOT_OPEN, "not a file")
        return CountedFile(path.open("rb"), progress)  # type: ignore[return-value]
    except FileNotFoundError as error:
        raise Refused(Reason.FILE_NOT_FOUND) from error
    except OSError as error:
        raise Refused(Reason.CANNOT_OPEN) from error


def _list_files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """List files, each with whether it was named itself; links inside folders are not followed.

    A folder of one file a type holds its patients in `Patient….ndjson`: read first, nothing has to wait.
    """
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        for folder, folders, files in os.walk(path):
            folders.sort()
            for name in sorted(files, key=lambda name: (not name.startswith("Patient"), name)):
                file = Path(folder, name)
                if not file.is_symlink():
                    yield file, False


def _tell_kind(name: str) -> tuple[Kind | None, str]:
    """Read a name's last suffixes: what it holds, and how that is packed."""
    if name.startswith("._"):
        return None, ""  # what macOS leaves in archives
    path = Path(name.lower())
    path = path.with_suffix(_SHORT.get(path.suffix, path.suffix))
    codec = _CODECS.get(path.suffix, "")
    suffix = Path(path.stem).suffix if codec else path.suffix
    kind = _KINDS.get(suffix)
    return (None, "") if kind is Kind.ZIP and codec else (kind, codec)


def _measure(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _show(name: str) -> str:
    """Make a stranger's file name fit for a terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)
