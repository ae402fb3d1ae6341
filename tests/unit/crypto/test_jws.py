"""One token has one spelling: each other one is refused, whatever other decoders would make of it."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.crypto.ed25519 import SigningKey, derive_key_id
from iamata.crypto.jws import JWS_BYTES_MAX, decode_jws, sign_jws, verify_jws
from iamata.model.reasons import Reason, Refused

TYP = "iamata-tx+jwt"
SEED = bytes(range(32))
KEY = SigningKey.from_seed(SEED)
PAYLOAD = b'{"n":1}'
TOKEN = sign_jws(KEY, typ=TYP, payload=PAYLOAD)
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def reason_for(token: bytes, *, typ: str = TYP) -> Reason | None:
    try:
        decode_jws(token, typ=typ)
    except Refused as refused:
        return refused.reason
    return None


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def with_header(header: str) -> bytes:
    _, payload, signature = TOKEN.split(b".")
    return b".".join([encode(header.encode()), payload, signature])


def test_a_token_is_what_rfc_7515_says() -> None:
    header, payload, signature = TOKEN.split(b".")

    assert json.loads(base64.urlsafe_b64decode(header + b"==")) == {
        "alg": "Ed25519",
        "kid": KEY.key_id,
        "typ": TYP,
    }
    assert base64.urlsafe_b64decode(payload + b"==") == PAYLOAD
    assert base64.urlsafe_b64decode(signature + b"==") == KEY.sign(header + b"." + payload)


@given(
    st.binary(max_size=300), st.binary(min_size=32, max_size=32), st.sampled_from(["a", "ab", "abc", TYP])
)
def test_what_is_signed_is_read_back_and_verifies(payload: bytes, seed: bytes, typ: str) -> None:
    jws = decode_jws(sign_jws(SigningKey.from_seed(seed), typ=typ, payload=payload), typ=typ)

    assert (jws.key, jws.payload) == (derive_key_id(seed), payload)
    assert verify_jws(jws)


def test_the_id_depends_on_what_was_signed_and_not_on_the_signature() -> None:
    other = TOKEN.rpartition(b".")[0] + b"." + encode(bytes(64))

    assert decode_jws(other, typ=TYP).compute_id() == decode_jws(TOKEN, typ=TYP).compute_id()
    assert not verify_jws(decode_jws(other, typ=TYP))


def test_of_the_sixteen_spellings_of_a_signature_one_is_accepted() -> None:
    """64 bytes are 512 bits in 86 characters of 6: the last four bits mean nothing to lax decoders."""
    last = ALPHABET.index(TOKEN[-1:])
    spellings = [TOKEN[:-1] + ALPHABET[i : i + 1] for i in range(last & ~15, (last & ~15) + 16)]
    wanted = base64.urlsafe_b64decode(TOKEN.rpartition(b".")[2] + b"==")

    assert all(base64.urlsafe_b64decode(one.rpartition(b".")[2] + b"==") == wanted for one in spellings)
    assert [one for one in spellings if reason_for(one) is None] == [TOKEN]
    assert [reason_for(one) for one in spellings].count(Reason.NOT_CANONICAL) == 15


@pytest.mark.parametrize(
    "strange", [b"=", b"==", b"\n", b" ", b"+", b"/", b"\x00", b"A", b"AA", b".", b"~", b"\xff"]
)
def test_no_character_can_be_put_in_anywhere(strange: bytes) -> None:
    for at in range(len(TOKEN) + 1):
        token = TOKEN[:at] + strange + TOKEN[at:]
        is_other_payload = strange.isalpha() and TOKEN.count(b".", 0, at) == 1
        assert is_other_payload or reason_for(token) is not None, at


def test_standard_base64_is_refused() -> None:
    token = sign_jws(KEY, typ=TYP, payload=b"\xfb\xff\xfe")
    assert b".-__-." in token

    assert reason_for(token.replace(b".-__-.", b".+//+.")) is Reason.NOT_CANONICAL


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"EdDSA","kid":"KID","typ":"TYP"}',
        '{"alg":"none","kid":"KID","typ":"TYP"}',
        '{"alg":"HS256","kid":"KID","typ":"TYP"}',
        '{"alg":"Ed25519","kid":"KID","typ":"iamata-header+jwt"}',
        '{"alg":"Ed25519","kid":"KID","typ":"TYP","crit":[]}',
        '{"alg":"Ed25519","kid":"KID"}',
        '{"alg":"Ed25519","kid":"KID", "typ":"TYP"}',
        '{"alg": "Ed25519","kid":"KID","typ":"TYP"}',
        '{"kid":"KID","alg":"Ed25519","typ":"TYP"}',
        '{"alg":"Ed25519","kid":"KI","typ":"TYP"}',
        '{"alg":"Ed25519","kid":"","typ":"TYP"}',
        '{"alg":"Ed25519","kid":"KID","typ":"TYP"}\n',
        "",
        "{}",
    ],
)
def test_each_other_header_is_refused(header: str) -> None:
    token = with_header(header.replace("KID", KEY.key_id).replace("TYP", TYP))

    assert reason_for(token) is Reason.NOT_CANONICAL


def test_a_second_spelling_of_the_key_is_refused() -> None:
    last = ALPHABET.index(KEY.key_id[-1].encode())
    for other in ALPHABET[last + 1 : last + 4]:
        kid = KEY.key_id[:-1] + chr(other)
        token = with_header(f'{{"alg":"Ed25519","kid":"{kid}","typ":"{TYP}"}}')
        assert reason_for(token) is Reason.NOT_CANONICAL


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b".",
        b"..",
        b"...",
        TOKEN.rpartition(b".")[0],
        TOKEN + b".",
        b"." + TOKEN,
        TOKEN.rpartition(b".")[0] + b"." + encode(bytes(63)),
        TOKEN.rpartition(b".")[0] + b"." + encode(bytes(65)),
        TOKEN.rpartition(b".")[0] + b".",
        TOKEN.decode().encode("utf-16"),
        b"\xff" * 500,
    ],
)
def test_what_is_no_token_is_refused(token: bytes) -> None:
    assert reason_for(token) in {Reason.MALFORMED, Reason.NOT_CANONICAL}


def test_an_oversized_token_is_refused_before_it_is_read() -> None:
    assert reason_for(b"." * (JWS_BYTES_MAX + 1)) is Reason.TOO_LARGE
    with pytest.raises(Refused, match="TOO_LARGE"):
        decode_jws(TOKEN, typ=TYP, bytes_max=len(TOKEN) - 1)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(token: bytes) -> None:
    assert reason_for(token) is not None


@given(st.integers(0, len(TOKEN) - 1), st.integers(1, 255))
def test_no_byte_of_a_token_can_be_changed(at: int, flip: int) -> None:
    token = TOKEN[:at] + bytes([TOKEN[at] ^ flip]) + TOKEN[at + 1 :]

    assert reason_for(token) is not None or not verify_jws(decode_jws(token, typ=TYP))


@pytest.mark.parametrize("typ", ['a"b', "a\\b", "ä", "a\nb"])
def test_a_typ_that_json_would_escape_is_our_own_mistake(typ: str) -> None:
    with pytest.raises(ValueError, match="media type"):
        sign_jws(KEY, typ=typ, payload=b"")
