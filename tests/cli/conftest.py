"""A stage for every test of the command line: set up once, copied for each."""

import shutil
from pathlib import Path

import pytest

from iamata.testing.stage import Stage, set_stage


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set a stage up once."""
    return set_stage(tmp_path_factory.mktemp("template")).folder


@pytest.fixture
def stage(template: Path, tmp_path: Path) -> Stage:
    """Return a stage of one's own."""
    shutil.copytree(template, tmp_path / "stage")
    return Stage(tmp_path / "stage")
