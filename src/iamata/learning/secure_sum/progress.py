"""How far a site has come in a round, as one value that can be kept sealed and taken up again.

It holds the round's seed, the vector and peers' shares, so at rest it is sealed under a key of the
node's; the key with which the member signs is not in it.
"""

from typing import Final

import msgspec

from iamata.crypto import aead
from iamata.learning.secure_sum.messages import Bytes32, Heard, Keys
from iamata.learning.secure_sum.plans import Plan
from iamata.model.reasons import Reason, Refused

_ASSOCIATED: Final = b"iamata/1/secure-sum.state\x00"


class PeerShares(msgspec.Struct, frozen=True, array_like=True):
    """What a peer entrusted to this site: of these two, one may be revealed."""

    masking: bytes
    self_mask: bytes


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What was said in a round, as far as its transcript rests on it: for an auditor."""

    keys: tuple[Keys, ...]
    """The first phase's messages."""
    heard: tuple[Heard, ...]
    """What was accepted in each phase after it, up to the reveals."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a site knows of a round."""

    plan: Plan
    seat: int
    seed: Bytes32
    vector: bytes
    sent: bytes
    """The last message, for whoever lost it."""
    seen: tuple[Bytes32, ...]
    """The transcript after each phase; first, before any, the plan's digest."""
    heard: tuple[Heard, ...] = ()
    """What was accepted in each phase."""
    keys: dict[int, Keys] = {}
    shares: dict[int, PeerShares] = {}
    group: bytes = b""
    total: bytes = b""
    """The sum as far as it is known: under its masks, then without."""
    is_final: bool = False
    refused: int = 0
    """The reason for which the site left the round, or 0."""
    detail: str = ""

    @property
    def last(self) -> bytes:
        """The transcript as it is now."""
        return self.seen[-1]

    @property
    def present(self) -> tuple[tuple[int, ...], ...]:
        """Tell whose messages were accepted in each phase."""
        return tuple(tuple(sender for sender, _ in heard) for heard in self.heard)


def seal_progress(progress: Progress, key: aead.Key, *, nonce: bytes) -> bytes:
    """Spell it, sealed; the nonce is never used again under this key."""
    return nonce + key.seal(nonce, msgspec.msgpack.encode(progress), associated=_ASSOCIATED)


def open_progress(sealed: bytes, key: aead.Key) -> Progress:
    """Read it back, or refuse what was changed."""
    nonce = sealed[: aead.NONCE_BYTES].ljust(aead.NONCE_BYTES, b"\x00")
    ciphertext = sealed[aead.NONCE_BYTES :]
    try:
        plaintext = key.open_sealed(nonce, ciphertext, associated=_ASSOCIATED)
        return msgspec.msgpack.decode(plaintext, type=Progress)
    except msgspec.DecodeError as error:
        raise Refused(Reason.CANNOT_OPEN, "the state of a round") from error
