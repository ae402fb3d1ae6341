"""A home in which the demo's story was told once; every test that changes it works on a copy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from iamata.model.ids import MemberId
from iamata.testing.short_story import tell_short_story
from iamata.testing.successors import go_on


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the home after the story. Read only."""
    path = tmp_path_factory.mktemp("told") / "home"
    with pytest.MonkeyPatch.context() as patch:
        tell_short_story(path, patch.setattr)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def continued(told: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the old home and, in `net`, those of the network that goes on. Read only."""
    folder = tmp_path_factory.mktemp("continued")
    shutil.copytree(told, folder / "old")
    go_on(folder / "old", folder / "net", orderer=MemberId("north-hospital"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def net(continued: Path, tmp_path: Path) -> Path:
    """Return a copy of the new homes, each with one member."""
    return Path(shutil.copytree(continued / "net", tmp_path / "net"))


@pytest.fixture
def home(told: Path, tmp_path: Path) -> Path:
    """Return a copy of the home, to be damaged."""
    return Path(shutil.copytree(told, tmp_path / "home"))
