"""A receipt or proof of state that was tampered with is refused, never believed (LED-LOG, LED-MAP)."""

import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.jws import sign_jws
from iamata.crypto.merkle import hash_leaf
from iamata.ledger.genesis import get_orderer
from iamata.ledger.header import compute_app_hash, compute_header_digest, read_header, sign_header
from iamata.ledger.leaves import decode_leaf
from iamata.ledger.receipts import Receipt, StateProof, check_receipt, check_state_proof
from iamata.ledger.transactions.consents import GrantConsent
from iamata.model.canonical import encode_struct
from iamata.model.ids import Digest, decode_digest, encode_digest
from iamata.model.reasons import ACCEPTED, Reason, Refused
from iamata.testing.world import World

WORLD = World.found("receipts")
ANNA = WORLD.enrol_patient("anna", custodian="hospital-a")
CONSENT = WORLD.grant("c1", ANNA)
WORLD.memory.order(
    [WORLD.node("hospital-b").author.write(GrantConsent, grant=WORLD.state_grant("c2", ANNA))]
)
VIEW = WORLD.engine.snapshot()
GENESIS = WORLD.engine.genesis
RECEIPT = VIEW.prove_leaf(1)
PRESENT = VIEW.prove_entry(f"consent/{CONSENT}".encode())
ABSENT = VIEW.prove_entry(b"consent/nothing")
OTHER = Digest(encode_digest(bytes(32)))


def test_every_leaf_and_entry_can_be_proved() -> None:
    """LED-LOG-3, LED-MAP-2."""
    leaves = [check_receipt(VIEW.prove_leaf(index), GENESIS) for index in range(VIEW.log_size)]

    assert [leaf.id for leaf in leaves] == [decode_leaf(raw).id for raw in WORLD.memory.leaves]
    for key, value in WORLD.memory.state.entries.items():
        assert check_state_proof(VIEW.prove_entry(key), GENESIS) == value.decode()
    assert check_state_proof(ABSENT, GENESIS) is None


def test_a_leaf_says_what_came_of_its_transaction() -> None:
    """LED-LOG-2."""
    accepted, refused = (check_receipt(VIEW.prove_leaf(index), GENESIS) for index in (1, 2))

    times = [block.time_ms for block in WORLD.memory.blocks[1:3]]

    assert (accepted.reason, accepted.event.consent) == (ACCEPTED, CONSENT)
    assert (refused.reason, refused.event) == (Reason.NOT_THE_CUSTODIAN, msgspec.UNSET)
    assert [accepted.time_ms, refused.time_ms] == times


@pytest.mark.parametrize(
    "forge",
    [
        lambda one: {"index": one.index + 1},
        lambda _: {"index": -1},
        lambda _: {"index": 2**70},
        lambda one: {"path": one.path[:-1]},
        lambda one: {"path": (*one.path, OTHER)},
        lambda one: {"path": one.path[::-1]},
        lambda one: {"leaf": one.leaf.replace('"reason":0', '"reason":1')},
        lambda one: {"leaf": one.leaf + " "},
        lambda _: {"leaf": ""},
        lambda _: {"leaf": "\u00e9"},
    ],
)
def test_a_forged_receipt_is_refused(forge: Callable[[Receipt], dict[str, Any]]) -> None:
    with pytest.raises(Refused, match="FAULT_FOUND"):
        check_receipt(msgspec.structs.replace(RECEIPT, **forge(RECEIPT)), GENESIS)


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: {"value": None},
        lambda one: {"value": one.value + " "},
        lambda _: {"key": "consent/another"},
        lambda _: {"proof": ABSENT.proof},
        lambda one: {"proof": msgspec.structs.replace(one.proof, entries=b"")},
        lambda one: {"proof": msgspec.structs.replace(one.proof, siblings=b"")},
    ],
)
def test_a_forged_proof_of_presence_is_refused(forge: Callable[[StateProof], dict[str, Any]]) -> None:
    with pytest.raises(Refused, match="FAULT_FOUND"):
        check_state_proof(msgspec.structs.replace(PRESENT, **forge(PRESENT)), GENESIS)


