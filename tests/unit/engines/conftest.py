"""A fresh town for each test of the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iamata.testing.town import Town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """Found a town, and close what it opened."""
    town = Town(tmp_path)
    yield town
    town.close()
