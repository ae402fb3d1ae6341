"""What a researcher declares before a study is proposed, and what they are told when it is refused."""

from pathlib import Path

import msgspec
import pytest

from iamata.cli.main import run
from iamata.model.reasons import Reason
from iamata.testing.learning import write_protocol
from iamata.wire.sentences import SENTENCES


def propose(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Propose without having declared anything; return all that is printed."""
    asked = (
        "--home",
        folder / "none",
        "--wallet",
        folder / "none",
        "--sites",
        "east,north,south",
        "--until",
        "2026-12-01",
    )
    codes = ("--purpose", "research", "--use", "DUO:0000006")
    assert run([str(one) for one in ("study", "propose", folder / "protocol.json", *asked, *codes)]) != 0
    said = capsys.readouterr()
    return said.out + said.err


def test_all_five_kinds_of_prohibited_use_are_declared_against(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "protocol.json").write_bytes(msgspec.json.encode(write_protocol()))

    said = propose(tmp_path, capsys)

    for words in (
        "detriment",
        "job offers",
        "less favourable",
        "credit",
        "marketing",
        "addictive",
        "ethics",
    ):
        assert words in said


def test_a_protocol_is_checked_before_anybody_declares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "protocol.json").write_text("{}")

    said = propose(tmp_path, capsys)

    assert "article 54" not in said
    assert "title" in said


def test_refused_reviews_are_told_in_words_that_fit_studies_and_emergencies() -> None:
    sentences = {reason: said for by in SENTENCES.values() for reason, said in by.items()}

    for reason in (Reason.ALREADY_REVIEWED, Reason.REVIEWER_NOT_INDEPENDENT):
        assert "emergency" not in sentences[reason]
        assert "custodian" not in sentences[reason]
