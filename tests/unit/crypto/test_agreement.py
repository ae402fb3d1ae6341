"""X25519 agrees as RFC 7748 says, and refuses a point that would make the secret everyone's."""

import pytest

from iamata.crypto.agreement import KEY_BYTES, agree, derive_public_key
from iamata.model.reasons import Reason, Refused

# RFC 7748, 6.1
ALICE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
ALICE_PUBLIC = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
BOB_PUBLIC = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
SHARED = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def test_the_published_keys_agree() -> None:
    assert derive_public_key(ALICE).hex() == ALICE_PUBLIC
    assert derive_public_key(BOB).hex() == BOB_PUBLIC
    assert agree(ALICE, bytes.fromhex(BOB_PUBLIC)).hex() == SHARED
    assert agree(BOB, bytes.fromhex(ALICE_PUBLIC)).hex() == SHARED


@pytest.mark.parametrize("point", [bytes(KEY_BYTES), b"\x01" + bytes(31), bytes(31), bytes(33)])
def test_a_key_that_is_none_is_refused(point: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        agree(ALICE, point)

    assert refusal.value.reason is Reason.WEAK_KEY
