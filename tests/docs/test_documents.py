"""The documents hold together: links lead somewhere, every word is explained, decisions have one form."""

import re
from pathlib import Path
from typing import Final

import pytest

from documents import ROOT, find_documents, name_document

TERMS: Final = (
    "Access", "Anchor", "App hash", "Block", "Break-glass", "Commitment", "Consent", "Custodian",
    "Dataset", "Disclosure", "Emergency", "Engine", "Event", "Genesis", "Grant", "Height", "Home",
    "Key", "Label", "Ledger", "Log", "Member", "Model", "Network", "Node", "Opening", "Outbox", "Patient",
    "Permit", "Person", "Proposal", "Pseudonym", "Reason", "Receipt", "Record", "Refusal",
    "Restriction", "Role", "Run", "Share code", "State", "Study", "Take-over", "Terms",
    "Transaction", "Vault", "Wallet", "Withdrawal",
)  # fmt: skip
"""The words of the domain: used once, everywhere, and explained in one place."""

_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
_ADR_NAME: Final = re.compile(r"\d{4}-[a-z0-9-]+\.md")
_ADR_LINES_MAX: Final = 70


def read_glossary() -> list[str]:
    """Read the words that the glossary explains, in its order."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    return re.findall(r"^\*\*([^*]+)\*\*", text, re.MULTILINE)


def find_decisions() -> list[Path]:
    """List the architecture decision records."""
    return sorted((ROOT / "docs" / "adr").glob("*.md"))


@pytest.mark.parametrize("path", find_documents(), ids=name_document)
def test_every_link_leads_somewhere(path: Path) -> None:
    targets = _LINK.findall(path.read_text(encoding="utf-8"))

    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_glossary_explains_every_word_once() -> None:
    words = read_glossary()

    assert set(TERMS) - set(words) == set()
    assert len(words) == len(set(words))


def test_the_glossary_is_in_order() -> None:
    words = read_glossary()

    assert words == sorted(words, key=str.lower)


def test_decisions_are_numbered_without_a_gap() -> None:
    names = [path.name for path in find_decisions()]

    assert all(_ADR_NAME.fullmatch(name) for name in names)
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


@pytest.mark.parametrize("path", find_decisions(), ids=name_document)
def test_a_decision_says_context_choice_and_price_on_one_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Price"]
    assert text.count("\n") <= _ADR_LINES_MAX


def test_the_house_is_described_as_it_is_checked() -> None:
    layers = re.search(
        r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL
    )
    assert layers is not None
    packages = re.findall(r"[a-z]+", " ".join(re.findall(r'"([^"]+)"', layers[1])))
    house = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

    assert [package for package in packages if f"`{package}" not in house] == []
