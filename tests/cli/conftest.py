"""A stage for every test of the command line: set up once, copied for each."""

import shutil
from pathlib import Path

import pytest

from asking_story import PATIENTS as ASKED
from asking_story import AskingStory
from iamata.testing.stage import Stage, set_stage
from iamata.testing.study_stage import set_study_stage
from learning_story import PATIENTS, LearningStory


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set a stage up once."""
    return set_stage(tmp_path_factory.mktemp("template")).folder


@pytest.fixture
def stage(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Return a stage of one's own, in a short path: the system allows a socket's name 107 characters."""
    folder = tmp_path_factory.mktemp("own") / "stage"
    shutil.copytree(template, folder)
    return Stage(folder)


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> LearningStory:
    """Tell a study's story once."""
    return LearningStory(set_study_stage(tmp_path_factory.mktemp("study"), PATIENTS)).tell()


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> AskingStory:
    """Ask a study's patients once."""
    return AskingStory(set_study_stage(tmp_path_factory.mktemp("asking"), ASKED)).tell()
