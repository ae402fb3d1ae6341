"""How the authenticated map hashes, and what its proofs are. All that a verifier needs to read.

A key lives in the bucket that the first two bytes of its SHA-256 name. A bucket is its entries
`SHA-256(key) ‖ SHA-256(value)` in ascending order; its digest is SHA-256(0x00 ‖ entries), or 32 zero bytes
when it is empty. Sixteen levels of SHA-256(0x01 ‖ left ‖ right) join 65,536 buckets into one root, a
function of content alone.
"""

import hashlib
from hmac import compare_digest
from typing import Final

import msgspec

HASH_BYTES: Final = 32
ENTRY_BYTES: Final = 2 * HASH_BYTES
LEVELS: Final = 16
BUCKETS: Final = 1 << LEVELS
EMPTY_BUCKET: Final = bytes(HASH_BYTES)
PROOF_ENTRIES_MAX: Final = 16_384
"""A bucket holds one entry for each 65,536 keys; more than this many is no honest map."""

BUCKET_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"


class MapProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole bucket and the way from it to the root: shows what is there as well as what is not."""

    entries: bytes
    siblings: bytes
    """Sixteen hashes, from the bucket's neighbour up to the root's child."""


def hash_key(key: bytes) -> bytes:
    """Hash a key; the first two bytes are its bucket."""
    return hashlib.sha256(key).digest()


def hash_value(value: bytes) -> bytes:
    """Hash a value as it stands in its bucket."""
    return hashlib.sha256(value).digest()


def hash_bucket(entries: bytes) -> bytes:
    """Hash a bucket's entries."""
    return hashlib.sha256(BUCKET_PREFIX + entries).digest() if entries else EMPTY_BUCKET


def hash_children(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours into the node above them."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def find_bucket(key_hash: bytes) -> int:
    """Tell which bucket a key belongs to."""
    return key_hash[0] << 8 | key_hash[1]


def verify_map_proof(root: bytes, key: bytes, value: bytes | None, proof: MapProof) -> bool:
    """Tell whether the map with this root gives `key` this value, or has no such key where it is None."""
    if not _is_well_formed(proof):
        return False
    key_hash = hash_key(key)
    expected = None if value is None else hash_value(value)
    if _list_entries(proof.entries).get(key_hash) != expected:
        return False
    node, index = hash_bucket(proof.entries), find_bucket(key_hash)
    for level in range(LEVELS):
        sibling = proof.siblings[level * HASH_BYTES : (level + 1) * HASH_BYTES]
        node = hash_children(sibling, node) if index >> level & 1 else hash_children(node, sibling)
    return compare_digest(node, root)


def _is_well_formed(proof: MapProof) -> bool:
    entries = proof.entries
    if len(proof.siblings) != LEVELS * HASH_BYTES or len(entries) % ENTRY_BYTES:
        return False
    if len(entries) > PROOF_ENTRIES_MAX * ENTRY_BYTES:
        return False
    keys = list(_list_entries(entries))
    return len(keys) * ENTRY_BYTES == len(entries) and keys == sorted(keys)


def _list_entries(entries: bytes) -> dict[bytes, bytes]:
    return {
        entries[at : at + HASH_BYTES]: entries[at + HASH_BYTES : at + ENTRY_BYTES]
        for at in range(0, len(entries), ENTRY_BYTES)
    }
