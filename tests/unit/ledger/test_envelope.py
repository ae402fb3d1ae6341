"""One transaction has one spelling: every other one is refused, whatever it means (LED-ENV)."""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.jws import sign_jws
from iamata.ledger.entries import MemberKind
from iamata.ledger.envelope import (
    TRANSACTION_BYTES_MAX,
    TYPES,
    has_valid_signatures,
    read_transaction,
    sign_transaction,
)
from iamata.ledger.transaction import TRANSACTION_TYP
from iamata.ledger.transactions.consents import GrantConsent
from iamata.ledger.transactions.members import InviteMember
from iamata.model.canonical import encode_canonical, encode_struct
from iamata.model.ids import MemberId, Nonce, encode_digest
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing.world import World

WORLD = World.found("envelope")
ANNA = WORLD.enrol_patient("anna", custodian="hospital-a")
NODE = WORLD.node("hospital-a").author
GRANT = NODE.write(GrantConsent, grant=WORLD.state_grant("c1", ANNA))
INVITATION = InviteMember(
    network=WORLD.engine.network,
    nonce=Nonce(WORLD.derive_id("nonce")),
    expires_ms=Instant(WORLD.clock() + 1000),
    invitation=WORLD.derive_id("invitation"),
    key=WORLD.stranger("key").key.key_id,
    member=MemberId("laboratory"),
    name="Laboratory",
    kind=MemberKind.LABORATORY,
    until_day=WORLD.today,
)
SPELLINGS = (
    Reason.MALFORMED,
    Reason.NOT_CANONICAL,
    Reason.TOO_LARGE,
    Reason.UNKNOWN_TYPE,
    Reason.FOREIGN_NETWORK,
)


def find_refusal(raw: bytes) -> Reason | None:
    """Return why a transaction cannot be read, None where it can."""
    try:
        read_transaction(raw)
    except Refused as refused:
        return refused.reason
    return None


def sign(payload: bytes) -> bytes:
    return sign_jws(NODE.key, typ=TRANSACTION_TYP, payload=payload)


def vary(**changes: Any) -> bytes:
    """Sign the invitation with members changed, in canonical spelling."""
    return sign(
        encode_canonical(
            json.loads(read_transaction(sign_transaction(INVITATION, NODE.key)).jws.payload) | changes
        )
    )


def test_a_valid_transaction_reads_back_and_its_signatures_hold() -> None:
    transaction = read_transaction(GRANT)

    assert has_valid_signatures(transaction)
    assert transaction.key == NODE.key.key_id
    assert isinstance(transaction.body, GrantConsent)
    assert transaction.body.grant.key == ANNA.author.key.key_id


def test_the_id_is_the_digest_of_the_signing_input() -> None:
    signing_input = GRANT.rsplit(b".", 1)[0]

    assert read_transaction(GRANT).id == encode_digest(hashlib.sha256(signing_input).digest())


@given(st.integers(0, len(GRANT) - 1), st.binary(min_size=1, max_size=1))
def test_any_other_byte_is_refused_or_breaks_a_signature(at: int, byte: bytes) -> None:
    raw = GRANT[:at] + byte + GRANT[at + 1 :]

    assert raw == GRANT or find_refusal(raw) in SPELLINGS or not has_valid_signatures(read_transaction(raw))


@given(st.integers(0, len(GRANT)), st.binary(min_size=1, max_size=3))
def test_inserted_bytes_are_refused(at: int, extra: bytes) -> None:
    raw = GRANT[:at] + extra + GRANT[at:]

    assert find_refusal(raw) in SPELLINGS or not has_valid_signatures(read_transaction(raw))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_never_a_crash(raw: bytes) -> None:
    assert find_refusal(raw) in SPELLINGS


@given(st.binary(max_size=200))
def test_arbitrary_signed_payloads_are_refused_never_a_crash(payload: bytes) -> None:
    assert find_refusal(sign(payload)) in SPELLINGS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.sampled_from(
        [
            field
            for field in INVITATION.__struct_fields__
            if field not in {"name", "until_day", "expires_ms"}
        ]
    ),
    JSON,
)
def test_a_member_of_another_type_is_refused(name: str, value: Any) -> None:
    payload = json.dumps(json.loads(read_payload()) | {name: value}, sort_keys=True, separators=(",", ":"))

    assert find_refusal(sign(payload.encode("utf-8", "surrogatepass"))) in SPELLINGS


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: str(kind.__struct_config__.tag))
def test_every_type_refuses_members_that_it_does_not_have(kind: type) -> None:
    common = {"network": WORLD.engine.network, "nonce": WORLD.derive_id("n"), "expires_ms": 1}
    payload = encode_canonical(common | {"type": kind.__struct_config__.tag, "zzz": 1})  # type: ignore[attr-defined]

    assert find_refusal(sign(payload)) is Reason.MALFORMED


