"""A snapshot is one moment, whatever its owner does next, and holding it blocks nobody."""

import gc
import random
import sys
import threading
import weakref
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.crypto.authmap import AuthMap, FrozenMap, verify_map_proof

KEYS = [b"key-%d" % number for number in range(2_000)]
changes = st.dictionaries(st.sampled_from(KEYS[:6]), st.none() | st.binary(max_size=4), max_size=6)


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def find_fault(
    snapshot: FrozenMap, root: bytes, content: dict[bytes, bytes], keys: list[bytes]
) -> str | None:
    if snapshot.root != root or len(snapshot) != len(content):
        return "root or length"
    for key in keys:
        if snapshot.get(key) != content.get(key):
            return f"value of {key!r}"
        if not verify_map_proof(root, key, content.get(key), snapshot.prove(key)):
            return f"proof of {key!r}"
    return None


@settings(max_examples=40, deadline=None)
@given(st.lists(changes, max_size=6))
def test_every_snapshot_stays_what_it_was(history: list[dict[bytes, bytes | None]]) -> None:
    authmap, kept = AuthMap(), list[tuple[FrozenMap, bytes, dict[bytes, bytes]]]()
    for change in history:
        kept.append((authmap.freeze(), authmap.root, dict(authmap.items())))
        authmap.update(change)

    assert [find_fault(*snapshot, KEYS[:8]) for snapshot in kept] == [None] * len(history)


def test_readers_see_one_moment_while_the_owner_writes(frequent_switches: None) -> None:  # noqa: ARG001
    """Four readers check values and proofs of ever new snapshots under a writer that never waits."""
    authmap = AuthMap.load((key, b"0") for key in KEYS)
    published = [(authmap.freeze(), authmap.root, dict(authmap.items()))]
    stop, faults, checked = threading.Event(), list[str](), [0] * 4

    def read(reader: int) -> None:
        chance = random.Random(reader)
        while not stop.is_set():
            snapshot, root, content = published[0]
            for _ in range(5):
                fault = find_fault(snapshot, root, content, chance.sample(KEYS, 10))
                faults.extend([fault] if fault else [])
            checked[reader] += 1

    readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for reader in readers:
        reader.start()
    chance = random.Random(9)
    for height in range(150):
        picked = chance.sample(KEYS, 100)
        authmap.update({key: None if chance.random() < 0.2 else b"%d" % height for key in picked})
        published[0] = (authmap.freeze(), authmap.root, dict(authmap.items()))
    stop.set()
    for reader in readers:
        reader.join(timeout=20)

    assert faults == []
    assert min(checked) > 0
    assert authmap.root == AuthMap.load(authmap.items()).root


def test_readers_of_old_snapshots_see_their_moments_while_the_owner_writes(
    frequent_switches: None,  # noqa: ARG001
) -> None:
    """Readers check snapshots of every age, held and let go, while few keys change again and again."""
    keys = KEYS[:20]
    authmap, chance = AuthMap.load((key, b"0") for key in keys), random.Random(3)
    held = [(authmap.freeze(), authmap.root, dict(authmap.items()))]
    stop, faults, checked = threading.Event(), list[str](), [0] * 3

    def read(reader: int) -> None:
        chance = random.Random(reader)
        while not stop.is_set():
            fault = find_fault(*chance.choice(held), chance.sample(keys, 3))
            faults.extend([fault] if fault else [])
            checked[reader] += 1

    readers = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for reader in readers:
        reader.start()
    for height in range(1_500):
        picked = chance.sample(keys, 5)
        authmap.update({key: None if chance.random() < 0.2 else b"%d" % height for key in picked})
        if height % 3 == 0:
            held.append((authmap.freeze(), authmap.root, dict(authmap.items())))
        if len(held) > 30:
            held.pop(chance.randrange(30))
    stop.set()
    for reader in readers:
        reader.join(timeout=20)

    assert faults == []
    assert min(checked) > 100
    assert [find_fault(*one, keys) for one in held] == [None] * len(held)


def test_held_snapshots_cost_the_owner_no_more_than_one() -> None:
    """What an update remembers goes into one snapshot, however many are held."""
    authmap = AuthMap.load((key, b"0") for key in KEYS)
    held = []
    for height in range(100):
        held.append(authmap.freeze())
        authmap.update(dict.fromkeys(KEYS[:50], b"%d" % height))

    authmap.update(dict.fromkeys(KEYS[50:100], b"last"))

    remembered = [len(snapshot._old_values) for snapshot in held]  # noqa: SLF001  cost has no other face
    assert remembered == [50] * 99 + [100]


def test_a_long_chain_of_snapshots_is_let_go_at_once() -> None:
    authmap = AuthMap()
    first = authmap.freeze()
    for _ in range(50_000):
        authmap.update({})
        authmap.freeze()
    newest = weakref.ref(authmap.freeze())

    assert newest() is not None
    assert first.get(b"key") is None
    del first
    gc.collect()
    assert newest() is None


def test_between_two_changes_there_is_one_snapshot() -> None:
    authmap = AuthMap()
    first = authmap.freeze()
    again = authmap.freeze()
    authmap.update({b"key": b"value"})

    assert first is again
    assert authmap.freeze() is not first


def test_a_snapshot_that_nobody_holds_costs_nothing() -> None:
    authmap = AuthMap()
    gone = weakref.ref(authmap.freeze())
    gc.collect()
    authmap.update({b"key": b"value"})

    assert gone() is None


def test_a_snapshot_outlives_its_owner() -> None:
    authmap = AuthMap.load([(b"key", b"value")])
    snapshot, root = authmap.freeze(), authmap.root
    del authmap

    assert find_fault(snapshot, root, {b"key": b"value"}, [b"key", b"other"]) is None
