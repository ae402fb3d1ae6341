"""A site's secrets for one round, all derived from one seed, and what it does with them.

One seed of 32 fresh random bytes and the plan fix every message that the site can ever send. A site
that comes back after a crash therefore repeats itself byte for byte, and never says two things; and an
auditor who is given the seed can run the site again and compare.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from iamata.crypto import aead, agreement, hkdf, shamir
from iamata.crypto.commitments import compute_commitment
from iamata.crypto.keystream import Keystream
from iamata.learning.secure_sum.messages import Keys
from iamata.model.reasons import Refused

SEED_BYTES: Final = 32
COMMITMENT_KIND: Final = "secure-sum.vector"

_ONCE: Final = bytes(aead.NONCE_BYTES)
"""Every key here seals one thing, so its nonce need not differ from any other."""
_PREFIX: Final = b"iamata/1/secure-sum."


class Material:
    """What only this site knows in this round. Its text form says nothing about it."""

    def __init__(self, seed: bytes, *, plan_digest: bytes) -> None:
        if len(seed) != SEED_BYTES:
            message = f"a round takes a seed of {SEED_BYTES} random bytes"
            raise ValueError(message)
        self._seed = seed
        self._plan_digest = plan_digest
        self.channel = self._derive("channel")
        self.masking = self._derive("masking")
        self.self_mask = self._derive("self-mask")
        self.group_part = self._derive("group")
        self.salt = self._derive("vector")

    def __repr__(self) -> str:
        return "Material()"

    def write_keys(self, *, sender: int, vector: bytes) -> Keys:
        """Write the public half of it, and the commitment to the vector's bytes."""
        return Keys(
            plan=self._plan_digest,
            sender=sender,
            seen=self._plan_digest,
            channel=agreement.derive_public_key(self.channel),
            masking=agreement.derive_public_key(self.masking),
            self_mask=hash_secret("self-mask", self.self_mask),
            vector=compute_commitment(COMMITMENT_KIND, self.salt, vector),
        )

    def split_secrets(self, *, threshold: int, holders: int) -> list[tuple[bytes, bytes]]:
        """Share the masking key and the self-mask's secret: a pair of shares for each seat."""
        size = shamir.compute_entropy_bytes(threshold)
        stream = Keystream(self._derive("polynomials"))
        masking, own = (
            shamir.split(secret, threshold=threshold, holders=holders, entropy=stream.read(size))
            for secret in (self.masking, self.self_mask)
        )
        return list(zip(masking, own, strict=True))

    def derive_channel(self, peer: bytes, *, seen: bytes, sender: int, recipient: int) -> bytes:
        """Derive the key that seals shares from one site to another; refuse a peer's key that is none."""
        info = _PREFIX + b"shares\x00" + sender.to_bytes(2, "big") + recipient.to_bytes(2, "big")
        shared = agreement.agree(self.channel, peer)
        return hkdf.derive(shared, salt=seen, info=info, size_bytes=aead.KEY_BYTES)

    def _derive(self, what: str) -> bytes:
        info = _PREFIX + b"seed." + what.encode("ascii")
        return hkdf.derive(self._seed, salt=self._plan_digest, info=info, size_bytes=32)


def hash_secret(what: str, secret: bytes) -> bytes:
    """Commit to 32 random bytes, which need no salt."""
    return hashlib.sha256(_PREFIX + what.encode("ascii") + b"\x00" + secret).digest()


def join_group(parts: Sequence[bytes]) -> bytes:
    """Make the group's secret, which no one site chose, from what each added."""
    joined = 0
    for part in parts:
        joined ^= int.from_bytes(part, "big")
    return joined.to_bytes(32, "big")


def derive_group_key(group: bytes, *, seen: bytes, what: str, sender: int = 0) -> bytes:
    """Derive one of the group's keys: for what one member reveals, or for hashing the sum."""
    info = _PREFIX + b"group." + what.encode("ascii") + b"\x00" + sender.to_bytes(2, "big")
    return hkdf.derive(group, salt=seen, info=info, size_bytes=32)


def seal_once(key: bytes, plaintext: bytes, *, seen: bytes) -> bytes:
    """Seal the one thing that a key is for, bound to the transcript."""
    return aead.seal(key, _ONCE, plaintext, associated=seen)


def open_once(key: bytes, sealed: bytes, *, seen: bytes) -> bytes:
    """Open it, or refuse."""
    return aead.open_sealed(key, _ONCE, sealed, associated=seen)


def find_secret(
    shares: Mapping[int, bytes], *, threshold: int, is_right: Callable[[bytes], bool]
) -> bytes | None:
    """Restore a secret from the shares that seats revealed, the one that is right, or find none.

    Where more have revealed than must, one of them may have lied: each is left out in turn.
    """
    seats = sorted(shares)
    for left_out in (None, *seats):
        chosen = [seat for seat in seats if seat != left_out][:threshold]
        if len(chosen) < threshold:
            return None
        try:
            restorer = _make_restorer(tuple(seat + 1 for seat in chosen))
            secret = restorer.restore([shares[seat] for seat in chosen])
        except Refused:
            continue
        if is_right(secret):
            return secret
    return None


@functools.lru_cache(maxsize=16)  # all secrets of a round are restored by the same seats
def _make_restorer(holders: tuple[int, ...]) -> shamir.Restorer:
    return shamir.Restorer(holders)
