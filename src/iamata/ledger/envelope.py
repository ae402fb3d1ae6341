"""Read a transaction in its one spelling, and say which signatures its truth depends on.

Reading is separate from checking signatures, so that a process with no state can check them.
"""

import functools
from collections.abc import Iterator
from typing import Any, Final, Union, get_args, get_origin

import msgspec

from iamata.crypto.ed25519 import SigningKey
from iamata.crypto.jws import Jws, decode_jws, sign_jws, verify_jws
from iamata.ledger.transaction import TRANSACTION_TYP, Signed, Statement, Transaction
from iamata.ledger.transactions import HANDLERS
from iamata.model.canonical import encode_struct
from iamata.model.ids import KeyId, TxId
from iamata.model.reasons import Reason, Refused, require

TRANSACTION_BYTES_MAX: Final = 16_384
TYPES: Final[tuple[type[Transaction], ...]] = tuple(HANDLERS)


class SignedTransaction(msgspec.Struct, frozen=True, gc=False):
    """A transaction that is well formed; whether its signatures hold is another question."""

    raw: bytes
    id: TxId
    jws: Jws
    body: Transaction

    @property
    def key(self) -> KeyId:
        """Name the key that signed it."""
        return self.jws.key


def read_transaction(raw: bytes) -> SignedTransaction:
    """Parse one compact JWS into a typed transaction, or refuse each other spelling of it."""
    require(len(raw) <= TRANSACTION_BYTES_MAX, Reason.TOO_LARGE)
    jws = decode_jws(raw, typ=TRANSACTION_TYP)
    body = _decode_body(jws.payload)
    for part in find_parts(body):
        require(part.payload.network == body.network, Reason.FOREIGN_NETWORK)
    return SignedTransaction(raw=raw, id=jws.compute_id(), jws=jws, body=body)


def has_valid_signatures(transaction: SignedTransaction) -> bool:
    """Check the submitter's signature and that of every statement inside. This is the slow part."""
    return all(verify_jws(token) for token in list_tokens(transaction))


def list_tokens(transaction: SignedTransaction) -> list[Jws]:
    """List what must carry a valid signature: the transaction and every statement inside."""
    return [transaction.jws, *(part.jws for part in find_parts(transaction.body))]


def find_parts(body: Transaction) -> Iterator[Signed[Statement]]:
    """List the signed statements that a transaction carries."""
    for name in _SIGNED_FIELDS[type(body)]:
        value = getattr(body, name)
        if isinstance(value, Signed):
            yield value
        else:
            yield from value


def sign_transaction(body: Transaction, key: SigningKey) -> bytes:
    """Spell a transaction and sign it."""
    return sign_jws(key, typ=TRANSACTION_TYP, payload=_ENCODER.encode(body))


def sign_statement(statement: Statement, key: SigningKey) -> Signed[Any]:
    """Sign a statement so that a transaction can carry it."""
    raw = sign_jws(key, typ=statement.typ, payload=encode_struct(statement))
    return Signed(text=raw.decode("ascii"), jws=decode_jws(raw, typ=statement.typ), payload=statement)


def read_statement(text: str, kind: type[Statement]) -> Signed[Any]:
    """Parse a signed statement that arrived outside a transaction; its signature is still unchecked."""
    return _read_signed(text, kind)


def _decode_body(payload: bytes) -> Transaction:
    try:
        return _decode(_TRANSACTIONS, payload)  # type: ignore[no-any-return]  # typed by the decoder
    except Refused as refused:
        require(refused.reason is not Reason.MALFORMED or _has_known_type(payload), Reason.UNKNOWN_TYPE)
        raise


def _has_known_type(payload: bytes) -> bool:
    try:
        return msgspec.json.decode(payload, type=_Tagged).type in _TAGS
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True  # what is no transaction at all has no unknown type either


def _decode(decoder: "msgspec.json.Decoder[Any]", payload: bytes) -> Any:  # noqa: ANN401  typed by the decoder
    try:
        value = decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED) from error
    require(_ENCODER.encode(value) == payload, Reason.NOT_CANONICAL)
    return value


def _read_hook(kind: Any, value: Any) -> Signed[Any]:  # noqa: ANN401  the library's signature
    if get_origin(kind) is not Signed or not isinstance(value, str):
        message = "not a signed statement"
        raise ValueError(message)
    return _read_signed(value, get_args(kind)[0])


def _read_signed(text: str, kind: type[Statement]) -> Signed[Any]:
    require(text.isascii() and len(text) <= TRANSACTION_BYTES_MAX, Reason.MALFORMED)
    jws = decode_jws(text.encode("ascii"), typ=kind.typ)
    return Signed(text=text, jws=jws, payload=_decode(_get_decoder(kind), jws.payload))


@functools.cache
def _get_decoder(kind: type[Statement]) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)


def _write_hook(value: Any) -> str:  # noqa: ANN401  the library's signature
    if isinstance(value, Signed):
        return value.text
    message = "only signed statements need help"
    raise TypeError(message)


def _find_signed_fields(kind: type[Transaction]) -> dict[str, type[Statement]]:
    found = {}
    for field in msgspec.structs.fields(kind):
        inner = get_args(field.type)[0] if get_origin(field.type) is tuple else field.type
        if get_origin(inner) is Signed:
            found[field.name] = get_args(inner)[0]
    return found


class _Tagged(msgspec.Struct):
    type: str


_TAGS: Final = tuple(str(kind.__struct_config__.tag) for kind in TYPES)
_SIGNED_FIELDS: Final = {kind: _find_signed_fields(kind) for kind in TYPES}
_ENCODER: Final = msgspec.json.Encoder(order="sorted", enc_hook=_write_hook)
_TRANSACTIONS: Final = msgspec.json.Decoder(Union[TYPES], dec_hook=_read_hook)  # noqa: UP007  a computed union
