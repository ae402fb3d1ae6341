"""The tree of RFC 9162: published roots, published proofs good and bad, and every small tree there is."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.merkle import (
    EMPTY_ROOT,
    SIZE_MAX,
    NodeReader,
    compute_root,
    hash_leaf,
    hash_node,
    prove_consistency,
    prove_inclusion,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [hash_leaf(str(index).encode()) for index in range(70)]


def read_node(level: int, index: int) -> bytes:
    return compute_root(LEAVES[index << level : (index + 1) << level])


def compute_root_by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hash_node(compute_root_by_definition(leaves[:split]), compute_root_by_definition(leaves[split:]))


def read_cases(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.rglob("*.json"))]


def decode(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def test_the_published_roots_are_ours(shared_data: Path) -> None:
    published = json.loads((shared_data / "merkle/rfc6962-roots.json").read_text())
    leaves = [hash_leaf(bytes.fromhex(entry)) for entry in published["leaf_inputs_hex"]]

    roots = [compute_root(leaves[:size]).hex() for size in range(len(leaves) + 1)]

    assert roots == published["roots_by_size_hex"]


def test_every_published_inclusion_proof_is_judged_as_it_should(shared_data: Path) -> None:
    cases = read_cases(shared_data / "merkle/inclusion")
    assert len(cases) > 50
    for case in cases:
        verdict = verify_inclusion(
            leaf_hash=decode(case["leafHash"]),
            index=case["leafIdx"],
            size=case["treeSize"],
            proof=[decode(node) for node in case["proof"] or []],
            root=decode(case["root"]),
        )
        assert verdict is not case["wantErr"], case["desc"]


def test_every_published_consistency_proof_is_judged_as_it_should(shared_data: Path) -> None:
    cases = read_cases(shared_data / "merkle/consistency")
    assert len(cases) > 50
    for case in cases:
        verdict = verify_consistency(
            first=case["size1"],
            second=case["size2"],
            first_root=decode(case["root1"]),
            second_root=decode(case["root2"]),
            proof=[decode(node) for node in case["proof"] or []],
        )
        assert verdict is not case["wantErr"], case["desc"]


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_the_root_is_the_one_that_the_definition_gives(size: int) -> None:
    assert compute_root(LEAVES[:size]) == compute_root_by_definition(LEAVES[:size])


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_every_leaf_of_every_small_tree_is_shown_at_its_place_only(size: int) -> None:
    root = compute_root(LEAVES[:size])
    for index in range(size):
        proof = prove_inclusion(index, size, read_node)
        shown = [
            place
            for place in range(size)
            if verify_inclusion(leaf_hash=LEAVES[index], index=place, size=size, proof=proof, root=root)
        ]
        assert shown == [index]
        assert len(proof) <= (size - 1).bit_length()


@pytest.mark.parametrize("second", range(1, len(LEAVES) + 1))
def test_every_small_tree_is_shown_to_begin_every_larger_one(second: int) -> None:
    second_root = compute_root(LEAVES[:second])
    for first in range(1, second + 1):
        proof = prove_consistency(first, second, read_node)
        begins = [
            verify_consistency(
                first=first, second=second, first_root=first_root, second_root=second_root, proof=proof
            )
            for first_root in (compute_root(LEAVES[:first]), compute_root(LEAVES[: first - 1]))
        ]
        assert begins == [True, False]


@given(st.integers(2, 70), st.data())
def test_a_changed_proof_shows_nothing(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = prove_inclusion(index, size, read_node)
    at = data.draw(st.integers(0, len(proof) - 1))
    changed = data.draw(
        st.sampled_from(
            [
                [*proof[:at], hash_leaf(proof[at]), *proof[at + 1 :]],
                proof[:at] + proof[at + 1 :],
                [*proof[:at], proof[at], *proof[at:]],
                [*proof, proof[at]],
                [*proof[:at], proof[at][:31], *proof[at + 1 :]],
            ]
        )
    )

    root = compute_root(LEAVES[:size])
    assert not verify_inclusion(leaf_hash=LEAVES[index], index=index, size=size, proof=changed, root=root)


def test_an_empty_tree_begins_nothing_that_can_be_shown() -> None:
    assert not verify_consistency(
        first=0, second=0, first_root=EMPTY_ROOT, second_root=EMPTY_ROOT, proof=[]
    )
    assert not verify_consistency(first=0, second=1, first_root=EMPTY_ROOT, second_root=LEAVES[0], proof=[])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 1), (0, SIZE_MAX + 1)])
def test_places_outside_a_tree_are_neither_proven_nor_verified(index: int, size: int) -> None:
    reader: NodeReader = read_node
    assert not verify_inclusion(leaf_hash=LEAVES[0], index=index, size=size, proof=[], root=LEAVES[0])
    with pytest.raises(ValueError, match="not in a tree"):
        prove_inclusion(index, size, reader)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 1), (1, SIZE_MAX + 1)])
def test_trees_that_cannot_begin_one_another_have_no_proof(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="no consistency proof"):
        prove_consistency(first, second, read_node)


def test_a_node_is_never_taken_for_a_leaf() -> None:
    """Without its prefix an inner node's preimage could be claimed as an entry."""
    root = compute_root(LEAVES[:2])

    assert hash_leaf(LEAVES[0] + LEAVES[1]) != root
    assert not verify_inclusion(
        leaf_hash=hash_leaf(LEAVES[0] + LEAVES[1]), index=0, size=1, proof=[], root=root
    )