def test_absence_cannot_be_claimed_of_what_is_there() -> None:
    with pytest.raises(Refused, match="FAULT_FOUND"):
        check_state_proof(msgspec.structs.replace(ABSENT, key=PRESENT.key), GENESIS)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"log_size": RECEIPT.checkpoint.log_size + 1}, Reason.FAULT_FOUND),
        ({"log_size": -1}, Reason.MALFORMED),
        ({"log_size": 2**64}, Reason.MALFORMED),
        ({"log_root": OTHER}, Reason.FAULT_FOUND),
        ({"state_root": OTHER}, Reason.FAULT_FOUND),
        ({"header": ""}, Reason.NOT_CANONICAL),
        ({"header": "\u00e9.e30.e30"}, Reason.MALFORMED),
        ({"header": WORLD.memory.blocks[0].header.decode()}, Reason.FAULT_FOUND),
    ],
)
def test_a_forged_checkpoint_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    checkpoint = msgspec.structs.replace(RECEIPT.checkpoint, **changes)

    with pytest.raises(Refused) as refused:
        check_receipt(msgspec.structs.replace(RECEIPT, checkpoint=checkpoint), GENESIS)

    assert refused.value.reason is reason


@given(st.integers(0, len(RECEIPT.checkpoint.header) - 1), st.characters())
def test_a_header_with_any_other_character_is_refused(at: int, character: str) -> None:
    header = RECEIPT.checkpoint.header
    changed = header[:at] + character + header[at + 1 :]
    checkpoint = msgspec.structs.replace(RECEIPT.checkpoint, header=changed)

    if changed != header:
        with pytest.raises(Refused):
            check_receipt(msgspec.structs.replace(RECEIPT, checkpoint=checkpoint), GENESIS)


@pytest.mark.parametrize("payload", [b"\xff", b"{}", b"[" * 20_000, b'{"network":"\xed\xa0\x80"}'])
def test_a_header_that_is_no_header_is_refused_never_a_crash(payload: bytes) -> None:
    """LED-LOG-5."""
    with pytest.raises(Refused, match="MALFORMED"):
        read_header(
            sign_jws(WORLD.orderer, typ="iamata-header+jwt", payload=payload), orderer=get_orderer(GENESIS)
        )


def test_a_header_of_another_signer_is_refused() -> None:
    """LED-LOG-5."""
    header = read_header(WORLD.memory.blocks[-1].header, orderer=get_orderer(GENESIS))
    raw = sign_header(header, WORLD.node("hospital-a").author.key)

    with pytest.raises(Refused, match="BAD_SIGNATURE"):
        read_header(raw, orderer=get_orderer(GENESIS))


def test_headers_chain_to_the_genesis() -> None:
    headers = [read_header(block.header, orderer=get_orderer(GENESIS)) for block in WORLD.memory.blocks]

    assert str(headers[0].parent) == WORLD.engine.network
    for before, after in itertools.pairwise(headers):
        assert after.parent == compute_header_digest(before)


def test_an_empty_block_leaves_the_app_hash_as_it_is() -> None:
    """LED-LOG-4."""
    world = World.found()
    world.enrol_patient("anna", custodian="hospital-a")
    before, height = world.memory.state.app_hash, world.memory.state.height

    world.memory.order([])

    assert (world.memory.state.app_hash, world.memory.state.height) == (before, height + 1)


def test_the_app_hash_binds_state_root_log_root_and_size() -> None:
    """LED-LOG-4."""
    root = hash_leaf(encode_struct(GENESIS))
    hashes = [
        compute_app_hash(state_root=one, log_root=two, log_size=size)
        for one, two, size in [(root, root, 1), (bytes(32), root, 1), (root, bytes(32), 1), (root, root, 2)]
    ]

    assert len(dict.fromkeys(hashes)) == len(hashes)
    assert all(len(decode_digest(one)) == len(root) for one in hashes)
