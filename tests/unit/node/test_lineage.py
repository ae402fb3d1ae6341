"""Which older networks are trusted where no block shows how they went on."""

from pathlib import Path

import msgspec

from iamata.node.home import load_genesis
from iamata.node.lineage import list_geneses, list_proven, read_lineage


def test_without_blocks_a_predecessor_is_trusted_as_far_as_all_that_followed_is_proven(
    continued: Path,
) -> None:
    home = continued / "net" / "north-hospital"
    lineage = read_lineage(home, load_genesis(home))
    (ancestor,) = lineage.predecessors
    unproven = msgspec.structs.replace(ancestor, proofs=())

    assert list_proven(lineage) == list_geneses(lineage)
    for before, trusted in (((unproven,), 0), ((unproven, ancestor), 1), ((ancestor, unproven), 0)):
        assert len(list_proven(msgspec.structs.replace(lineage, predecessors=before))) == trusted
