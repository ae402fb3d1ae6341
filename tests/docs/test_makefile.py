"""The Makefile offers what the documents promise."""

import re
from typing import Final

from documents import ROOT, find_documents

TARGETS: Final = ("demo", "test", "lint", "types", "bench", "lock", "cometbft", "abci-stubs", "clean")


def read_targets() -> set[str]:
    """Read the targets that the Makefile explains."""
    return set(
        re.findall(r"^([a-z-]+):.*  ## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_the_makefile_has_every_target() -> None:
    assert read_targets() >= set(TARGETS)


def test_documents_name_only_targets_that_exist() -> None:
    named = {
        target
        for path in find_documents()
        for target in re.findall(
            r"`make ([a-z-]+)|^\$ make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    }

    assert {word for pair in named for word in pair if word} - read_targets() == set()
