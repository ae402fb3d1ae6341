"""Walk through tar and zip archives one member at a time; nothing is ever written to the disk.

What an honest archive of records does not hold is refused: links, devices, names that climb out.
"""

import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, BinaryIO, Final

from iamata.intake.limits import Limits
from iamata.intake.streams import Meter, broken_is_refused, unpack
from iamata.model.reasons import Reason, Refused, require

Member = tuple[str, IO[bytes] | Refused]
"""A member's name, and its bytes or why it is refused. Read it before asking for the next one."""

_END_OF_DIRECTORY: Final = struct.Struct("<4s4H2LH")
_END_MARK: Final = b"PK\x05\x06"
_END_COMMENT_MAX: Final = 65_535
_ZIP64_MARK: Final = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES: Final = 20
_ZIP64_RECORD_BYTES: Final = 56
_ZIP64_SIZE_AT: Final = 40
_TAIL_BYTES: Final = _END_OF_DIRECTORY.size + _ZIP64_LOCATOR_BYTES + _ZIP64_RECORD_BYTES
_ENCRYPTED: Final = 0x1
_UNSAFE: Final = "a link, a device or an unsafe name"


def walk_tar(packed: BinaryIO, codec: str, *, meter: Meter, limits: Limits) -> Iterator[Member]:
    """Yield the files of a tar, packed or not, as a stream."""
    stream = unpack(packed, codec, meter=meter, limits=limits)
    meter.allow(limits.archive_header_bytes_max)
    with broken_is_refused(), tarfile.open(fileobj=stream, mode="r|") as archive:
        for count, member in enumerate(archive):
            require(count < limits.archive_members_max, Reason.ARCHIVE_UNSAFE, "too many members")
            require(member.size >= 0, Reason.ARCHIVE_BROKEN)
            meter.allow(member.size + limits.archive_header_bytes_max)
            archive.members = []  # type: ignore[attr-defined]  # the library would remember them all
            if not member.isdir():
                is_plain = member.isreg() and not member.issparse()
                content = (
                    archive.extractfile(member) if is_plain and is_safe_name(member.name, limits) else None
                )
                yield member.name, Refused(Reason.ARCHIVE_UNSAFE, _UNSAFE) if content is None else content


def walk_zip(packed: BinaryIO, *, meter: Meter, limits: Limits) -> Iterator[Member]:
    """Yield the files of a zip."""
    _check_directory(packed, limits)
    with broken_is_refused(), zipfile.ZipFile(packed) as archive:
        members = archive.infolist()
        require(len(members) <= limits.archive_members_max, Reason.ARCHIVE_UNSAFE, "too many members")
        for member in members:
            if not member.is_dir():
                yield member.filename, _open_zipped(archive, member, meter=meter, limits=limits)


def is_safe_name(name: str, limits: Limits) -> bool:
    """Tell whether a member's name stays inside the archive on every system."""
    path = PurePosixPath(name)
    is_plain = "\\" not in name and ":" not in name and "\0" not in name
    return (
        0 < len(name) <= limits.name_chars_max
        and is_plain
        and not path.is_absolute()
        and ".." not in path.parts
    )


def _open_zipped(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, meter: Meter, limits: Limits
) -> BinaryIO | Refused:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or not is_safe_name(member.orig_filename, limits):
        return Refused(Reason.ARCHIVE_UNSAFE, _UNSAFE)
    if member.flag_bits & _ENCRYPTED or member.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        return Refused(Reason.ARCHIVE_BROKEN, "encrypted, or packed in an unusual way")
    try:
        with broken_is_refused():
            return unpack(archive.open(member), "", meter=meter, limits=limits)
    except Refused as refused:
        return refused


def _check_directory(packed: BinaryIO, limits: Limits) -> None:
    """Refuse a directory that the library would read into memory whole, before it does."""
    size = packed.seek(0, io.SEEK_END)
    packed.seek(max(0, size - _END_COMMENT_MAX - _TAIL_BYTES))
    tail = packed.read()
    at = tail.rfind(_END_MARK)
    require(0 <= at <= len(tail) - _END_OF_DIRECTORY.size, Reason.ARCHIVE_BROKEN)
    directory_bytes = _END_OF_DIRECTORY.unpack_from(tail, at)[5]
    locator = at - _ZIP64_LOCATOR_BYTES
    if tail[max(0, locator) :].startswith(_ZIP64_MARK):
        require(locator >= _ZIP64_RECORD_BYTES, Reason.ARCHIVE_BROKEN)
        (directory_bytes,) = struct.unpack_from("<Q", tail, locator - _ZIP64_RECORD_BYTES + _ZIP64_SIZE_AT)
    require(
        directory_bytes <= limits.zip_directory_bytes_max, Reason.INPUT_TOO_LARGE, "the zip's directory"
    )
    packed.seek(0)
