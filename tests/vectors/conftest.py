"""Vectors are written on request, and only where a file is missing."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "ledger"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to write the vectors that are missing."""
    parser.addoption(
        "--write-vectors",
        action="store_true",
        default=False,
        help="add missing files of vectors/; edit none",
    )


@pytest.fixture
def is_writing(request: pytest.FixtureRequest) -> bool:
    """Tell whether missing vectors are to be written."""
    return bool(request.config.getoption("--write-vectors", default=False))


@pytest.fixture
def vectors() -> Path:
    """Return the folder of the ledger's vectors."""
    return FOLDER
