"""A custody on disk, in a home that lives as long as the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from iamata.testing.entropy import SeededEntropy
from iamata.testing.vault_samples import open_home
from iamata.vault.custody import Custody


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Name the folder of one member."""
    return tmp_path / "members" / "st-marien"


@pytest.fixture
def custody(home: Path) -> Iterator[Custody]:
    """Open a custody over files, and close it in the end."""
    custody, stores = open_home(home, SeededEntropy("vault"))
    yield custody
    stores.close()
