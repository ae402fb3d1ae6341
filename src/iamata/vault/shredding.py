"""Shredding: a patient's data key is destroyed, and with it each copy of each record, wherever it lies."""

from collections.abc import Iterable

import msgspec

from iamata.model.ids import Commitment, PatientId, encode_digest
from iamata.model.reasons import Reason, require
from iamata.ports import NO_PATIENT, RecordRow
from iamata.vault.anchoring import read_anchored_until
from iamata.vault.custody import Custody
from iamata.vault.openings import erase_openings
from iamata.vault.shelf import add_to_digest


class Shredded(msgspec.Struct, frozen=True, kw_only=True):
    """What was destroyed; the commitments go into the statement that the ledger commits to."""

    patient: PatientId
    had_key: bool
    openings: int
    commitments: tuple[Commitment, ...]

    @property
    def records(self) -> int:
        """Count the destroyed versions of records."""
        return len(self.commitments)


def shred(custody: Custody, patient: PatientId) -> Shredded:
    """Destroy a patient's key first, then rows, tokens and openings.

    After a crash at any point the same call finishes the work and returns the same commitments.
    """
    require(patient != NO_PATIENT, Reason.UNKNOWN_PATIENT)
    with custody.records.lock:
        rows = list(custody.records.store.read_of_patient(patient))
        had_key = custody.destroy_data_key(patient)
        if rows:
            _erase_rows(custody, patient, rows)
        return Shredded(
            patient=patient,
            had_key=had_key,
            openings=erase_openings(custody, patient),
            commitments=tuple(Commitment(encode_digest(row.commitment)) for row in rows),
        )


def replay_erasures(custody: Custody, erased: Iterable[PatientId]) -> list[Shredded]:
    """Shred again whoever the ledger says is erased and a restored backup brought back. Before serving."""
    again = [shred(custody, patient) for patient in erased]
    return [shredded for shredded in again if shredded.had_key or shredded.records or shredded.openings]


def _erase_rows(custody: Custody, patient: PatientId, rows: list[RecordRow]) -> None:
    """Remove rows; those under an anchor leave their commitment, so only the others leave the digest."""
    shelf = custody.records
    head, until = shelf.read_head(), read_anchored_until(shelf)
    loose = [(row.sequence, row.commitment) for row in rows if row.sequence > until]
    digest = add_to_digest(head.digest, loose, sign=-1)
    remaining = msgspec.structs.replace(head, count=head.count - len(rows), digest=digest)
    shelf.store.erase(patient, head=shelf.encode_head(remaining))
