"""The demo's story on four real validators comes out as it is told, and verifies."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DEMO_S_MAX = 300


def run(*arguments: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", "from iamata.cli.main import main; main()", *arguments, "--json"]
    done = subprocess.run(  # noqa: S603  our own program
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=DEMO_S_MAX
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.slow
def test_the_whole_story_happens_between_four_processes(
    require_part: Callable[[str], Path], tmp_path: Path
) -> None:
    require_part("cometbft")

    told = run("demo", "--engine", "comet", "--home", "net", folder=tmp_path)

    assert told["refused_before_consent"]
    assert told["refused_after_withdrawal"]
    assert told["disclosure"]["records"] > 0
    assert told["emergency"]["records"] > 0
    assert told["accesses"]["listed"] == told["accesses"]["proven"] == 3
    first, second = told["study"]["models"]
    assert told["study"]["left"] == 10
    owner = ("--home", "net/lake-hospital")
    listed = {
        one["model"]: one["status"] for one in run("model", "list", *owner, folder=tmp_path)["models"]
    }
    assert listed == {first: "superseded", second: "current"}
    verified = run("model", "verify", second, *owner, folder=tmp_path)
    assert verified["holds"]
    assert verified["supersedes"] == first
    homes = run("verify", "net", folder=tmp_path)["homes"]
    assert len(homes) == 4
    assert {one["app_hash"] for one in homes.values()} == {told["app_hash"]}
    assert all(one["validators"] == 4 and one["faulty_max"] == 1 for one in homes.values())