@given(st.permutations(sorted(json.loads(read_transaction(GRANT).jws.payload).items())))
def test_members_in_another_order_are_refused(members: list[tuple[str, Any]]) -> None:
    payload = json.dumps(dict(members), separators=(",", ":")).encode()
    is_canonical = [name for name, _ in members] == sorted(name for name, _ in members)

    assert find_refusal(sign(payload)) is (None if is_canonical else Reason.NOT_CANONICAL)


@given(st.sampled_from([b" ", b"\t", b"\n", b"\r"]), st.data())
def test_white_space_is_refused(space: bytes, data: st.DataObject) -> None:
    payload = read_payload()
    places = [
        at
        for at in range(len(payload) + 1)
        if payload[:at].count(b'"') % 2 == 0 and not payload[at - 1 : at].isdigit()
    ]
    at = data.draw(st.sampled_from(places))

    assert find_refusal(sign(payload[:at] + space + payload[at:])) is Reason.NOT_CANONICAL


@given(st.data())
def test_needless_escapes_are_refused(data: st.DataObject) -> None:
    payload = read_payload()
    letters = [
        at for at in range(len(payload)) if chr(payload[at]).isalpha() and payload[:at].count(b'"') % 2
    ]
    at = data.draw(st.sampled_from(letters))
    escaped = payload[:at] + f"\\u{payload[at]:04x}".encode() + payload[at + 1 :]

    assert find_refusal(sign(escaped)) in SPELLINGS


@given(st.text(min_size=1, max_size=120))
def test_the_fast_encoder_spells_names_as_the_standard_does(name: str) -> None:
    body = InviteMember(
        **{field: getattr(INVITATION, field) for field in INVITATION.__struct_fields__} | {"name": name}
    )
    raw = sign_transaction(body, NODE.key)
    payload = read_transaction(raw).jws.payload

    assert payload == encode_canonical(json.loads(payload))
    assert payload == encode_struct(body)


@given(st.integers(0, 15))
def test_a_signature_has_one_of_its_sixteen_spellings(bits: int) -> None:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    first = alphabet.index(GRANT[-1]) & ~15
    raw = GRANT[:-1] + alphabet[first | bits : (first | bits) + 1]

    assert find_refusal(raw) is (None if raw == GRANT else Reason.NOT_CANONICAL)


def test_the_other_base64_alphabet_is_refused() -> None:
    raw = GRANT.translate(bytes.maketrans(b"-_", b"+/"))

    assert raw != GRANT
    assert find_refusal(raw) is Reason.NOT_CANONICAL


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"EdDSA","kid":"%s","typ":"iamata-tx+jwt"}',
        '{"alg":"Ed25519","kid":"%s","typ":"JWT"}',
        '{"alg":"Ed25519","kid":"%s"}',
        '{"alg":"Ed25519","crit":["exp"],"kid":"%s","typ":"iamata-tx+jwt"}',
        '{"alg": "Ed25519","kid":"%s","typ":"iamata-tx+jwt"}',
        '{"alg":"Ed25519","kid":"%s","typ":"iamata-tx+jwt"} ',
        '{"alg":"Ed25519","kid":"%s\\n","typ":"iamata-tx+jwt"}',
    ],
)
def test_any_other_header_is_refused(header: str) -> None:
    encoded = base64.urlsafe_b64encode((header % NODE.key.key_id).encode()).rstrip(b"=")
    signing_input = encoded + b"." + GRANT.split(b".")[1]
    signature = base64.urlsafe_b64encode(NODE.key.sign(signing_input)).rstrip(b"=")

    assert find_refusal(signing_input + b"." + signature) is Reason.NOT_CANONICAL


