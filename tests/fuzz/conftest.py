"""Valid examples of everything that comes from outside, for mutation; made once, in a home of its own."""

from pathlib import Path

import msgspec
import pytest

from iamata.node import demo, demo_study
from iamata.node.exports import write_export
from iamata.node.home import open_home


@pytest.fixture(scope="session")
def fuzz_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home in which the demo's story was told, and its export beside it. Read only."""
    path = tmp_path_factory.mktemp("fuzz") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SAMPLE_PATIENTS", 10)
        patch.setattr(demo_study, "PATIENTS", 20)
        everybody = msgspec.structs.replace(demo_study.PROTOCOL, holdout_percent=0)
        patch.setattr(demo_study, "PROTOCOL", everybody)  # of so few nobody can be kept out
        demo.run_demo(path, records=None, tell=lambda _: None)
    with open_home(path) as home:
        write_export(path.with_name("export"), home.engine.genesis, home.engine.read_blocks())
    return path
