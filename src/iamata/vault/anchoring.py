"""Anchoring: a stretch of records or of journal entries goes under one Merkle root on the ledger.

An anchor is written down before the ledger hears of it, and settled when the ledger has it: after a crash
in between, the same anchor is submitted again under the same id.
"""

from typing import Final

import msgspec

from iamata.crypto.merkle import compute_root, hash_leaf, prove_inclusion, verify_inclusion
from iamata.model.ids import AnchorId, Digest, decode_digest, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Anchor, AnchoredStore
from iamata.vault.shelf import Shelf

LEAVES_MAX: Final = 65_536
"""Commitments under one anchor."""


class AnchorProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a commitment is one of those under an anchor, whose root and count are on the ledger."""

    anchor: AnchorId
    index: int
    count: int
    path: tuple[Digest, ...]


def plan_anchor(
    shelf: Shelf[AnchoredStore], anchor_id: AnchorId, *, leaves_max: int = LEAVES_MAX
) -> Anchor | None:
    """Write down an anchor over what no anchor covers yet, oldest first; None where there is nothing."""
    with shelf.lock:
        head, after = shelf.read_head(), read_anchored_until(shelf)
        stretch = []
        for leaf in shelf.store.read_commitments(after=after, last=head.last):
            stretch.append(leaf)
            if len(stretch) == min(leaves_max, LEAVES_MAX):
                break
        if not stretch:
            return None
        root = compute_root([hash_leaf(leaf.commitment) for leaf in stretch])
        anchor = Anchor(id=anchor_id, after=after, last=stretch[-1].sequence, root=root, count=len(stretch))
        shelf.store.add_anchor(anchor, head=shelf.encode_head(head))
        return anchor


def read_anchored_until(shelf: Shelf[AnchoredStore]) -> int:
    """Return the sequence number of the last row that an anchor covers."""
    settled = shelf.read_head().settled
    return max([settled, *(anchor.last for anchor in shelf.store.read_anchors(after=settled))])


def list_planned(shelf: Shelf[AnchoredStore]) -> list[Anchor]:
    """List the anchors that are not known to be on the ledger, in the order in which to submit them."""
    return list(shelf.store.read_anchors(after=shelf.read_head().settled))


def settle_anchor(shelf: Shelf[AnchoredStore], anchor: Anchor) -> None:
    """Remember that the ledger has an anchor, and thereby every earlier one."""
    with shelf.lock:
        head = shelf.read_head()
        if anchor.last > head.settled:
            shelf.store.write_head(shelf.encode_head(msgspec.structs.replace(head, settled=anchor.last)))


def prove_anchored(shelf: Shelf[AnchoredStore], sequence: int) -> AnchorProof:
    """Show that a row is under its anchor, or refuse while none covers it."""
    anchor = shelf.store.find_anchor(sequence)
    if anchor is None:
        raise Refused(Reason.NOT_FOUND, "no anchor covers it yet")
    return prove_under(shelf, anchor, [sequence])[sequence]


def prove_under(
    shelf: Shelf[AnchoredStore], anchor: Anchor, sequences: list[int]
) -> dict[int, AnchorProof]:
    """Show for several rows of one anchor that they are under it, reading its leaves once."""
    stretch = list(shelf.store.read_commitments(after=anchor.after, last=anchor.last))
    places = {leaf.sequence: index for index, leaf in enumerate(stretch)}
    require(len(stretch) == anchor.count, Reason.HOME_CORRUPT, f"the leaves of anchor {anchor.id}")
    require(all(sequence in places for sequence in sequences), Reason.NOT_FOUND)
    levels = _list_levels([hash_leaf(leaf.commitment) for leaf in stretch])
    proofs = {
        sequence: AnchorProof(
            anchor=anchor.id,
            index=places[sequence],
            count=anchor.count,
            path=tuple(
                Digest(encode_digest(node))
                for node in prove_inclusion(
                    places[sequence], anchor.count, lambda level, at: levels[level][at]
                )
            ),
        )
        for sequence in sequences
    }
    for proof in proofs.values():
        is_whole = is_proven(proof, stretch[proof.index].commitment, root=anchor.root)
        require(is_whole, Reason.HOME_CORRUPT, f"the leaves of anchor {anchor.id}")
    return proofs


def is_proven(proof: AnchorProof, commitment: bytes, *, root: bytes) -> bool:
    """Tell whether a proof leads from a commitment to an anchor's root."""
    return verify_inclusion(
        leaf_hash=hash_leaf(commitment),
        index=proof.index,
        size=proof.count,
        proof=[decode_digest(node) for node in proof.path],
        root=root,
    )


def _list_levels(leaf_hashes: list[bytes]) -> list[list[bytes]]:
    """Compute every complete subtree's root, level by level."""
    levels = [leaf_hashes]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = range(0, len(below) - 1, 2)
        levels.append([compute_root(below[at : at + 2]) for at in pairs])
    return levels
