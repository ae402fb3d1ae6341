"""The Merkle tree of RFC 9162, section 2.1: roots, and proofs that others can check.

Proofs are made over a `NodeReader`; where a log keeps its nodes is the concern of `tiles`.
"""

import hashlib
from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Final, TypeAlias

HASH_BYTES: Final = 32
SIZE_MAX: Final = 2**48
"""More leaves than any log will have; it bounds the length of every proof."""
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

NodeReader: TypeAlias = Callable[[int, int], bytes]
"""Returns the root of the complete subtree at (level, index); level 0 holds the leaf hashes."""

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


def hash_leaf(entry: bytes) -> bytes:
    """Hash an entry as a leaf."""
    return hashlib.sha256(_LEAF + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees' roots."""
    return hashlib.sha256(_NODE + left + right).digest()


def compute_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Compute the root over leaf hashes: level by level, an odd last node moves up as it is."""
    if not leaf_hashes:
        return EMPTY_ROOT
    sha256, level = hashlib.sha256, list(leaf_hashes)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        parents = [sha256(_NODE + left + right).digest() for left, right in pairs]
        if len(level) % 2:
            parents.append(level[-1])
        level = parents
    return level[0]


def compute_range_root(start: int, size: int, read_node: NodeReader) -> bytes:
    """Compute the root over `size` leaves from `start`, out of the complete nodes below it."""
    complete = []
    while size:
        level = size.bit_length() - 1
        complete.append(read_node(level, start >> level))
        start, size = start + (1 << level), size - (1 << level)
    root = complete.pop()
    while complete:
        root = hash_node(complete.pop(), root)
    return root


def prove_inclusion(index: int, size: int, read_node: NodeReader) -> list[bytes]:
    """List the siblings from a leaf up to the root of the tree of the first `size` leaves (2.1.3.1)."""
    if not 0 <= index < size <= SIZE_MAX:
        message = f"leaf {index} is not in a tree of {size}"
        raise ValueError(message)
    siblings, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            siblings.append(compute_range_root(middle, end - middle, read_node))
            end = middle
        else:
            siblings.append(compute_range_root(start, middle - start, read_node))
            start = middle
    return siblings[::-1]


def prove_consistency(first: int, second: int, read_node: NodeReader) -> list[bytes]:
    """List what shows that the first `first` of `second` leaves are the same tree (2.1.4.1)."""
    if not 0 < first <= second <= SIZE_MAX:
        message = f"no consistency proof leads from {first} to {second} leaves"
        raise ValueError(message)
    nodes, start, end = [], 0, second
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            nodes.append(compute_range_root(middle, end - middle, read_node))
            end = middle
        else:
            nodes.append(compute_range_root(start, middle - start, read_node))
            start = middle
    if start > 0:  # otherwise this is the whole first tree, whose root the verifier has
        nodes.append(compute_range_root(start, end - start, read_node))
    return nodes[::-1]


def verify_inclusion(
    *, leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Check an inclusion proof (2.1.3.2)."""
    if not 0 <= index < size <= SIZE_MAX or not _are_hashes(proof):
        return False
    fn, sn, result = index, size - 1, leaf_hash
    for sibling in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            result = hash_node(sibling, result)
            fn, sn = _skip_lonely_levels(fn, sn)
        else:
            result = hash_node(result, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and compare_digest(result, root)


def verify_consistency(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Check a consistency proof (2.1.4.2); from an empty tree none is valid, since it would say nothing."""
    if not 0 < first <= second <= SIZE_MAX or not _are_hashes(proof):
        return False
    if first == second:
        return not proof and compare_digest(first_root, second_root)
    if not proof:
        return False
    is_complete = first & (first - 1) == 0
    seed, *rest = [first_root, *proof] if is_complete else proof
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = seed
    for sibling in rest:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old, new = hash_node(sibling, old), hash_node(sibling, new)
            fn, sn = _skip_lonely_levels(fn, sn)
        else:
            new = hash_node(new, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and compare_digest(old, first_root) and compare_digest(new, second_root)


def _are_hashes(proof: Sequence[bytes]) -> bool:
    return all(len(node) == HASH_BYTES for node in proof)


def _skip_lonely_levels(fn: int, sn: int) -> tuple[int, int]:
    """Pass the levels on which the last node has no sibling and moves up as it is."""
    while fn and not fn & 1:
        fn, sn = fn >> 1, sn >> 1
    return fn, sn


def _split(size: int) -> int:
    """Return how many leaves the left subtree has: the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
