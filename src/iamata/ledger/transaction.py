"""What every transaction and every signed statement inside one has in common.

A transaction is the payload of a JWS; a statement is the payload of a JWS that a transaction carries,
signed by somebody else than its submitter: a patient's grant, a proof that a key's holder wants it.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar, Final, Generic, TypeVar, dataclass_transform

import msgspec

from iamata.crypto.jws import Jws
from iamata.model.ids import KeyId, NetworkId, Nonce
from iamata.model.instants import Instant

TRANSACTION_TYP: Final = "iamata-tx+jwt"
NAME_LENGTH_MAX: Final = 120
ROLES_MAX: Final = 16
COUNT_MAX: Final = 1_000_000_000

DisplayName = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_LENGTH_MAX)]
Count = Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)]
CountOrNone = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Transaction(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """Name the network, the one use and the end of a transaction; its `type` says the rest."""

    network: NetworkId
    nonce: Nonce
    expires_ms: Instant


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Statement(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Name the network that a statement is for, so that it means nothing on another."""

    typ: ClassVar[str]

    network: NetworkId


StatementT = TypeVar("StatementT", bound=Statement)


class Signed(Generic[StatementT]):
    """A statement with the signature over its exact bytes; it travels as a compact JWS."""

    __slots__ = ("jws", "payload", "text")

    def __init__(self, *, text: str, jws: Jws, payload: StatementT) -> None:
        self.text = text
        self.jws = jws
        self.payload = payload

    @property
    def key(self) -> KeyId:
        """Name the key that signed, whose holder it is for the rules to decide."""
        return self.jws.key


def is_ascending(values: Sequence[str]) -> bool:
    """Tell whether a list is sorted and names nothing twice, so that it has one spelling."""
    return all(one < other for one, other in pairwise(values))


class Possession(Statement):
    """Prove that who holds a new key wants it to speak for this subject."""

    typ: ClassVar[str] = "iamata-possession+jwt"

    subject: str
    """`member/…`; `person/…@member` or `patient/…@custodian`, under rules 1 without the member."""
