"""The authenticated map that holds the ledger's state, and snapshots of it that never block its writer.

One thread owns an `AuthMap` and changes it in place. Any thread may read a `FrozenMap`.
"""

import hashlib
import itertools
import weakref
from bisect import bisect_left
from collections.abc import ItemsView, Iterable, Mapping
from typing import Final

from iamata.crypto.mapproof import (
    BUCKETS,
    EMPTY_BUCKET,
    ENTRY_BYTES,
    HASH_BYTES,
    LEVELS,
    NODE_PREFIX,
    MapProof,
    find_bucket,
    hash_bucket,
    hash_children,
    hash_key,
    hash_value,
    verify_map_proof,
)

__all__ = ["AuthMap", "FrozenMap", "MapProof", "verify_map_proof"]

_ROOT: Final = 1


class AuthMap:
    """A map from bytes to bytes with a root and proofs. Only the thread that owns it may call it."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._buckets: list[bytes] = [b""] * BUCKETS
        self._nodes: list[bytes] = _compute_nodes([EMPTY_BUCKET] * BUCKETS)
        self._snapshots: list[weakref.ref[FrozenMap]] = []
        self._newest: weakref.ref[FrozenMap] | None = None

    @classmethod
    def load(cls, pairs: Iterable[tuple[bytes, bytes]]) -> "AuthMap":
        """Build a map from all its pairs at once; of two with one key the later counts."""
        built = cls()
        built._values = dict(pairs)
        sha256 = hashlib.sha256
        bucketed: list[list[bytes]] = [[] for _ in range(BUCKETS)]
        for key, value in built._values.items():
            entry = sha256(key).digest() + sha256(value).digest()
            bucketed[entry[0] << 8 | entry[1]].append(entry)
        built._buckets = [b"".join(sorted(entries)) if entries else b"" for entries in bucketed]
        built._nodes = _compute_nodes(list(map(hash_bucket, built._buckets)))
        return built

    def __len__(self) -> int:
        return len(self._values)

    @property
    def root(self) -> bytes:
        """Name the whole content in 32 bytes."""
        return self._nodes[_ROOT]

    def get(self, key: bytes) -> bytes | None:
        """Return a key's value, None where there is none."""
        return self._values.get(key)

    def items(self) -> ItemsView[bytes, bytes]:
        """View all pairs; no order is promised."""
        return self._values.items()

    def prove(self, key: bytes) -> MapProof:
        """Show what a key's value is, or that it has none."""
        bucket = find_bucket(hash_key(key))
        siblings = [self._nodes[node] for node in _list_siblings(bucket)]
        return MapProof(entries=self._buckets[bucket], siblings=b"".join(siblings))

    def update(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Set values, and delete where the value is None."""
        buckets = self._compute_buckets(changes)
        levels = _list_levels(buckets)
        for snapshot in self._find_snapshots():
            snapshot._preserve(changes, buckets, levels)  # noqa: SLF001  two halves of one mechanism
        self._newest = None
        self._write(changes, buckets, levels)

    def freeze(self) -> "FrozenMap":
        """Return the map as it is now, for any thread to read while this one goes on changing."""
        newest = self._newest() if self._newest else None
        if newest is None:
            newest = FrozenMap(self._values, self._buckets, self._nodes)
            self._newest = weakref.ref(newest)
            self._snapshots.append(self._newest)
        return newest

    def _compute_buckets(self, changes: Mapping[bytes, bytes | None]) -> dict[int, bytes]:
        changed: dict[int, bytes] = {}
        for key, value in changes.items():
            key_hash = hash_key(key)
            bucket = find_bucket(key_hash)
            entries = changed.get(bucket, self._buckets[bucket])
            entry = b"" if value is None else key_hash + hash_value(value)
            changed[bucket] = _replace_entry(entries, key_hash, entry)
        return changed

    def _write(
        self, changes: Mapping[bytes, bytes | None], buckets: dict[int, bytes], levels: list[list[int]]
    ) -> None:
        for key, value in changes.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value
        nodes = self._nodes
        for bucket, entries in buckets.items():
            self._buckets[bucket] = entries
            nodes[BUCKETS + bucket] = hash_bucket(entries)
        sha256, prefix = hashlib.sha256, NODE_PREFIX
        for level in levels[1:]:
            for node in level:
                nodes[node] = sha256(prefix + nodes[2 * node] + nodes[2 * node + 1]).digest()

    def _find_snapshots(self) -> "list[FrozenMap]":
        # A plain list that only the owner touches: a WeakSet would shrink itself in a reader's thread.
        living = [(ref, snapshot) for ref in self._snapshots if (snapshot := ref()) is not None]
        self._snapshots = [ref for ref, _ in living]
        return [snapshot for _, snapshot in living]


class FrozenMap:
    """What an `AuthMap` was when it was frozen; readable by any thread, for as long as it is held.

    It shares the owner's lists and remembers what the owner has overwritten since. Why a reader never
    sees a value of another time, without a lock: single reads and writes of lists and dicts with keys of
    type bytes or int are atomic under the interpreter's lock, and both sides keep an order.
    The owner remembers the old value here *before* it overwrites it, and remembers only the first.
    A reader reads the shared value *before* it looks here. If it read the old value, that is right, and
    what may stand here by then is the same. If it read a later one, the old one already stood here, and
    overrules it.
    """

    def __init__(self, values: dict[bytes, bytes], buckets: list[bytes], nodes: list[bytes]) -> None:
        self._values = values
        self._buckets = buckets
        self._nodes = nodes
        self._old_values: dict[bytes, bytes | None] = {}
        self._old_buckets: dict[int, bytes] = {}
        self._old_nodes: dict[int, bytes] = {}
        self._length = len(values)

    def __len__(self) -> int:
        return self._length

    @property
    def root(self) -> bytes:
        """Name the whole content in 32 bytes."""
        return self._read_node(_ROOT)

    def get(self, key: bytes) -> bytes | None:
        """Return a key's value, None where there was none."""
        shared = self._values.get(key)
        return self._old_values.get(key, shared)

    def prove(self, key: bytes) -> MapProof:
        """Show what a key's value was, or that it had none."""
        bucket = find_bucket(hash_key(key))
        shared = self._buckets[bucket]
        entries = self._old_buckets.get(bucket, shared)
        siblings = [self._read_node(node) for node in _list_siblings(bucket)]
        return MapProof(entries=entries, siblings=b"".join(siblings))

    def _read_node(self, node: int) -> bytes:
        shared = self._nodes[node]
        return self._old_nodes.get(node, shared)

    def _preserve(self, keys: Iterable[bytes], buckets: Iterable[int], levels: list[list[int]]) -> None:
        """Remember what the owner is about to overwrite."""
        for key in keys:
            if key not in self._old_values:
                self._old_values[key] = self._values.get(key)
        for bucket in buckets:
            if bucket not in self._old_buckets:
                self._old_buckets[bucket] = self._buckets[bucket]
        for level in levels:
            for node in level:
                if node not in self._old_nodes:
                    self._old_nodes[node] = self._nodes[node]


def _compute_nodes(digests: list[bytes]) -> list[bytes]:
    """Hash all levels: node 1 is the root, 2i and 2i+1 are the children of i, the last are the digests."""
    sha256, prefix = hashlib.sha256, NODE_PREFIX
    levels, empty = [digests], EMPTY_BUCKET
    while len(levels[-1]) > 1:
        children, empty_parent = levels[-1], hash_children(empty, empty)
        levels.append(
            [
                empty_parent if left == empty == right else sha256(prefix + left + right).digest()
                for left, right in zip(children[::2], children[1::2], strict=True)
            ]
        )
        empty = empty_parent
    return [b"", *itertools.chain.from_iterable(reversed(levels))]


def _list_siblings(bucket: int) -> list[int]:
    return [(BUCKETS + bucket >> level) ^ 1 for level in range(LEVELS)]


def _list_levels(buckets: Iterable[int]) -> list[list[int]]:
    """List the nodes above some buckets, level by level from their digests to the root."""
    levels = [sorted([BUCKETS + bucket for bucket in buckets])]
    while levels[-1] and levels[-1] != [_ROOT]:
        levels.append(list(dict.fromkeys([node >> 1 for node in levels[-1]])))
    return levels


def _replace_entry(entries: bytes, key_hash: bytes, entry: bytes) -> bytes:
    """Put an entry into its place, or nothing, instead of what stood there for its key."""
    begin = bisect_left(
        range(0, len(entries), ENTRY_BYTES), key_hash, key=lambda at: entries[at : at + HASH_BYTES]
    )
    begin *= ENTRY_BYTES
    is_there = entries.startswith(key_hash, begin)
    end = begin + ENTRY_BYTES if is_there else begin
    return entries[:begin] + entry + entries[end:]
