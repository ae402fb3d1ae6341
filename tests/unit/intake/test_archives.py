"""Hostile and broken files are refused by name, and the rest of the import goes on."""

import gzip
import io
import lzma
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from iamata.intake.limits import Limits
from iamata.intake.pipeline import Problem, Unit, read_units
from iamata.intake.rules import load_rules
from iamata.model.reasons import Reason
from iamata.testing.known import EVERY_PATIENT

_RULES = load_rules()
_PATIENT = b'{"resourceType":"Patient","id":"p"}'


def _read(*paths: Path, limits: Limits | None = None) -> tuple[list[str], list[Problem]]:
    ids, problems = [], []
    for item in read_units(paths, known=EVERY_PATIENT, rules=_RULES, limits=limits):
        if isinstance(item, Unit):
            ids += [record.resource_id for record in item.prepared]
        else:
            problems.append(item)
    return ids, problems


def _patient(name: str) -> bytes:
    return _PATIENT.replace(b'"p"', f'"{name}"'.encode())


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def _info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def _reasons(problems: list[Problem]) -> list[Reason]:
    return [problem.reason for problem in problems]


@pytest.mark.parametrize(
    ("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.xz", "w:xz")]
)
def test_tars_are_read_however_they_are_packed(tmp_path: Path, suffix: str, mode: str) -> None:
    members = [
        (_info("a.json"), _patient("a")),
        (_info("d/", tarfile.DIRTYPE), b""),
        (_info("LICENSE"), b"text"),
    ]
    packed = (_info("d/b.ndjson.gz"), gzip.compress(_patient("b") + b"\n\n" + _patient("c")))
    path = _tar(tmp_path / f"x.{suffix}", *members, packed, mode=mode)
    assert _read(path) == (["a", "b", "c"], [])


def test_zips_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d/a.json", _patient("a"))
        archive.writestr("b.jsonl", _patient("b"))
    assert _read(path) == (["a", "b"], [])


@pytest.mark.parametrize(
    "bad",
    [
        _info("../x.json"),
        _info("/etc/x.json"),
        _info("a/../../x.json"),
        _info("C:\\x.json"),
        _info("x.json", tarfile.SYMTYPE, "/etc/passwd"),
        _info("x.json", tarfile.LNKTYPE, "a.json"),
        _info("x.json", tarfile.CHRTYPE),
        _info("x.json", tarfile.BLKTYPE),
        _info("x.json", tarfile.FIFOTYPE),
        _info("n" * 2_000 + ".json"),
    ],
)
def test_unsafe_members_of_a_tar_are_refused_and_the_rest_is_read(
    tmp_path: Path, bad: tarfile.TarInfo
) -> None:
    path = _tar(
        tmp_path / "x.tar", (_info("a.json"), _patient("a")), (bad, b""), (_info("b.json"), _patient("b"))
    )
    ids, problems = _read(path)
    assert ids == ["a", "b"]
    assert _reasons(problems) == [Reason.ARCHIVE_UNSAFE]


@pytest.mark.parametrize(
    ("name", "attributes"), [("../x.json", 0), ("/x.json", 0), ("x.json", 0o120777 << 16)]
)
def test_unsafe_members_of_a_zip_are_refused_and_the_rest_is_read(
    tmp_path: Path, name: str, attributes: int
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = attributes
        archive.writestr(info, _patient("x"))
        archive.writestr("b.json", _patient("b"))
    ids, problems = _read(path)
    assert ids == ["b"]
    assert _reasons(problems) == [Reason.ARCHIVE_UNSAFE]


def _bomb_of_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b" " * 40_000_000)


def _bomb_of_tar(path: Path) -> None:
    _tar(path, (_info("a.json"), b" " * 40_000_000), mode="w:xz")


def _bomb_of_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(b" " * 40_000_000))


