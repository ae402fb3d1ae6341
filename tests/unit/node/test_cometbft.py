"""Which CometBFT is taken, and what somebody reads who has none or the wrong one."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from iamata.model.reasons import Reason, Refused
from iamata.node.cometbft import check_version, find_cometbft


@pytest.mark.parametrize("said", ["0.38.21", "0.38.25\n", "v0.38.25+abcdef", "0.38.30-dev"])
def test_line_0_38_is_taken(said: str) -> None:
    check_version(said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("1.0.1", r"v1\.0\.1 is of a line that was retracted"),
        ("2.3.4", "retracted"),
        ("0.38.20", r"v0\.38\.20 is not v0\.38\.21 or later"),
        ("0.37.9", "is not"),
        ("0.39.4", "is not"),
        ("", "does not say"),
        ("hello", "does not say"),
    ],
)
def test_another_line_is_refused_by_its_name(said: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        check_version(said)

    assert refused.value.reason is Reason.CONSENSUS_MISSING
    assert "make cometbft" in refused.value.detail


def test_where_there_is_none_the_message_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _move_to(tmp_path, monkeypatch)

    with pytest.raises(Refused, match=r"CONSENSUS_MISSING.*make cometbft"):
        find_cometbft()


def test_one_that_dies_at_once_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _move_to(tmp_path, monkeypatch)
    _write_program(tmp_path / "cometbft", "exit 3")

    with pytest.raises(Refused, match="does not start"):
        find_cometbft()


def test_one_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _move_to(tmp_path, monkeypatch)
    _write_program(tmp_path / "cometbft", "echo 0.38.22")

    assert find_cometbft() == tmp_path / "cometbft"


def test_the_one_that_make_builds_is_found(require_part: Callable[[str], Path]) -> None:
    assert find_cometbft() == require_part("cometbft")


def _move_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(folder / "elsewhere" / "python"))
    monkeypatch.setenv("PATH", str(folder))


def _write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o700)
