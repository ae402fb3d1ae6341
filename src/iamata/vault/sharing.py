"""Sharing: records leave for one recipient node, sealed to its key, bound to what the ledger was told."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from iamata.consent.permits import Permit
from iamata.crypto import hpke
from iamata.crypto.merkle import compute_root, hash_leaf
from iamata.model.canonical import encode_struct
from iamata.model.ids import (
    AccessId,
    Commitment,
    Digest,
    MemberId,
    SealingKey,
    decode_digest,
    encode_digest,
)
from iamata.model.reasons import Reason, Refused, require
from iamata.vault.anchoring import AnchorProof, prove_under
from iamata.vault.custody import Custody
from iamata.vault.envelopes import compress, decompress
from iamata.vault.opening import ListedRecord, open_records
from iamata.vault.record import OpenedRecord, RecordHeader, commit_record, decode_header

RECORDS_PER_RELEASE_MAX: Final = 100_000
RELEASE_BYTES_MAX: Final = 256 * 1024 * 1024


class ReleaseContext(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the ciphertext belongs to; sender and recipient must agree on every word to open it."""

    access: AccessId
    custodian: MemberId
    recipient: MemberId
    list_root: Digest


class SharedRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record as a recipient gets it, with what opens its commitment and shows it under an anchor."""

    header: bytes
    body: bytes
    salt: bytes
    proof: AnchorProof | None
    """None where the record is so new that no anchor covers it yet."""

    def read_header(self) -> RecordHeader:
        """Read which record this is."""
        return decode_header(self.header)

    def compute_commitment(self) -> Commitment:
        """Compute what the custodian committed to, if it is honest."""
        return Commitment(encode_digest(commit_record(self.salt, self.header, self.body)))


def compute_list_root(commitments: Iterable[Commitment]) -> Digest:
    """Name a list of records, in its order, in 32 bytes."""
    leaves = [hash_leaf(decode_digest(commitment)) for commitment in commitments]
    return Digest(encode_digest(compute_root(leaves)))


def share(
    custody: Custody,
    permit: Permit,
    listed: Sequence[ListedRecord],
    *,
    context: ReleaseContext,
    key: SealingKey,
) -> bytes:
    """Seal permitted records to a recipient node's key; the list is the one that the ledger was told of."""
    require(len(listed) <= RECORDS_PER_RELEASE_MAX, Reason.TOO_LARGE, "records in one release")
    is_the_list = compute_list_root(record.commitment for record in listed) == context.list_root
    require(is_the_list, Reason.PERMIT_DOES_NOT_COVER, "another list of records")
    opened = list(open_records(custody, permit, listed))
    plain = msgspec.msgpack.encode(_add_proofs(custody, opened))
    require(len(plain) <= RELEASE_BYTES_MAX, Reason.TOO_LARGE, "a release")
    return hpke.seal(key, compress(plain), info=encode_struct(context))


def open_release(private_key: bytes, ciphertext: bytes, *, context: ReleaseContext) -> list[SharedRecord]:
    """Open a release at its recipient, or refuse one that is not exactly the list in its context."""
    packed = hpke.open_sealed(private_key, ciphertext, info=encode_struct(context))
    try:
        shared = _RELEASES.decode(decompress(packed, size_bytes_max=RELEASE_BYTES_MAX))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(Reason.CANNOT_OPEN, "a release") from error
    try:
        root = compute_list_root(record.compute_commitment() for record in shared)
    except ValueError as error:
        raise Refused(Reason.CANNOT_OPEN, "a release") from error
    require(root == context.list_root, Reason.CANNOT_OPEN, "the list of a release")
    return shared


def _add_proofs(custody: Custody, opened: Sequence[OpenedRecord]) -> list[SharedRecord]:
    proofs = _prove_all(custody, [record.sequence for record in opened])
    return [
        SharedRecord(
            header=encode_struct(record.header),
            body=record.body,
            salt=record.salt,
            proof=proofs.get(record.sequence),
        )
        for record in opened
    ]


def _prove_all(custody: Custody, sequences: Sequence[int]) -> dict[int, AnchorProof]:
    """Prove each row that an anchor on the ledger covers, reading each anchor's leaves once."""
    settled = custody.records.read_head().settled
    proofs: dict[int, AnchorProof] = {}
    waiting = sorted(number for number in sequences if number <= settled)
    while waiting:
        anchor = custody.records.store.find_anchor(waiting[0])
        if anchor is None:
            raise Refused(Reason.HOME_CORRUPT, f"the anchor of record row {waiting[0]}")
        covered = [number for number in waiting if number <= anchor.last]
        proofs.update(prove_under(custody.records, anchor, covered))
        waiting = waiting[len(covered) :]
    return proofs


_RELEASES: Final = msgspec.msgpack.Decoder(list[SharedRecord])
