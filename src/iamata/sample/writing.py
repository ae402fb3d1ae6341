"""Lay a sample out in a folder, a folder for each hospital; all of it appears at once, or nothing does."""

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias

from iamata.model.reasons import Reason, Refused, require
from iamata.sample.generating import (
    DEFAULT_HOSPITALS,
    DEFAULT_OVERLAP_PERCENT,
    DEFAULT_YEARS,
    Part,
    encode_resource,
    generate,
)

Form: TypeAlias = Literal["bundles", "ndjson"]
"""One bundle a file for each patient, or one file for each type of resource with one resource a line."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_FOLDER_MODE: Final = 0o755


@dataclass(slots=True)
class Written:
    """How much there is in the folder, or so far."""

    patients: int = 0
    records: int = 0
    """Patients counted once at each hospital that knows them."""
    resources: int = 0
    size_bytes: int = 0


def write_sample(  # noqa: PLR0913  the knobs of the command, each by its name
    folder: Path,
    *,
    seed: int,
    patients: int,
    hospitals: int = DEFAULT_HOSPITALS,
    years: int = DEFAULT_YEARS,
    overlap_percent: int = DEFAULT_OVERLAP_PERCENT,
    form: Form = "bundles",
    report: Callable[[Written], None] | None = None,
) -> Written:
    """Write a sample into a folder that is new or empty, and tell `report` after each part."""
    require(form in ("bundles", "ndjson"), Reason.INPUT_INVALID, "form must be bundles or ndjson")
    parts = generate(seed, patients, hospitals, years=years, overlap_percent=overlap_percent)
    write = _write_bundle if form == "bundles" else _append_lines
    written = Written()
    with _make_folder(folder.resolve()) as made, ExitStack() as files:
        opened: dict[Path, BinaryIO] = {}
        last_patient: int | None = None
        for part in parts:
            house = made / f"hospital-{part.hospital.number}"
            house.mkdir(exist_ok=True)
            written.size_bytes += write(house, part, opened, files)
            written.resources += len(part.resources)
            written.records += part.patient is not None
            written.patients += part.patient != last_patient
            last_patient = part.patient
            if report is not None:
                report(written)
    return written


@contextmanager
def _make_folder(folder: Path) -> Iterator[Path]:
    """Lend a folder beside the wanted one, and put it there when all has gone well."""
    try:
        is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        require(not is_taken, Reason.HOME_ALREADY_EXISTS, "the folder is not empty")
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise _refuse(error) from error
    try:
        yield partial
        partial.chmod(_FOLDER_MODE)
        # Renaming onto an empty folder replaces it; onto one that was filled meanwhile, it fails.
        partial.rename(folder)
    except OSError as error:
        raise _refuse(error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse(error: OSError) -> Refused:
    if error.errno in _FULL:
        return Refused(Reason.STORAGE_FULL)
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
        return Refused(Reason.HOME_ALREADY_EXISTS, "the folder is not empty")
    return Refused(Reason.INPUT_INVALID, "the folder cannot be written")


def _write_bundle(house: Path, part: Part, _opened: dict[Path, BinaryIO], _files: ExitStack) -> int:
    return (house / f"{part.name}.json").write_bytes(part.encode_bundle() + b"\n")


def _append_lines(house: Path, part: Part, opened: dict[Path, BinaryIO], files: ExitStack) -> int:
    size_bytes = 0
    for resource in part.resources:
        path = house / f"{resource['resourceType']}.ndjson"
        if path not in opened:
            opened[path] = files.enter_context(path.open("wb"))
        size_bytes += opened[path].write(encode_resource(resource) + b"\n")
    return size_bytes
