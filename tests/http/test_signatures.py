"""Requests are signed as RFC 9421 says; what differs from the one profile in anything is refused."""

from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.ed25519 import SigningKey, is_valid
from iamata.model.ids import KeyId, Nonce
from iamata.model.reasons import Reason, Refused
from iamata.wire.digests import check_content_digest, write_content_digest
from iamata.wire.fields import parse_signature, parse_signature_input
from iamata.wire.signatures import Message, Proof, check_request, sign_request, write_base

KEY: Final = SigningKey.from_seed(bytes(range(32)))
NONCE: Final = Nonce("a" * 26)
NOW_S: Final = 1_700_000_000
BODY: Final = b'{"hello": "world"}'
MESSAGE: Final = Message(
    method="POST", authority="node.example:8100", path="/v1/requests", query="a=1&b=%20", fields={}
)

# RFC 9421, B.1.4 and B.2.6
PUBLISHED_KEY: Final = KeyId("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs")
PUBLISHED_INPUT: Final = (
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
PUBLISHED_SIGNATURE: Final = (
    "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
)
PUBLISHED: Final = Message(
    method="POST",
    authority="example.com",
    path="/foo",
    query="param=Value&Pet=dog",
    fields={
        "date": "Tue, 20 Apr 2021 02:07:55 GMT",
        "content-type": "application/json",
        "content-length": "18",
    },
)


def sign(message: Message = MESSAGE, body: bytes = BODY, *, now_s: int = NOW_S) -> Message:
    return msgspec.structs.replace(
        message, fields=sign_request(KEY, message, body, now_s=now_s, nonce=NONCE)
    )


def refuse(message: Message, body: bytes = BODY, *, now_s: int = NOW_S) -> Reason:
    with pytest.raises(Refused) as caught:
        check_request(message, body, now_s=now_s)
    return caught.value.reason


def test_the_published_example_verifies() -> None:
    given_input = parse_signature_input(PUBLISHED_INPUT)

    base = write_base(PUBLISHED, given_input.components, given_input.text)

    assert base.decode("ascii").splitlines() == [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@method": POST',
        '"@path": /foo',
        '"@authority": example.com',
        '"content-type": application/json',
        '"content-length": 18',
        f'"@signature-params": {PUBLISHED_INPUT.removeprefix("sig-b26=")}',
    ]
    assert is_valid(PUBLISHED_KEY, base, parse_signature(PUBLISHED_SIGNATURE, label="sig-b26"))


def test_the_published_digests_are_ours() -> None:
    # RFC 9530, B.1 and the body of RFC 9421's examples
    assert write_content_digest(b'{"hello": "world"}\n') == (
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    )
    assert write_content_digest(BODY) == "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"


def test_a_signed_request_names_its_key() -> None:
    assert check_request(sign(), BODY, now_s=NOW_S) == Proof(
        key=KEY.key_id, nonce=NONCE, expires_s=NOW_S + 60
    )


def test_a_request_without_a_body_is_signed_too() -> None:
    signed = sign(msgspec.structs.replace(MESSAGE, method="GET"), b"")

    assert check_request(signed, b"", now_s=NOW_S).key == KEY.key_id


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"authority": "other.example:8100"},
        {"path": "/v1/receipts"},
        {"query": "a=2&b=%20"},
        {"query": "a=1&b=+"},
    ],
)
def test_no_covered_part_can_be_changed(change: dict[str, str]) -> None:
    assert refuse(msgspec.structs.replace(sign(), **change)) is Reason.BAD_SIGNATURE


def test_the_body_cannot_be_changed() -> None:
    assert refuse(sign(), BODY + b" ") is Reason.BODY_CHANGED


def test_the_digest_cannot_be_changed_with_the_body() -> None:
    signed, other = sign(), BODY + b" "
    fields = {**signed.fields, "content-digest": write_content_digest(other)}

    assert refuse(msgspec.structs.replace(signed, fields=fields), other) is Reason.BAD_SIGNATURE


def test_a_body_cannot_be_added_or_taken_away() -> None:
    bare = sign(MESSAGE, b"")

    assert refuse(bare, BODY) is Reason.NOT_SIGNED
    assert refuse(sign(), b"") is Reason.NOT_SIGNED


def test_an_unsigned_request_is_refused() -> None:
    assert refuse(MESSAGE) is Reason.NOT_SIGNED


@pytest.mark.parametrize(
    ("now_s", "reason"),
    [
        (NOW_S + 60, None),
        (NOW_S + 61, Reason.EXPIRED),
        (NOW_S - 60, None),
        (NOW_S - 61, Reason.EXPIRED),
    ],
)
def test_a_signature_lives_a_minute(now_s: int, reason: Reason | None) -> None:
    if reason is None:
        assert check_request(sign(), BODY, now_s=now_s).key == KEY.key_id
    else:
        assert refuse(sign(), now_s=now_s) is reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"@query" ', "", Reason.NOT_SIGNED),
        ('"@method" "@authority"', '"@authority" "@method"', Reason.NOT_SIGNED),
        ("sig=(", "sig=( ", Reason.MALFORMED),
        (";alg=", "; alg=", Reason.MALFORMED),
        ('alg="ed25519"', 'alg="hmac-sha256"', Reason.NOT_SIGNED),
        ('tag="iamata/1"', 'tag="other"', Reason.NOT_SIGNED),
        (f'nonce="{NONCE}";', "", Reason.MALFORMED),
        (f'nonce="{NONCE}"', 'nonce="short"', Reason.MALFORMED),
        ("created=1700000000", "created=01700000000", Reason.MALFORMED),
        ("created=1700000000", "created=1700000001", Reason.BAD_SIGNATURE),
        ("expires=1700000060", "expires=1700000301", Reason.EXPIRES_TOO_LATE),
        ("expires=1700000060", "expires=1700000059", Reason.BAD_SIGNATURE),
        (";tag=", ';more="x";tag=', Reason.MALFORMED),
    ],
)
def test_the_input_has_one_spelling(old: str, new: str, reason: Reason) -> None:
    signed = sign()
    changed = signed.fields["signature-input"].replace(old, new)
    assert changed != signed.fields["signature-input"]

    fields = {**signed.fields, "signature-input": changed}

    assert refuse(msgspec.structs.replace(signed, fields=fields)) is reason


def test_a_second_signature_is_refused() -> None:
    signed = sign()
    fields = {name: f"{value}, {value}" for name, value in signed.fields.items()}

    assert refuse(msgspec.structs.replace(signed, fields=fields)) is Reason.MALFORMED


@given(st.text(max_size=300))
def test_any_text_as_a_field_is_refused_by_name(text: str) -> None:
    for name in ("signature", "signature-input", "content-digest"):
        signed = sign()
        fields = {**signed.fields, name: text}
        if fields == signed.fields:
            continue
        assert refuse(msgspec.structs.replace(signed, fields=fields)) in {
            Reason.MALFORMED,
            Reason.NOT_CANONICAL,
            Reason.NOT_SIGNED,
        }


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=7), st.data())
def test_no_flipped_bit_of_a_body_passes(body: bytes, bit: int, data: st.DataObject) -> None:
    digest = write_content_digest(body)
    check_content_digest(digest, body)
    if body:
        place = data.draw(st.integers(min_value=0, max_value=len(body) - 1))
        other = bytearray(body)
        other[place] ^= 1 << bit
        with pytest.raises(Refused):
            check_content_digest(digest, bytes(other))
