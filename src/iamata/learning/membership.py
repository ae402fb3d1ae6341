"""Who is in a dataset: a map of leaves that say nothing to anybody but the patient and the custodian.

A leaf is `HMAC(k, study)`. `k` comes from the salt of the consent under which the patient takes part: that
patient and custodian share, and the ledger has the commitment that it opens. The patient can so prove,
to themselves or to others, to be in a dataset or not to be; others see hashes among dummies.
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from iamata.crypto import hkdf
from iamata.crypto.authmap import AuthMap
from iamata.crypto.mapproof import MapProof, verify_map_proof
from iamata.model.ids import Digest, StudyId, decode_digest, encode_digest
from iamata.model.reasons import Reason, require

LEAVES_MIN: Final = 16
LEAVES_MAX: Final = 2**24
"""As the rules of the ledger have both, which this package may not import; a test compares them."""
KEY_BYTES: Final = 32
DENIAL_BYTES: Final = 16

_PRESENT: Final = b"1"


def derive_member_key(salt: bytes) -> bytes:
    """Derive a patient's key for datasets from the salt of a consent's terms."""
    return hkdf.derive(salt, salt=b"", info=b"iamata/1/dataset-member", size_bytes=KEY_BYTES)


def compute_leaf(key: bytes, study: StudyId) -> bytes:
    """Compute the leaf by which a patient is in a study's datasets: 32 bytes."""
    return hmac.digest(key, b"iamata/1/dataset-leaf\x00" + study.encode("ascii"), sha256)


def compute_band(patients: int) -> int:
    """Say how many leaves hide so many patients: the next power of two, 16 at least."""
    require(patients <= LEAVES_MAX, Reason.TOO_LARGE, "patients of a dataset")
    return max(LEAVES_MIN, 1 << max(0, patients - 1).bit_length())


def digest_denial(key: bytes, rule: bytes) -> bytes:
    """Digest a denial, to know it again; without the consent's salt nobody can."""
    return hmac.digest(key, b"iamata/1/dataset-denial\x00" + rule, sha256)[:DENIAL_BYTES]


def build_members(leaves: Iterable[bytes], *, secret: bytes) -> tuple[AuthMap, int]:
    """Build the map of a dataset's leaves, filled up with dummies that follow from the dataset's secret."""
    known = list(leaves)
    band = compute_band(len(known))
    dummies = (
        hmac.digest(secret, b"dummy\x00" + number.to_bytes(4, "big"), sha256)
        for number in range(band - len(known))
    )
    members = AuthMap.load((leaf, _PRESENT) for leaf in (*known, *dummies))
    require(len(members) == band, Reason.MALFORMED, "somebody is in a dataset twice")
    return members, band


def spell_members(members: AuthMap) -> Digest:
    """Spell the map's root as the ledger has it."""
    return Digest(encode_digest(members.root))


def is_member(root: Digest, leaf: bytes, proof: MapProof) -> bool:
    """Tell whether a leaf is in a dataset, or refuse a proof that shows neither."""
    for value, answer in ((_PRESENT, True), (None, False)):
        if verify_map_proof(decode_digest(root), leaf, value, proof):
            return answer
    require(False, Reason.FAULT_FOUND, "a proof of membership")  # noqa: FBT003  refuses always
    raise AssertionError
