"""Valid examples of everything that comes from outside, for mutation; made once, in a home of its own."""

from pathlib import Path

import pytest

from iamata.node.exports import write_export
from iamata.node.home import open_home
from iamata.testing.short_story import tell_short_story


@pytest.fixture(scope="session")
def fuzz_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home in which the demo's story was told, and its export beside it. Read only."""
    path = tmp_path_factory.mktemp("fuzz") / "home"
    with pytest.MonkeyPatch.context() as patch:
        tell_short_story(path, patch.setattr)
    with open_home(path) as home:
        write_export(path.with_name("export"), home.engine.genesis, home.engine.read_blocks())
    return path
