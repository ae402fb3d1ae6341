"""JWS compact (RFC 7515) with Ed25519 (RFC 9864), in its one spelling.

The protected header equals its template byte for byte, and every segment re-encodes to itself: a 64-byte
signature has sixteen spellings that lax decoders take, and each would be another transaction. What the
payload means is its reader's concern.
"""

import binascii
import functools
import hashlib
from typing import Final

import msgspec

from iamata.crypto.ed25519 import SIGNATURE_BYTES, SigningKey, is_valid
from iamata.model.ids import KeyId, TxId, encode_digest
from iamata.model.reasons import Reason, Refused, require

JWS_BYTES_MAX: Final = 65_536
"""What a token may measure where its reader names no limit of its own."""

_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/...")
"""Turns what base64url does not use into a character that no encoder writes."""
_PADDING: Final = (b"", b"===", b"==", b"=")

# The header is {"alg":"Ed25519","kid":"<43 characters>","typ":"<typ>"}. Cut at multiples of three bytes,
# its base64url falls into three parts spelt by themselves: a constant, the key, a constant for each typ.
_HEAD: Final = b'{"alg":"Ed25519","kid":"'
_AFTER_KEY: Final = b'",'
_KEY_CHARS: Final = 43
_KEY_BEGIN: Final = len(_HEAD) // 3 * 4
_KEY_END: Final = _KEY_BEGIN + (_KEY_CHARS + len(_AFTER_KEY)) // 3 * 4


class Jws(msgspec.Struct, frozen=True, gc=False):
    """A token in its parts; whether its signature holds is for `verify_jws` to say."""

    key: KeyId
    payload: bytes
    signing_input: bytes
    signature: bytes

    def compute_id(self) -> TxId:
        """Name what was signed, whatever its signature: SHA-256 of the signing input."""
        return TxId(encode_digest(hashlib.sha256(self.signing_input).digest()))


def sign_jws(key: SigningKey, *, typ: str, payload: bytes) -> bytes:
    """Write a token over these payload bytes."""
    middle = _encode(key.key_id.encode("ascii") + _AFTER_KEY)
    signing_input = _ENCODED_HEAD + middle + _compute_tail(typ) + b"." + _encode(payload)
    return signing_input + b"." + _encode(key.sign(signing_input))


def decode_jws(raw: bytes, *, typ: str, bytes_max: int = JWS_BYTES_MAX) -> Jws:
    """Read a token of this type, or refuse every spelling but one."""
    require(len(raw) <= bytes_max, Reason.TOO_LARGE)
    signing_input, _, encoded_signature = raw.rpartition(b".")
    header, _, payload = signing_input.partition(b".")
    key = _decode_header(header, typ)
    signature = _decode(encoded_signature)
    require(len(signature) == SIGNATURE_BYTES, Reason.MALFORMED)
    return Jws(key, _decode(payload), signing_input, signature)


def verify_jws(jws: Jws) -> bool:
    """Tell whether the key that the header names made the signature."""
    return is_valid(jws.key, jws.signing_input, jws.signature)


@functools.lru_cache(maxsize=4_096)  # few nodes sign most of what there is
def _decode_header(header: bytes, typ: str) -> KeyId:
    is_template = header[:_KEY_BEGIN] == _ENCODED_HEAD and header[_KEY_END:] == _compute_tail(typ)
    require(is_template, Reason.NOT_CANONICAL)
    middle = _decode(header[_KEY_BEGIN:_KEY_END])
    key = middle[:_KEY_CHARS]
    require(middle[_KEY_CHARS:] == _AFTER_KEY, Reason.NOT_CANONICAL)
    _decode(key)  # one spelling of the key as well
    return KeyId(key.decode("ascii"))


@functools.lru_cache(maxsize=64)
def _compute_tail(typ: str) -> bytes:
    if not (typ.isascii() and typ.isprintable()) or '"' in typ or "\\" in typ:
        message = f"{typ!r} is not a media type"
        raise ValueError(message)
    return _encode(f'"typ":"{typ}"}}'.encode("ascii"))


def _encode(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=")


def _decode(segment: bytes) -> bytes:
    standard = segment.translate(_FROM_URL) + _PADDING[len(segment) & 3]
    try:
        data = binascii.a2b_base64(standard)
    except binascii.Error as error:
        raise Refused(Reason.MALFORMED, "not base64url") from error
    # The library skips strange characters and drops spare bits; writing it again shows both.
    require(binascii.b2a_base64(data, newline=False) == standard, Reason.NOT_CANONICAL)
    return data


_ENCODED_HEAD: Final = _encode(_HEAD)
