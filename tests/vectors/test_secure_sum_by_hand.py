"""The frozen rounds as their specification alone explains them, with none of our code."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

FOLDER: Final = Path(__file__).resolve().parents[2] / "vectors" / "secure-sum"
PREFIX: Final = b"iamata/1/secure-sum."
MODULUS: Final = 2**64
PRIME: Final = 2**521 - 1


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")


def two(number: int) -> bytes:
    return number.to_bytes(2, "big")


class ByHand:
    """A frozen round, and what can be worked out of it by whoever has all seeds."""

    def __init__(self, path: Path) -> None:
        self.case = json.loads(path.read_bytes())
        plan = json.dumps(self.case["plan"], sort_keys=True, separators=(",", ":")).encode()
        self.digest = sha(PREFIX, b"plan\x00", plan)
        self.deliveries = [[bytes.fromhex(raw) for raw in one] for one in self.case["deliveries"]]
        self.read = [[msgspec.msgpack.decode(raw[64:]) for raw in one] for one in self.deliveries]
        self.seen = [self.digest]
        for phase, delivery in enumerate(self.deliveries):
            parts = [two(self.read[phase][at][2]) + sha(raw[64:]) for at, raw in enumerate(delivery)]
            self.seen.append(sha(PREFIX, b"transcript\x00", self.seen[-1], bytes([phase]), *parts))

    def derive(self, seat: int, what: bytes) -> bytes:
        seed = bytes.fromhex(self.case["sites"][seat]["seed"])
        return hkdf(seed, self.digest, PREFIX + b"seed." + what)

    def agree(self, what: bytes, seat: int, peer: int) -> bytes:
        public = X25519PrivateKey.from_private_bytes(self.derive(peer, what)).public_key().public_bytes_raw()
        own = X25519PrivateKey.from_private_bytes(self.derive(seat, what))
        return own.exchange(X25519PublicKey.from_public_bytes(public))

    def unmask(self, seat: int, vector: bytes) -> list[int]:
        values = read_words(vector)
        length = len(values)
        own = hkdf(self.derive(seat, b"self-mask"), self.seen[1], PREFIX + b"self\x00")
        values = [one - mask for one, mask in zip(values, stream(own, length), strict=True)]
        for _, _, peer, *_ in self.read[1]:
            if peer != seat:
                info = PREFIX + b"pair\x00" + two(min(seat, peer)) + two(max(seat, peer))
                key = hkdf(self.agree(b"masking", seat, peer), self.seen[1], info)
                sign = 1 if seat < peer else -1
                values = [one - sign * mask for one, mask in zip(values, stream(key, length), strict=True)]
        return [(one + MODULUS // 2) % MODULUS - MODULUS // 2 for one in values]


def read_words(data: bytes) -> list[int]:
    return [int.from_bytes(data[begin : begin + 8], "little") for begin in range(0, len(data), 8)]


def stream(key: bytes, length: int) -> list[int]:
    return read_words(Cipher(AES(key), CTR(bytes(16))).encryptor().update(bytes(8 * length)))


@pytest.fixture(params=sorted(path.name for path in FOLDER.glob("*.json")))
def frozen(request: pytest.FixtureRequest) -> ByHand:
    return ByHand(FOLDER / request.param)


def encode(site: dict[str, Any]) -> list[int]:
    (first, second), [third] = site["values"]
    return [site["rows"], round(first * 2**20), round(second * 2**20), int(third)]


def test_every_message_is_signed_over_its_transcript(frozen: ByHand) -> None:
    """SUM-PLAN-1, SUM-MSG-1, SUM-MSG-2, SUM-MSG-3."""
    for phase, delivery in enumerate(frozen.deliveries):
        for raw, (number, plan, seat, seen, *_) in zip(delivery, frozen.read[phase], strict=True):
            seed = bytes.fromhex(frozen.case["sites"][seat]["signing_seed"])
            key = Ed25519PrivateKey.from_private_bytes(seed)
            assert raw[:64] == key.sign(PREFIX + b"message\x00" + sha(raw[64:]))
            assert (number, plan, seen) == (phase, frozen.digest, frozen.seen[phase])
    assert frozen.seen[-2].hex() == frozen.case["transcript"]  # before what the sites say of the sum


def test_keys_and_commitments_follow_from_the_seed(frozen: ByHand) -> None:
    """SUM-PHASE-0, SUM-VEC-1."""
    for _, _, seat, _, channel, masking, self_mask, commitment in frozen.read[0]:
        for public, what in ((channel, b"channel"), (masking, b"masking")):
            private = X25519PrivateKey.from_private_bytes(frozen.derive(seat, what))
            assert private.public_key().public_bytes_raw() == public
        assert self_mask == sha(PREFIX, b"self-mask\x00", frozen.derive(seat, b"self-mask"))
        words = [one % MODULUS for one in encode(frozen.case["sites"][seat])]
        vector = b"".join(one.to_bytes(8, "little") for one in words)
        assert commitment == sha(PREFIX, b"vector\x00", frozen.derive(seat, b"vector"), vector)


def test_sealed_shares_lie_on_the_polynomials(frozen: ByHand) -> None:
    """SUM-PHASE-1."""
    peers = [one[2] for one in frozen.read[0]]
    terms = frozen.case["plan"]["threshold"] - 1
    for _, _, seat, _, group, sealed in frozen.read[1]:
        assert group == sha(PREFIX, b"group\x00", frozen.derive(seat, b"group"))
        key = Cipher(AES(frozen.derive(seat, b"polynomials")), CTR(bytes(16))).encryptor()
        rows = [
            [int.from_bytes(key.update(bytes(66)), "big") % PRIME for _ in range(terms)] for _ in range(2)
        ]
        secrets = [int.from_bytes(frozen.derive(seat, what), "big") for what in (b"masking", b"self-mask")]
        for peer, one in zip(peers, sealed, strict=True):
            if peer == seat:
                assert one == b""
                continue
            info = PREFIX + b"shares\x00" + two(seat) + two(peer)
            channel = hkdf(frozen.agree(b"channel", seat, peer), frozen.seen[1], info)
            shares = [
                (secret + sum(term * (peer + 1) ** (power + 1) for power, term in enumerate(row))) % PRIME
                for secret, row in zip(secrets, rows, strict=True)
            ]
            expected = b"".join(share.to_bytes(66, "big") for share in shares) + frozen.derive(seat, b"group")
            assert AESGCM(channel).decrypt(bytes(12), one, frozen.seen[1]) == expected


def test_masked_vectors_are_the_vectors_under_their_masks(frozen: ByHand) -> None:
    """SUM-PHASE-2, SUM-VEC-2."""
    total = [0] * 4
    for _, _, seat, _, vector in frozen.read[2]:
        values = frozen.unmask(seat, vector)
        assert values == encode(frozen.case["sites"][seat])
        total = [one + other for one, other in zip(total, values, strict=True)]

    assert total == [frozen.case["rows"], *frozen.case["sum"][0], *frozen.case["sum"][1]]


def test_reveals_are_one_share_of_each_peer_and_sums_are_hashed(frozen: ByHand) -> None:
    """SUM-PHASE-4, SUM-PHASE-5."""
    parts = [int.from_bytes(frozen.derive(one[2], b"group"), "big") for one in frozen.read[1]]
    group = 0
    for part in parts:
        group ^= part
    whole = group.to_bytes(32, "big")
    for _, _, seat, _, sealed in frozen.read[4]:
        key = hkdf(whole, frozen.seen[4], PREFIX + b"group.reveals\x00" + two(seat))
        opened = AESGCM(key).decrypt(bytes(12), sealed, frozen.seen[4])
        assert len(opened) == 66 * len(frozen.read[1])
    words = [frozen.case["rows"], *frozen.case["sum"][0], *frozen.case["sum"][1]]
    spelled = b"".join((one % MODULUS).to_bytes(8, "little") for one in words)
    salt = hkdf(whole, frozen.seen[5], PREFIX + b"group.total\x00" + two(0))
    assert {one[4] for one in frozen.read[5]} == {sha(salt, spelled)}
