"""The authenticated map against its definition, written a second time and as slowly as one likes."""

import hashlib
import random
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iamata.crypto.authmap import AuthMap, MapProof, verify_map_proof
from iamata.crypto.mapproof import PROOF_ENTRIES_MAX, hash_key

keys = st.binary(min_size=1, max_size=3) | st.sampled_from([b"a", b"b", b"c", b"key-1041"])
contents = st.dictionaries(keys, st.binary(max_size=20), max_size=12)
changes = st.dictionaries(keys, st.none() | st.binary(max_size=20), max_size=12)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def compute_root_by_definition(content: Mapping[bytes, bytes]) -> bytes:
    """Recompute the root as the design says it, over the buckets that are not empty."""
    entries = sorted((sha256(key), sha256(value)) for key, value in content.items())
    buckets: dict[int, bytes] = {}
    for key_hash, value_hash in entries:
        bucket = int.from_bytes(key_hash[:2], "big")
        buckets[bucket] = buckets.get(bucket, b"") + key_hash + value_hash
    level = {bucket: sha256(b"\x00", joined) for bucket, joined in buckets.items()}
    empty = bytes(32)
    for _ in range(16):
        level = {
            parent: sha256(b"\x01", level.get(2 * parent, empty), level.get(2 * parent + 1, empty))
            for parent in {index // 2 for index in level}
        }
        empty = sha256(b"\x01", empty, empty)
    return level.get(0, empty)


def find_keys_of_one_bucket(count: int) -> list[bytes]:
    found: dict[bytes, list[bytes]] = {}
    for number in range(1_000_000):
        key = b"k%d" % number
        same = found.setdefault(sha256(key)[:2], [])
        same.append(key)
        if len(same) == count:
            return same
    message = "a million keys fill some bucket"
    raise AssertionError(message)


CROWD = find_keys_of_one_bucket(5)


def test_an_empty_map_has_the_root_of_its_definition() -> None:
    assert AuthMap().root == AuthMap.load([]).root == compute_root_by_definition({})


@settings(max_examples=40, deadline=None)
@given(contents)
def test_loading_gives_the_root_of_the_definition(content: dict[bytes, bytes]) -> None:
    loaded = AuthMap.load(content.items())

    assert loaded.root == compute_root_by_definition(content)
    assert (dict(loaded.items()), len(loaded)) == (content, len(content))


@settings(max_examples=40, deadline=None)
@given(st.lists(changes, max_size=6))
def test_the_root_is_a_function_of_content_alone(history: list[dict[bytes, bytes | None]]) -> None:
    authmap, content = AuthMap(), dict[bytes, bytes]()
    for change in history:
        authmap.update(change)
        content.update({key: value for key, value in change.items() if value is not None})
        for key in [key for key, value in change.items() if value is None]:
            content.pop(key, None)

    assert authmap.root == compute_root_by_definition(content)
    assert dict(authmap.items()) == content


def test_keys_of_one_bucket_come_and_go_in_any_order() -> None:
    authmap, content = AuthMap(), dict[bytes, bytes]()
    chance = random.Random(7)
    for step in range(200):
        key = chance.choice(CROWD)
        value = None if chance.random() < 0.4 else b"%d" % step
        authmap.update({key: value})
        content.pop(key, None)
        if value is not None:
            content[key] = value
        assert authmap.root == compute_root_by_definition(content)
        assert all(
            verify_map_proof(authmap.root, one, content.get(one), authmap.prove(one)) for one in CROWD
        )


@settings(max_examples=40, deadline=None)
@given(contents, keys, st.none() | st.binary(max_size=20))
def test_a_proof_shows_the_value_or_the_absence_and_nothing_else(
    content: dict[bytes, bytes], key: bytes, claim: bytes | None
) -> None:
    authmap = AuthMap.load(content.items())
    proof = authmap.prove(key)

    assert verify_map_proof(authmap.root, key, content.get(key), proof)
    assert verify_map_proof(authmap.root, key, claim, proof) == (claim == content.get(key))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_proof_with_one_bit_changed_shows_nothing(data: st.DataObject) -> None:
    entries, siblings = PROOF.entries, PROOF.siblings
    joined = entries + siblings
    at = data.draw(st.integers(0, 8 * len(joined) - 1))
    changed = (int.from_bytes(joined, "big") ^ 1 << at).to_bytes(len(joined), "big")
    other = MapProof(entries=changed[: len(entries)], siblings=changed[len(entries) :])

    assert not verify_map_proof(MAP.root, CROWD[0], b"value", other)
    assert not verify_map_proof(MAP.root, CROWD[0], None, other)


MAP = AuthMap.load((key, b"value") for key in CROWD)
PROOF = MAP.prove(CROWD[0])


@pytest.mark.parametrize(
    "proof",
    [
        MapProof(entries=b"", siblings=b""),
        MapProof(entries=PROOF.entries[:-1], siblings=PROOF.siblings),
        MapProof(entries=PROOF.entries[64:], siblings=PROOF.siblings),
        MapProof(entries=PROOF.entries[:64] + PROOF.entries, siblings=PROOF.siblings),
        MapProof(entries=PROOF.entries[64:] + PROOF.entries[:64], siblings=PROOF.siblings),
        MapProof(entries=b"", siblings=PROOF.siblings),
        MapProof(entries=PROOF.entries, siblings=PROOF.siblings[:-32]),
        MapProof(entries=PROOF.entries, siblings=PROOF.siblings + bytes(32)),
        MapProof(entries=bytes(64 * (PROOF_ENTRIES_MAX + 1)), siblings=PROOF.siblings),
    ],
)
def test_a_proof_of_another_form_shows_nothing(proof: MapProof) -> None:
    assert not verify_map_proof(MAP.root, CROWD[0], b"value", proof)
    assert not verify_map_proof(MAP.root, CROWD[0], None, proof)


def test_a_bucket_in_the_wrong_order_shows_nothing_even_to_its_own_root() -> None:
    """A dishonest map could otherwise list one key twice and prove both values."""
    first, second = sorted(CROWD[:2], key=hash_key)
    for pair in ([(second, b"1"), (first, b"2")], [(first, b"1"), (first, b"2")]):
        entries = b"".join(sha256(key) + sha256(value) for key, value in pair)
        node, index = sha256(b"\x00", entries), int.from_bytes(hash_key(first)[:2], "big")
        for level in range(16):
            sibling = bytes(32)
            node = sha256(b"\x01", sibling, node) if index >> level & 1 else sha256(b"\x01", node, sibling)
        proof = MapProof(entries=entries, siblings=bytes(512))
        assert not any(verify_map_proof(node, first, value, proof) for value in (b"1", b"2", None))


def test_an_empty_value_is_not_an_absence() -> None:
    authmap = AuthMap.load([(b"key", b"")])

    assert authmap.get(b"key") == b""
    assert verify_map_proof(authmap.root, b"key", b"", authmap.prove(b"key"))
    assert not verify_map_proof(authmap.root, b"key", None, authmap.prove(b"key"))


def test_a_proof_survives_its_trip_as_json() -> None:
    sent = msgspec.json.encode(PROOF)

    assert msgspec.json.decode(sent, type=MapProof) == PROOF


def test_a_proof_among_many_keys_stays_small() -> None:
    """Fifteen entries a bucket at a million keys: 1.5 KB; here 1.5 entries."""
    authmap = AuthMap.load((b"key-%d" % number, b"value") for number in range(100_000))
    proof = authmap.prove(b"key-77")

    assert len(proof.entries) + len(proof.siblings) < 1_100
    assert verify_map_proof(authmap.root, b"key-77", b"value", proof)
