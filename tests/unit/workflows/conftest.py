"""The scene of every use case."""

import pytest

from iamata.testing.scenes import Scene


@pytest.fixture
def scene() -> Scene:
    """Set the scene: Anna has four records at A, and has decided nothing."""
    return Scene.make()