@pytest.mark.parametrize(
    ("name", "make"), [("x.zip", _bomb_of_zip), ("x.tar.xz", _bomb_of_tar), ("x.json.gz", _bomb_of_gzip)]
)
def test_a_bomb_is_stopped_while_it_goes_off(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    ids, problems = _read(tmp_path / name)
    assert ids == []
    assert Reason.ARCHIVE_UNSAFE in _reasons(problems)


def test_a_member_that_is_too_large_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    path = _tar(
        tmp_path / "x.tar.gz",
        (_info("a.json"), os.urandom(9_000)),
        (_info("b.json"), _patient("b")),
        mode="w:gz",
    )
    ids, problems = _read(path, limits=Limits(document_bytes_max=1_000))
    assert ids == ["b"]
    assert _reasons(problems) == [Reason.INPUT_TOO_LARGE]


def test_a_long_header_takes_no_memory(tmp_path: Path) -> None:
    path = _tar(tmp_path / "x.tar", (_info("n" * 5_000_000), b""), (_info("b.json"), _patient("b")))
    assert _reasons(_read(path)[1]) == [Reason.ARCHIVE_UNSAFE]


def test_members_are_counted(tmp_path: Path) -> None:
    path = _tar(tmp_path / "x.tar", *[(_info(f"{n}.json"), _patient(f"{n}")) for n in range(4)])
    ids, problems = _read(path, limits=Limits(archive_members_max=3))
    assert ids == ["0", "1", "2"]
    assert _reasons(problems) == [Reason.ARCHIVE_UNSAFE]


def test_a_zip_with_a_large_directory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(40):
            archive.writestr(f"{number}.json", _patient(f"{number}"))
    assert _reasons(_read(path, limits=Limits(zip_directory_bytes_max=1_000))[1]) == [
        Reason.INPUT_TOO_LARGE
    ]


def test_an_xz_that_asks_for_much_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 256 * 2**20}]
    path.write_bytes(lzma.compress(_PATIENT, filters=filters))
    assert _reasons(_read(path)[1]) == [Reason.ARCHIVE_BROKEN]


def test_an_archive_inside_an_archive_is_reported(tmp_path: Path) -> None:
    path = _tar(tmp_path / "x.tar", (_info("a.zip"), b""), (_info("b.json"), _patient("b")))
    ids, problems = _read(path)
    assert ids == ["b"]
    assert [(problem.source, problem.reason) for problem in problems] == [
        (f"{path}!a.zip", Reason.INPUT_INVALID)
    ]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "zip", "json.gz", "json.xz", "ndjson.gz"])
def test_garbage_is_reported_and_the_rest_is_read(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(random.Random(7).randbytes(2_000))
    (tmp_path / "z.json").write_bytes(_PATIENT)
    ids, problems = _read(tmp_path)
    assert ids == ["p"]
    assert _reasons(problems) == [Reason.ARCHIVE_BROKEN]


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "zip", "json.gz", "ndjson.xz"])
def test_cut_and_flipped_archives_never_crash(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.json", _patient("a"))
            archive.writestr("ü.ndjson", _patient("b"))
    elif "tar" in suffix:
        mode = "w:" + suffix.removeprefix("tar").removeprefix(".")
        _tar(
            path, (_info("a.json"), _patient("a")), (_info("ü" * 90 + ".ndjson"), _patient("b")), mode=mode
        )
    else:
        path.write_bytes(gzip.compress(_PATIENT) if suffix.endswith("gz") else lzma.compress(_PATIENT))
    whole = path.read_bytes()
    chance = random.Random(suffix)
    for _ in range(150):
        flipped = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped[: chance.choice([len(flipped), chance.randrange(len(flipped))])])
        _read(path)


def test_missing_and_unusual_files_are_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "note.txt").write_text("hello")
    paths = [tmp_path / name for name in ("none.json", "pipe.json", "note.txt")]
    assert _reasons(_read(*paths)[1]) == [Reason.FILE_NOT_FOUND, Reason.CANNOT_OPEN, Reason.INPUT_INVALID]


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "outside.json").write_bytes(_PATIENT)
    (folder / "link.json").symlink_to(tmp_path / "outside.json")
    (folder / "loop").symlink_to(folder)
    assert _read(folder) == ([], [])


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    path = _tar(tmp_path / "x.tar", (_info("\x1b[31m\n.json"), b"{"))
    assert _read(path)[1][0].source == f"{path}!\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}.json"
