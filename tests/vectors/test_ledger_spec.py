"""Every numbered rule of the ledger is cited by a vector or a test, and every citation names a rule."""

import re
from pathlib import Path

import msgspec

from iamata.model.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
RULE = re.compile(r"^- \*\*(LED-[A-Z]+-\d+)\*\* ", re.MULTILINE)
CITED = re.compile(r"LED-[A-Z]+-\d+")
WORD = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")


def list_rules() -> list[str]:
    return RULE.findall((ROOT / "spec" / "ledger.md").read_text(encoding="utf-8"))


def list_citations() -> set[str]:
    found = set()
    for path in (ROOT / "vectors" / "ledger").rglob("*.json"):
        found.update(msgspec.json.decode(path.read_bytes())["spec"])
    for path in (ROOT / "tests").rglob("test_*.py"):
        found.update(CITED.findall(path.read_text(encoding="utf-8")))
    return found


def test_every_rule_is_numbered_once() -> None:
    rules = list_rules()

    assert len(rules) == len(set(rules)) > 0


def test_every_rule_is_cited_by_a_vector_or_a_test() -> None:
    assert set(list_rules()) - list_citations() == set()


def test_every_citation_names_a_rule() -> None:
    assert list_citations() - set(list_rules()) == set()


def test_every_reason_that_the_spec_names_exists() -> None:
    text = (ROOT / "spec" / "ledger.md").read_text(encoding="utf-8")

    assert set(WORD.findall(text)) <= {reason.name for reason in Reason}
