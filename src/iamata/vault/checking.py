"""Check rows of records away from their store, with the data keys that they need and no other.

A function of its question alone, so that another process can answer it too.
"""

from typing import TypeAlias

import msgspec

from iamata.crypto import aead
from iamata.model.ids import MemberId
from iamata.model.reasons import Reason, Refused
from iamata.ports import RecordRow
from iamata.vault.rows import open_row_with


class CheckedRow(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A row that is what was committed to: whose it is, and under which tokens it is found."""

    sequence: int
    patient: str
    tokens: tuple[bytes, ...]


class RowFault(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Why a row was refused."""

    reason: Reason
    detail: str


class RowsToCheck(msgspec.Struct, frozen=True, array_like=True):
    """Some rows with their sealed bodies, and the data keys of their patients, or why there is none."""

    member: MemberId
    keys: dict[str, bytes | RowFault]
    rows: list[tuple[RecordRow, bytes]]

    def __len__(self) -> int:
        return len(self.rows)


Checked: TypeAlias = CheckedRow | RowFault


def check_rows(asked: RowsToCheck) -> list[Checked]:
    """Open every row, recompute its commitment, and let its body go."""
    keys = {
        patient: key if isinstance(key, RowFault) else aead.Key(key) for patient, key in asked.keys.items()
    }
    return [_check_row(keys[row.patient], asked.member, row, body) for row, body in asked.rows]


def _check_row(key: aead.Key | RowFault, member: MemberId, row: RecordRow, body: bytes) -> Checked:
    if isinstance(key, RowFault):
        return key
    try:
        record = open_row_with(key, member, row, body)
    except Refused as refused:
        return RowFault(refused.reason, refused.detail)
    return CheckedRow(row.sequence, record.header.patient, record.tokens)
