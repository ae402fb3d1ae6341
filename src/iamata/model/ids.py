"""Typed identifiers, their spelling, and how random bytes become one.

Ids on the ledger are either names that an organisation chose for itself (members) or 128 random
bits (everything else), so that no id says anything about a person.
"""

import base64
import binascii
from typing import Annotated, Final, NewType

import msgspec

MEMBER_PATTERN: Final = r"^[a-z][a-z0-9-]{1,30}[a-z0-9]\Z"
RANDOM_PATTERN: Final = r"^[a-z2-7]{25}[aeimquy4]\Z"
"""RFC 4648 base32 of 16 bytes in lower case without padding: one spelling for each value."""
DIGEST_PATTERN: Final = r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z"
"""Base64url of 32 bytes without padding: one spelling for each value."""

RANDOM_ID_BYTES: Final = 16
DIGEST_BYTES: Final = 32

Name = Annotated[str, msgspec.Meta(pattern=MEMBER_PATTERN)]
RandomText = Annotated[str, msgspec.Meta(pattern=RANDOM_PATTERN)]
DigestText = Annotated[str, msgspec.Meta(pattern=DIGEST_PATTERN)]

MemberId = NewType("MemberId", Name)
PersonId = NewType("PersonId", RandomText)
PatientId = NewType("PatientId", RandomText)
"""A patient's pseudonym at one custodian."""
ConsentId = NewType("ConsentId", RandomText)
AnchorId = NewType("AnchorId", RandomText)
AccessId = NewType("AccessId", RandomText)
ProposalId = NewType("ProposalId", RandomText)
InvitationId = NewType("InvitationId", RandomText)
StudyId = NewType("StudyId", RandomText)
DatasetId = NewType("DatasetId", RandomText)
RunId = NewType("RunId", RandomText)
ModelId = NewType("ModelId", RandomText)
Nonce = NewType("Nonce", RandomText)

KeyId = NewType("KeyId", DigestText)
"""An Ed25519 public key in base64url: a signature names the key that checks it (ADR 3)."""
SealingKey = NewType("SealingKey", DigestText)
"""An X25519 public key in base64url."""
TxId = NewType("TxId", DigestText)
NetworkId = NewType("NetworkId", DigestText)
Commitment = NewType("Commitment", DigestText)
Digest = NewType("Digest", DigestText)


def compute_random_id(entropy: bytes) -> str:
    """Spell 16 random bytes as an id; the caller gives them the type that they mean."""
    if len(entropy) != RANDOM_ID_BYTES:
        message = f"an id needs {RANDOM_ID_BYTES} random bytes, not {len(entropy)}"
        raise ValueError(message)
    return base64.b32encode(entropy).decode("ascii").rstrip("=").lower()


def encode_digest(digest: bytes) -> str:
    """Spell bytes as base64url without padding."""
    text = binascii.b2a_base64(digest, newline=False)
    return text.translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode_digest(text: str) -> bytes:
    """Read base64url without padding, which must have been checked by its type."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
