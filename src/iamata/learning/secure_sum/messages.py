"""What travels: six kinds of message, one for each phase, each signed and in its one spelling.

On the wire: `signature ‖ payload`, the payload a MessagePack array. The signature covers a context and
the payload's SHA-256, for payloads are megabytes and their digest is needed for the transcript anyway.
`seen` is the sender's transcript: the plan and every message that it has accepted. Two sites that were
shown different things sign different transcripts, and see it at the next message.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, TypeAlias

import msgspec

from iamata.crypto import ed25519
from iamata.crypto.aead import TAG_BYTES
from iamata.crypto.ed25519 import SIGNATURE_BYTES, SigningKey
from iamata.crypto.shamir import SHARE_BYTES
from iamata.learning.secure_sum.encoding import VALUES_MAX
from iamata.learning.secure_sum.plans import SITES_MAX, Plan
from iamata.model.reasons import Reason, Refused, require

SEALED_SHARES_BYTES: Final = 2 * SHARE_BYTES + 32 + TAG_BYTES
"""To each peer: a share of either secret, and what the sender adds to the group's key."""
MESSAGE_BYTES_MAX: Final = 8 * VALUES_MAX + 1_024

Bytes32: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]

_SIGNATURE: Final = b"iamata/1/secure-sum.message\x00"
_TRANSCRIPT: Final = b"iamata/1/secure-sum.transcript\x00"


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What all messages say: for which plan, by whom, and after having seen what."""

    phase: ClassVar[int]
    plan: Bytes32
    sender: Annotated[int, msgspec.Meta(ge=0, lt=SITES_MAX)]
    seen: Bytes32


class Keys(Message, frozen=True, array_like=True, forbid_unknown_fields=True, tag=0):
    """Fresh X25519 keys, and commitments to the self-mask and to the vector."""

    phase = 0
    channel: Bytes32
    """Seals shares. Never revealed."""
    masking: Bytes32
    """Makes the masks of pairs. Its private half is restored if the sender drops out."""
    self_mask: Bytes32
    vector: Bytes32


class Shares(Message, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Shares of the sender's two secrets, sealed to each peer in turn; for the sender itself nothing."""

    phase = 1
    group: Bytes32
    """SHA-256 of what the sender adds to the group's key."""
    sealed: tuple[Annotated[bytes, msgspec.Meta(max_length=SEALED_SHARES_BYTES)], ...]


class Masked(Message, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """The vector under all its masks: uniform to whoever lacks one of them."""

    phase = 2
    vector: Annotated[bytes, msgspec.Meta(max_length=8 * VALUES_MAX)]


class Survivors(Message, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """The sender's word that it saw this one set of masked vectors, and will help to unmask no other."""

    phase = 3


class Reveals(Message, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """One share for each peer, of one secret or the other, sealed to the group: the relay learns no sum."""

    phase = 4
    sealed: Annotated[bytes, msgspec.Meta(max_length=SITES_MAX * SHARE_BYTES + TAG_BYTES)]


class Sums(Message, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """A salted hash of the sum that the sender came to."""

    phase = 5
    total: Bytes32


AnyMessage: TypeAlias = Keys | Shares | Masked | Survivors | Reveals | Sums
Heard: TypeAlias = tuple[tuple[int, Bytes32], ...]
"""Who spoke in a phase, in the order of their seats, and the digest of what each said."""
PHASES: Final = ("keys", "shares", "masked", "survivors", "reveals", "sums")
"""In their order; an exchange each."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(AnyMessage)


@dataclass(frozen=True, slots=True)
class Signed:
    """A message whose signature holds, and the digest that it has in the transcript."""

    message: AnyMessage
    digest: bytes


def sign_message(key: SigningKey, message: AnyMessage) -> bytes:
    """Write a message for the wire; the same message is always the same bytes."""
    payload = _ENCODER.encode(message)
    return key.sign(_SIGNATURE + hashlib.sha256(payload).digest()) + payload


def read_message(raw: bytes, plan: Plan, *, plan_digest: bytes) -> Signed:
    """Read a message, or refuse what is too large, unsigned, of another plan, or spelled otherwise."""
    require(len(raw) <= MESSAGE_BYTES_MAX, Reason.TOO_LARGE)
    payload = memoryview(raw)[SIGNATURE_BYTES:]
    digest = hashlib.sha256(payload).digest()
    try:
        message: AnyMessage = _DECODER.decode(payload)
    except (msgspec.DecodeError, ValueError) as error:
        raise Refused(Reason.MALFORMED, "a message of a secure sum") from error
    require(message.plan == plan_digest and message.sender < len(plan.seats), Reason.ANOTHER_ROUND)
    seat = plan.seats[message.sender]
    is_signed = ed25519.is_valid(seat.key, _SIGNATURE + digest, raw[:SIGNATURE_BYTES])
    require(is_signed, Reason.BAD_SIGNATURE, seat.member)
    require(_ENCODER.encode(message) == payload, Reason.NOT_CANONICAL, seat.member)
    return Signed(message, digest)


def list_heard(messages: Sequence[Signed]) -> Heard:
    """Say what the transcript takes of messages that were accepted, in the order of their senders."""
    return tuple((one.message.sender, one.digest) for one in messages)


def digest_message(message: AnyMessage) -> bytes:
    """Compute the digest that a message has in the transcript."""
    return hashlib.sha256(_ENCODER.encode(message)).digest()


def extend_transcript(seen: bytes, phase: int, heard: Heard) -> bytes:
    """Compute the transcript after a phase in which this was accepted."""
    parts = [sender.to_bytes(2, "big") + digest for sender, digest in heard]
    head = _TRANSCRIPT + seen + phase.to_bytes(1, "big")
    return hashlib.sha256(b"".join([head, *parts])).digest()
