"""Share codes short enough to read out or paste: what the ledger knows anyway is left out.

A share code is a signed statement. Its custodian and the key that checks it follow from the pseudonym, and
its recipient is whoever asks, so 103 bytes in 138 characters say the rest.
"""

import base64
from typing import Final

from iamata.ledger.envelope import read_statement
from iamata.ledger.tables import PATIENTS
from iamata.model.canonical import encode_struct
from iamata.model.ids import (
    RANDOM_ID_BYTES,
    KeyId,
    MemberId,
    Nonce,
    PatientId,
    compute_random_id,
    encode_digest,
)
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import Engine
from iamata.workflows.messages import SHARE_CODE_LENGTH_MAX, ShareCode, read_message

VERSION: Final = b"\x01"
INSTANT_BYTES: Final = 6
SIGNATURE_BYTES: Final = 64
CODE_BYTES: Final = 1 + 2 * RANDOM_ID_BYTES + INSTANT_BYTES + SIGNATURE_BYTES


def shorten(statement: str) -> str:
    """Spell a signed share code in the short form."""
    signed = read_statement(statement, ShareCode)
    code: ShareCode = signed.payload
    until = code.until_ms.to_bytes(INSTANT_BYTES)
    return encode_digest(VERSION + _pack(code.patient) + _pack(code.nonce) + until + signed.jws.signature)


def expand(engine: Engine, text: str, *, recipient: MemberId) -> tuple[MemberId, str]:
    """Return the custodian and the signed statement that a short code stands for.

    A well-formed code that fits nobody gets the answer that a patient without consent gets.
    """
    patient, nonce, until_ms, signature = _unpack(text)
    entry = PATIENTS.find(engine.snapshot(), patient)
    for key in () if entry is None else entry.keys:
        code = ShareCode(
            network=engine.network,
            custodian=entry.custodian if entry else recipient,
            patient=patient,
            recipient=recipient,
            nonce=nonce,
            until_ms=until_ms,
        )
        statement = _write_statement(code, key, signature)
        if _is_signed(statement, engine):
            return code.custodian, statement
    raise Refused(Reason.NOT_FOUND)


def _write_statement(code: ShareCode, key: KeyId, signature: bytes) -> str:
    header = f'{{"alg":"Ed25519","kid":"{key}","typ":"{code.typ}"}}'.encode("ascii")
    return ".".join(map(encode_digest, (header, encode_struct(code), signature)))


def _is_signed(statement: str, engine: Engine) -> bool:
    try:
        read_message(statement, ShareCode, network=engine.network)
    except Refused:
        return False
    return True


def _unpack(text: str) -> tuple[PatientId, Nonce, Instant, bytes]:
    require(len(text) <= SHARE_CODE_LENGTH_MAX, Reason.INPUT_INVALID, "this is no share code")
    bare = text.strip()
    try:
        raw = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise Refused(Reason.INPUT_INVALID, "this is no share code") from error
    require(len(raw) == CODE_BYTES and raw[:1] == VERSION, Reason.INPUT_INVALID, "this is no share code")
    ids, until, signature = raw[1:33], raw[33 : 33 + INSTANT_BYTES], raw[-SIGNATURE_BYTES:]
    patient, nonce = compute_random_id(ids[:RANDOM_ID_BYTES]), compute_random_id(ids[RANDOM_ID_BYTES:])
    return PatientId(patient), Nonce(nonce), Instant(int.from_bytes(until)), signature


def _pack(random_id: str) -> bytes:
    return base64.b32decode(random_id.upper() + "=" * (-len(random_id) % 8))
