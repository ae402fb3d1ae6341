"""A home in which the demo's story was told once; every test that changes it works on a copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from iamata.node import demo

PATIENTS = 10


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the home after the story. Read only."""
    path = tmp_path_factory.mktemp("told") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SAMPLE_PATIENTS", PATIENTS)
        demo.run_demo(path, records=None, tell=lambda _: None)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(told: Path, tmp_path: Path) -> Path:
    """Return a copy of the home, to be damaged."""
    return Path(shutil.copytree(told, tmp_path / "home"))
