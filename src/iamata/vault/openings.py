"""Openings: the payloads and salts of the commitments that this member has on the ledger, or was given."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from iamata.crypto import aead
from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.model.ids import Commitment, PatientId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import OpeningRow
from iamata.vault.custody import Custody, read_tag
from iamata.vault.envelopes import open_envelope, seal_envelope
from iamata.vault.shelf import Head, add_to_digest

PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
"""The roll of a dataset of 100,000 patients."""
NAME_LENGTH_MAX: Final = 128
NO_SALT: Final = bytes(SALT_BYTES)
"""Of an opening to which no commitment stands on the ledger, so that nothing has to be hidden."""

_LABEL: Final = b"iamata/1/opening"


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What a commitment commits to. The name is a consent's or an access's id, or the commitment itself."""

    name: str
    patient: PatientId
    kind: str
    salt: bytes
    payload: bytes

    @property
    def commitment(self) -> Commitment:
        """Compute what stands on the ledger."""
        return commit(self.kind, self.salt, self.payload)


class _Content(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    kind: str
    salt: bytes
    payload: bytes


def keep_opening(custody: Custody, opening: Opening) -> None:
    """Make an opening durable. The same again changes nothing; another under its name is refused."""
    keep_openings(custody, [opening])


def keep_openings(custody: Custody, openings: Sequence[Opening]) -> None:
    """Make openings durable, all or none."""
    for opening in openings:
        require(0 < len(opening.name) <= NAME_LENGTH_MAX, Reason.INPUT_INVALID, "the name of an opening")
        require(len(opening.payload) <= PAYLOAD_BYTES_MAX, Reason.INPUT_TOO_LARGE, "an opening")
    shelf = custody.openings
    with shelf.lock:
        fresh = [opening for opening in openings if not _is_kept(custody, opening)]
        rows = [_seal_opening(custody, opening) for opening in fresh]
        if rows:
            head = shelf.read_head()
            digest = add_to_digest(head.digest, [(0, read_tag(row.sealed)) for row in rows])
            shelf.store.add(rows, head=shelf.encode_head(Head(count=head.count + len(rows), digest=digest)))


def find_opening(custody: Custody, name: str) -> Opening | None:
    """Return an opening, or None where this member does not hold it."""
    row = custody.openings.store.find(name)
    return None if row is None else open_opening(custody, row)


def list_openings(custody: Custody, patient: PatientId) -> Iterator[Opening]:
    """Read the openings about a patient."""
    return (open_opening(custody, row) for row in custody.openings.store.read_of_patient(patient))


def erase_openings(custody: Custody, patient: PatientId) -> int:
    """Destroy the openings about a patient, and tell how many there were."""
    shelf = custody.openings
    with shelf.lock:
        rows = list(shelf.store.read_of_patient(patient))
        if rows:
            head = shelf.read_head()
            digest = add_to_digest(head.digest, [(0, read_tag(row.sealed)) for row in rows], sign=-1)
            shelf.store.erase(
                patient, head=shelf.encode_head(Head(count=head.count - len(rows), digest=digest))
            )
        return len(rows)


def open_opening(custody: Custody, row: OpeningRow) -> Opening:
    """Open a stored opening, or refuse a row that was changed."""
    try:
        plain = open_envelope(custody.opening_key, row.sealed, associated=_bind(row.name, row.patient))
        content = msgspec.msgpack.decode(plain, type=_Content)
    except (Refused, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(Reason.CANNOT_OPEN, f"the opening {row.name}") from error
    return Opening(
        name=row.name,
        patient=PatientId(row.patient),
        kind=content.kind,
        salt=content.salt,
        payload=content.payload,
    )


def _is_kept(custody: Custody, opening: Opening) -> bool:
    known = find_opening(custody, opening.name)
    is_same = known is None or known == opening
    require(is_same, Reason.INPUT_INVALID, f"another opening is held as {opening.name}")
    return known is not None


def _seal_opening(custody: Custody, opening: Opening) -> OpeningRow:
    content = _Content(kind=opening.kind, salt=opening.salt, payload=opening.payload)
    sealed = seal_envelope(
        custody.opening_key,
        msgspec.msgpack.encode(content),
        nonce=custody.entropy(aead.NONCE_BYTES),
        associated=_bind(opening.name, opening.patient),
    )
    return OpeningRow(opening.name, opening.patient, sealed)


def _bind(name: str, patient: str) -> bytes:
    return b"\x00".join((_LABEL, patient.encode("utf-8", "replace"), name.encode("utf-8", "replace")))