@given(st.data())
def test_every_other_spelling_of_a_statement_inside_is_refused(data: st.DataObject) -> None:
    body = read_transaction(GRANT).body
    assert isinstance(body, GrantConsent)
    text = body.grant.text
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii", exclude_categories=["Cc"]))
    changed = text[:at] + other + text[at + 1 :]
    payload = encode_canonical(json.loads(read_transaction(GRANT).jws.payload) | {"grant": changed})
    raw = sign(payload)

    assert (
        changed == text or find_refusal(raw) in SPELLINGS or not has_valid_signatures(read_transaction(raw))
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expires_ms": -1}, Reason.MALFORMED),
        ({"expires_ms": 2**53 - 1}, None),
        ({"expires_ms": True}, Reason.MALFORMED),
        ({"name": ""}, Reason.MALFORMED),
        ({"name": "x" * 121}, Reason.MALFORMED),
        ({"name": None}, Reason.MALFORMED),
        ({"kind": "circus"}, Reason.MALFORMED),
        ({"member": "Hospital"}, Reason.MALFORMED),
        ({"member": "-a-"}, Reason.MALFORMED),
        ({"invitation": "a" * 25 + "b"}, Reason.MALFORMED),
        ({"invitation": "A" * 26}, Reason.MALFORMED),
        ({"key": "A" * 42 + "B"}, Reason.MALFORMED),
        ({"type": 7}, Reason.MALFORMED),
        ({"until_day": 100_001}, Reason.MALFORMED),
    ],
)
def test_every_limit_of_a_member_holds(changes: dict[str, Any], reason: Reason | None) -> None:
    assert find_refusal(vary(**changes)) is reason


@pytest.mark.parametrize("name", ["invitation", "key", "member", "network", "nonce"])
def test_an_id_with_a_newline_at_its_end_is_another_spelling(name: str) -> None:
    """LED-ENV-8: a pattern's `$` matches before a last newline, so the id's type must say more."""
    assert find_refusal(vary(**{name: f"{getattr(INVITATION, name)}\n"})) is Reason.MALFORMED


@pytest.mark.parametrize(
    "payload", [b"[" * 9000, b'{"a":' * 2000, b'{"type":"member.invite","name":' + b"[" * 9000]
)
def test_deep_nesting_is_refused(payload: bytes) -> None:
    assert find_refusal(sign(payload)) is Reason.MALFORMED


@pytest.mark.parametrize("digits", [16, 19, 20, 5000])
def test_integers_beyond_the_safe_ones_are_refused(digits: int) -> None:
    payload = read_payload().replace(b'"until_day":', b'"until_day":' + b"9" * digits)

    assert find_refusal(sign(payload)) is Reason.MALFORMED


@pytest.mark.parametrize("number", [b"1.0", b"1e3", b"NaN", b"Infinity", b"01", b"+1", b"0x1"])
def test_numbers_that_are_no_plain_integers_are_refused(number: bytes) -> None:
    head, _, _ = read_payload().rpartition(b":")

    assert find_refusal(sign(head + b":" + number + b"}")) is Reason.MALFORMED


def test_minus_zero_is_another_spelling() -> None:
    head, _, _ = read_payload().rpartition(b":")

    assert find_refusal(sign(head + b":-0}")) is Reason.NOT_CANONICAL


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\xed\xa0\x80"', b'"\xff"', b'"\x00"'])
def test_text_that_is_no_unicode_is_refused(text: bytes) -> None:
    payload = read_payload().replace(b'"Laboratory"', text)

    assert find_refusal(sign(payload)) is Reason.MALFORMED


def test_normalisation_is_never_applied() -> None:
    composed, decomposed = vary(name="caf\u00e9"), vary(name="cafe\u0301")

    assert read_transaction(composed).id != read_transaction(decomposed).id


def test_size_is_refused_before_parsing() -> None:
    assert find_refusal(GRANT + b"A" * TRANSACTION_BYTES_MAX) is Reason.TOO_LARGE


def test_a_small_order_key_signs_nothing() -> None:
    neutral = encode_digest(bytes([1, *bytes(31)]))
    header = f'{{"alg":"Ed25519","kid":"{neutral}","typ":"{TRANSACTION_TYP}"}}'.encode()
    encoded = base64.urlsafe_b64encode(header).rstrip(b"=")
    forged = base64.urlsafe_b64encode(bytes([1, *bytes(63)])).rstrip(b"=")

    assert not has_valid_signatures(read_transaction(encoded + b"." + GRANT.split(b".")[1] + b"." + forged))


def read_payload() -> bytes:
    """Return the invitation's payload."""
    return read_transaction(sign_transaction(INVITATION, NODE.key)).jws.payload
