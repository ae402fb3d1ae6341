"""Salted commitments: say on the ledger that something is fixed without saying what.

`SHA-256("iamata/1/" ‖ kind ‖ 0x00 ‖ salt ‖ payload)`. The salt has 32 random bytes, so that guessing the
payload does not help; once payload and salt are erased the commitment means nothing, and still verifies.
"""

import functools
import hashlib
import re
from hmac import compare_digest
from typing import Final

from iamata.model.ids import Commitment, encode_digest

SALT_BYTES: Final = 32

_PREFIX: Final = b"iamata/1/"
_KIND: Final = re.compile(r"[a-z.-]{1,64}")


def commit(kind: str, salt: bytes, payload: bytes) -> Commitment:
    """Commit to a payload; its kind keeps commitments of different meaning apart."""
    return Commitment(encode_digest(compute_commitment(kind, salt, payload)))


def compute_commitment(kind: str, salt: bytes, payload: bytes) -> bytes:
    """Compute a commitment's 32 bytes."""
    if len(salt) != SALT_BYTES:
        message = f"a commitment takes a salt of {SALT_BYTES} bytes"
        raise ValueError(message)
    return hashlib.sha256(_spell_kind(kind) + salt + payload).digest()


def is_opening(commitment: Commitment, kind: str, salt: bytes, payload: bytes) -> bool:
    """Tell whether salt and payload are what someone committed to."""
    if len(salt) != SALT_BYTES:
        return False
    return compare_digest(commit(kind, salt, payload).encode("ascii"), commitment.encode("utf-8"))


@functools.lru_cache(maxsize=64)
def _spell_kind(kind: str) -> bytes:
    if _KIND.fullmatch(kind) is None:
        message = "the kind of a commitment is spelt with a-z, full stop and hyphen"
        raise ValueError(message)
    return _PREFIX + kind.encode("ascii") + b"\x00"
