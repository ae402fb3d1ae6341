"""The authenticated map that holds the ledger's state, and snapshots of it that never block its writer.

One thread owns an `AuthMap` and changes it in place. Any thread may read a `FrozenMap`.
"""
# ruff: noqa: SLF001  the owner and its snapshots are one mechanism

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
        self._nodes: list[bytes] = _list_empty_nodes()
        self._newest: weakref.ref[FrozenMap] | None = None
        self._is_frozen = False

    @classmethod
    def load(cls, pairs: Iterable[tuple[bytes, bytes]]) -> "AuthMap":
        """Build a map from all its pairs at once; of two with one key the later counts."""
        built = cls()
        built._values = dict(pairs)
        sha256 = hashlib.sha256
        bucketed: dict[int, list[bytes]] = {}
        for key, value in built._values.items():
            entry = sha256(key).digest() + sha256(value).digest()
            bucketed.setdefault(entry[0] << 8 | entry[1], []).append(entry)
        buckets = {bucket: b"".join(sorted(entries)) for bucket, entries in bucketed.items()}
        built._write_buckets(buckets, _list_levels(buckets))
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
        if (newest := self._find_newest()) is not None:
            newest._preserve(changes, buckets, levels)
        self._is_frozen = False
        self._write_values(changes)
        self._write_buckets(buckets, levels)

    def freeze(self) -> "FrozenMap":
        """Return the map as it is now, for any thread to read while this one goes on changing."""
        newest = self._find_newest()
        if newest is not None and self._is_frozen:
            return newest
        snapshot = FrozenMap(self._values, self._buckets, self._nodes)
        if newest is not None:
            newest._newer = snapshot
        self._newest = weakref.ref(snapshot)
        self._is_frozen = True
        return snapshot

    def _compute_buckets(self, changes: Mapping[bytes, bytes | None]) -> dict[int, bytes]:
        changed: dict[int, bytes] = {}
        for key, value in changes.items():
            key_hash = hash_key(key)
            bucket = find_bucket(key_hash)
            entries = changed.get(bucket, self._buckets[bucket])
            entry = b"" if value is None else key_hash + hash_value(value)
            changed[bucket] = _replace_entry(entries, key_hash, entry)
        return changed

    def _write_values(self, changes: Mapping[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value

    def _write_buckets(self, buckets: dict[int, bytes], levels: list[list[int]]) -> None:
        nodes = self._nodes
        for bucket, entries in buckets.items():
            self._buckets[bucket] = entries
            nodes[BUCKETS + bucket] = hash_bucket(entries)
        sha256, prefix = hashlib.sha256, NODE_PREFIX
        for level in levels[1:]:
            for node in level:
                nodes[node] = sha256(prefix + nodes[2 * node] + nodes[2 * node + 1]).digest()

    def _find_newest(self) -> "FrozenMap | None":
        """Find the newest snapshot. Each holds its next newer: once the newest is gone, all are."""
        return None if self._newest is None else self._newest()


class FrozenMap:
    """What an `AuthMap` was when it was frozen; readable by any thread, for as long as it is held.

    It shares the owner's lists. What the owner overwrites it remembers in the newest snapshot alone, so
    that many snapshots cost it no more than one; an older one finds it along the chain of newer ones.
    A read costs one look-up for each newer snapshot, so what is held long is for reading now and then.

    Why a reader never sees a value of another time, without a lock: single reads and writes of attributes,
    lists and dicts with keys of type bytes or int are atomic under the interpreter's lock, and both sides
    keep an order.
    The owner remembers a value in the newest snapshot *before* it overwrites it, and only the first that
    it overwrites while that snapshot is the newest. So along a chain, the entry nearest to its begin is
    what the begin's value was, every snapshot that is nearer stays without one for good, and entries
    further on were made later.
    A reader reads the shared value first, *then* follows the chain to its end, and *then* looks into its
    snapshots from the newest back to itself; each entry that it finds overrules what it found before.
    If it read an overwritten shared value, the nearest entry stood in the chain before it followed it: it
    finds it, and finds it last. If it read the value of its own time, it may meet entries that the owner
    is making meanwhile; whenever it met one of a later time, the nearest was made before, and it looks
    there after. So it ends with the nearest entry, or with no entry and the value of its own time.
    """

    def __init__(self, values: dict[bytes, bytes], buckets: list[bytes], nodes: list[bytes]) -> None:
        self._values = values
        self._buckets = buckets
        self._nodes = nodes
        self._old_values: dict[bytes, bytes | None] = {}
        self._old_buckets: dict[int, bytes] = {}
        self._old_nodes: dict[int, bytes] = {}
        self._length = len(values)
        self._newer: FrozenMap | None = None

    def __len__(self) -> int:
        return self._length

    @property
    def root(self) -> bytes:
        """Name the whole content in 32 bytes."""
        return self._read_node(_ROOT)

    def get(self, key: bytes) -> bytes | None:
        """Return a key's value, None where there was none."""
        value = self._values.get(key)
        for snapshot in self._list_back():
            value = snapshot._old_values.get(key, value)
        return value

    def prove(self, key: bytes) -> MapProof:
        """Show what a key's value was, or that it had none."""
        bucket = find_bucket(hash_key(key))
        entries = self._buckets[bucket]
        for snapshot in self._list_back():
            entries = snapshot._old_buckets.get(bucket, entries)
        siblings = [self._read_node(node) for node in _list_siblings(bucket)]
        return MapProof(entries=entries, siblings=b"".join(siblings))

    def _read_node(self, node: int) -> bytes:
        digest = self._nodes[node]
        for snapshot in self._list_back():
            digest = snapshot._old_nodes.get(node, digest)
        return digest

    def _list_back(self) -> "list[FrozenMap]":
        """List the snapshots from the newest back to this one. To be called after the shared read."""
        chain, newer = [self], self._newer
        while newer is not None:
            chain.append(newer)
            newer = newer._newer
        return chain[::-1]

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


def _list_empty_nodes() -> list[bytes]:
    """List an empty map's nodes: 1 is the root, 2i and 2i+1 are the children of i, the last are buckets."""
    levels, empty = [[EMPTY_BUCKET] * BUCKETS], EMPTY_BUCKET
    while len(levels[-1]) > 1:
        empty = hash_children(empty, empty)
        levels.append([empty] * (len(levels[-1]) // 2))
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
