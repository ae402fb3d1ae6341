"""HTTP Message Signatures (RFC 9421) as nodes, staff and patients sign their requests: one profile.

A signature covers method, authority, path, query and the digest of the body; it names the ledger key that
made it, lives for a minute and is used once. Whose key it is, the ledger says; that is not asked here.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from iamata.crypto.ed25519 import SigningKey, is_valid
from iamata.model.ids import KeyId, Nonce
from iamata.model.reasons import Reason, Refused, require
from iamata.wire.digests import CONTENT_DIGEST, check_content_digest, write_content_digest
from iamata.wire.fields import (
    SignatureInput,
    parse_signature,
    parse_signature_input,
    write_parameters,
    write_signature,
)

TAG: Final = "iamata/1"
LABEL: Final = "sig"
VALID_S: Final = 60
"""How long a signature lives."""
VALID_S_MAX: Final = 300
"""A longer life is refused: a node remembers nonces no longer than this."""
AHEAD_S_MAX: Final = 60
"""How far the signer's clock may be ahead."""
COVERED: Final = ("@method", "@authority", "@path", "@query")
COVERED_WITH_BODY: Final = (*COVERED, CONTENT_DIGEST)
PARAMETERS: Final = ("created", "expires", "nonce", "keyid", "alg", "tag")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a request that a signature may cover."""

    method: str
    authority: str
    path: str
    query: str
    """Without its question mark."""
    fields: Mapping[str, str]
    """By lower-case names."""

    def find(self, component: str) -> str | None:
        """Return the value of a component (RFC 9421, 2), None where there is none."""
        derived = {
            "@method": self.method,
            "@authority": self.authority.lower(),
            "@path": self.path or "/",
            "@query": f"?{self.query}",
        }
        return derived.get(component, self.fields.get(component))


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That a key signed a request: what a node has still to hold against the ledger and its memory."""

    key: KeyId
    nonce: Nonce
    expires_s: int


class _Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    created: int
    expires: int
    nonce: Nonce
    keyid: KeyId
    alg: str
    tag: str


def sign_request(
    key: SigningKey, message: Message, body: bytes, *, now_s: int, nonce: str
) -> dict[str, str]:
    """Return the header fields that sign a request."""
    fields = {CONTENT_DIGEST: write_content_digest(body)} if body else {}
    covered = COVERED_WITH_BODY if body else COVERED
    values: tuple[str | int, ...] = (now_s, now_s + VALID_S, nonce, key.key_id, "ed25519", TAG)
    parameters = write_parameters(covered, dict(zip(PARAMETERS, values, strict=True)))
    base = write_base(msgspec.structs.replace(message, fields=fields), covered, parameters)
    return fields | {
        "signature-input": f"{LABEL}={parameters}",
        "signature": write_signature(LABEL, key.sign(base)),
    }


def check_request(message: Message, body: bytes, *, now_s: int) -> Proof:
    """Return which key signed a request just now, or refuse; whether it is new and known is asked later."""
    field, signature = message.fields.get("signature-input"), message.fields.get("signature")
    if field is None or signature is None:
        raise Refused(Reason.NOT_SIGNED)
    given = parse_signature_input(field)
    covered = COVERED_WITH_BODY if body else COVERED
    require(given.components == covered, Reason.NOT_SIGNED, f"a signature covers {' '.join(covered)}")
    require(tuple(given.parameters) == PARAMETERS, Reason.MALFORMED, "a signature's parameters")
    parameters = _convert(given)
    require((parameters.alg, parameters.tag) == ("ed25519", TAG), Reason.NOT_SIGNED, "its algorithm or tag")
    is_current = parameters.created <= now_s + AHEAD_S_MAX and now_s <= parameters.expires
    require(is_current, Reason.EXPIRED, "the request's signature")
    is_short = 0 < parameters.expires - parameters.created <= VALID_S_MAX
    require(is_short, Reason.EXPIRES_TOO_LATE, "the request's signature")
    if body:
        check_content_digest(message.fields.get(CONTENT_DIGEST, ""), body)
    base = write_base(message, covered, given.text)
    is_signed = is_valid(parameters.keyid, base, parse_signature(signature, label=given.label))
    require(is_signed, Reason.BAD_SIGNATURE, "of the request")
    return Proof(key=parameters.keyid, nonce=parameters.nonce, expires_s=parameters.expires)


def write_base(message: Message, covered: tuple[str, ...], parameters: str) -> bytes:
    """Write what is signed (RFC 9421, 2.5), or refuse where a covered component is missing."""
    lines = []
    for name in covered:
        value = message.find(name)
        if value is None:
            raise Refused(Reason.NOT_SIGNED, f"{name} is covered and missing")
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {parameters}')
    text = "\n".join(lines)
    require(text.isascii(), Reason.MALFORMED, "a request that is not ASCII")
    return text.encode("ascii")


def _convert(given: SignatureInput) -> _Parameters:
    try:
        return msgspec.convert(given.parameters, _Parameters)
    except msgspec.ValidationError as error:
        raise Refused(Reason.MALFORMED, "a signature's parameters") from error
