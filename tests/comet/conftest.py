"""A validator on its own, under a CometBFT that is played."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iamata.testing.validator import ValidatorTown


@pytest.fixture
def town(tmp_path: Path) -> Iterator[ValidatorTown]:
    """Found a network of one validator, and close what it opened."""
    town = ValidatorTown(tmp_path)
    yield town
    town.close()
