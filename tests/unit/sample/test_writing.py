"""A sample appears in its folder whole, or not at all."""

import errno
import json
from pathlib import Path

import pytest

from iamata.model.reasons import Reason, Refused
from iamata.sample.generating import generate
from iamata.sample.writing import Written, write_sample


def test_bundles_are_laid_out_by_hospital(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "sample"
    written = write_sample(folder, seed=4, patients=6, hospitals=2)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))
    parts = list(generate(4, 6, 2))
    assert files == sorted(f"hospital-{part.hospital.number}/{part.name}.json" for part in parts)
    assert "hospital-1/information.json" in files
    for part in parts:
        path = folder / f"hospital-{part.hospital.number}" / f"{part.name}.json"
        assert path.read_bytes() == part.encode_bundle() + b"\n"
    assert written == Written(
        patients=6,
        records=len(parts) - 2,
        resources=sum(len(part.resources) for part in parts),
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*.json")),
    )


def test_lines_hold_the_same_resources_as_bundles(tmp_path: Path) -> None:
    write_sample(tmp_path / "lines", seed=4, patients=6, hospitals=2, form="ndjson")
    expected = {}
    for part in generate(4, 6, 2):
        for entry in json.loads(part.encode_bundle())["entry"]:
            expected[part.hospital.number, entry["request"]["url"]] = entry["resource"]
    found = {}
    for path in (tmp_path / "lines").rglob("*.ndjson"):
        for line in path.read_text().splitlines():
            resource = json.loads(line)
            assert resource["resourceType"] == path.stem
            hospital = int(path.parent.name.removeprefix("hospital-"))
            found[hospital, f"{path.stem}/{resource['id']}"] = resource
    assert found == expected


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_sample(tmp_path / "x", seed=1, patients=1)
    (tmp_path / "y").mkdir()
    write_sample(tmp_path / "y", seed=1, patients=1)
    assert len(list((tmp_path / "y").rglob("*.json"))) == len(list((tmp_path / "x").rglob("*.json")))


def test_a_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    with pytest.raises(Refused) as refused:
        write_sample(tmp_path, seed=1, patients=1)
    assert refused.value.reason is Reason.HOME_ALREADY_EXISTS
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Refused) as refused:
            write_sample(folder, seed=1, patients=1)
        assert refused.value.reason is Reason.HOME_ALREADY_EXISTS


def test_a_bad_argument_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        write_sample(tmp_path / "sample", seed=1, patients=0)
    assert refused.value.reason is Reason.INPUT_INVALID
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["bundles", "ndjson"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, form: str) -> None:
    def run_out(written: Written) -> None:
        if written.patients == 2:
            raise OSError(errno.ENOSPC, "no space left")

    with pytest.raises(Refused) as refused:
        write_sample(tmp_path / "sample", seed=1, patients=5, form=form, report=run_out)  # type: ignore[arg-type]
    assert refused.value.reason is Reason.STORAGE_FULL
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(_: Written) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "sample", seed=1, patients=5, report=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_progress_is_reported_after_each_part(tmp_path: Path) -> None:
    seen: list[int] = []
    write_sample(
        tmp_path / "s",
        seed=1,
        patients=5,
        hospitals=1,
        report=lambda written: seen.append(written.patients),
    )
    assert seen == [0, 1, 2, 3, 4, 5]
