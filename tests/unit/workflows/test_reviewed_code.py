"""The code that a study was reviewed with has one name, and any other code another."""

import shutil
from importlib import resources
from pathlib import Path

import pytest

from iamata.workflows.reviewed_code import PACKAGES, compute_code_digest, name_code


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the sources as they are installed."""
    for name in PACKAGES:
        source = Path(str(resources.files("iamata"))) / name
        shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_same_sources_have_the_same_name_wherever_they_lie(copy: Path) -> None:
    assert name_code(copy) == compute_code_digest()


@pytest.mark.parametrize(
    "path",
    [
        "learning/summing.py",
        "workflows/run_rounds.py",
        "workflows/hiding.py",
        "fhir/views/paths.py",
        "crypto/shamir.py",
        "columns/files.py",
    ],
)
def test_one_changed_byte_gives_another_name(copy: Path, path: str) -> None:
    file = copy / path
    raw = file.read_bytes()
    file.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))

    assert name_code(copy) != compute_code_digest()


def test_a_file_more_or_elsewhere_gives_another_name(copy: Path) -> None:
    (copy / "learning" / "more.py").write_bytes(b"")
    more = name_code(copy)
    (copy / "learning" / "more.py").rename(copy / "learning" / "other.py")

    assert len({compute_code_digest(), more, name_code(copy)}) == 3
