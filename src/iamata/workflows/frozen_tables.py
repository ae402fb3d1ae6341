"""A dataset as its custodian keeps it: who is in it by which consent, and each patient's rows, sealed.

Rows lie with the patient whom they are about, and under the patient's own key: erasing the patient takes
them away, from every copy. A dataset with noise in every sum goes on without them, for the noise hides a
patient; any other is of no use any more.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final, TypeAlias

import msgspec

from iamata.consent.data_use import Conditions
from iamata.crypto.aead import NONCE_BYTES
from iamata.crypto.authmap import AuthMap
from iamata.crypto.commitments import SALT_BYTES, commit
from iamata.learning.membership import build_members
from iamata.learning.schemas import Schema
from iamata.learning.tables import Table, parse_table
from iamata.model.canonical import encode_struct
from iamata.model.ids import Commitment, ConsentId, DatasetId, PatientId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import NO_PATIENT
from iamata.vault.custody import Custody
from iamata.vault.envelopes import open_envelope, seal_envelope
from iamata.vault.openings import NO_SALT, Opening, find_opening, keep_openings, list_openings

DATASET: Final = "dataset"
"""Kind of the commitment to the list of consents."""
ROWS: Final = "dataset-rows"
ROWS_EACH_MAX: Final = 10_000
"""Rows of one patient."""

Cell: TypeAlias = float | int | str | None
Row: TypeAlias = Mapping[str, Cell]
PatientRows: TypeAlias = Mapping[PatientId, Sequence[Row]]


class Participant(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A patient in a dataset: by which consent, and under which leaf."""

    patient: PatientId
    consent: ConsentId
    leaf: bytes
    narrowing: tuple[bytes, ...] = ()
    """A digest of each denial that took single records out, under a key from the consent's salt."""


class Roll(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who is in a dataset, for what, and what its dummies follow from: for its custodian, and auditors."""

    study: StudyId
    secret: Annotated[bytes, msgspec.Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]
    participants: tuple[Participant, ...]
    """In the order of their pseudonyms."""
    has_holdout: bool
    """Whether those who are kept out of training may be evaluated on."""
    conditions: Conditions | None = None
    """What may be done with the data; None where it was built by a version that did not keep that."""

    def build_members(self) -> tuple[AuthMap, int]:
        """Build the map whose root the ledger has, and say how many leaves it has."""
        return build_members((one.leaf for one in self.participants), secret=self.secret)


def freeze(custody: Custody, dataset: DatasetId, roll: Roll, rows: PatientRows) -> Commitment:
    """Keep a dataset durably, and return the commitment to its list of consents."""
    payload, salt = encode_struct(roll), custody.entropy(SALT_BYTES)
    openings = [Opening(name=dataset, patient=NO_PATIENT, kind=DATASET, salt=salt, payload=payload)]
    custody.make_data_keys(one.patient for one in roll.participants)
    for one in roll.participants:
        require(len(rows[one.patient]) <= ROWS_EACH_MAX, Reason.INPUT_TOO_LARGE, "rows of one patient")
        openings.append(_seal_rows(custody, dataset, one.patient, rows[one.patient]))
    keep_openings(custody, openings)
    return commit(DATASET, salt, payload)


def get_roll(custody: Custody, dataset: DatasetId) -> Roll:
    """Return who is in a dataset that is kept here, or refuse."""
    opening = find_opening(custody, dataset)
    if opening is None or opening.kind != DATASET:
        raise Refused(Reason.UNKNOWN_DATASET)
    return msgspec.json.decode(opening.payload, type=Roll)


def find_conditions(custody: Custody, dataset: DatasetId) -> Conditions | None:
    """Return what may be done with a dataset's data; None where it is another's, or that was not kept."""
    opening = find_opening(custody, dataset)
    return None if opening is None else get_roll(custody, dataset).conditions


def list_rolls(custody: Custody) -> Iterator[tuple[DatasetId, Roll]]:
    """Read who was in each dataset that this custodian ever built."""
    for opening in list_openings(custody, NO_PATIENT):
        if opening.kind == DATASET:
            yield DatasetId(opening.name), msgspec.json.decode(opening.payload, type=Roll)


def read_rows(custody: Custody, dataset: DatasetId, patients: Iterable[PatientId]) -> PatientRows:
    """Return the rows of some participants, or refuse where one was erased since."""
    return {patient: _open_rows(custody, dataset, patient).rows for patient in patients}


def load_table(
    custody: Custody, dataset: DatasetId, schema: Schema, *, without: Collection[PatientId] = ()
) -> tuple[Table, bytes]:
    """Return a dataset's table `without` some of its patients, or refuse where another was erased.

    Return a key too, which goes for good when one of those in the table is erased.
    """
    everybody = (one.patient for one in get_roll(custody, dataset).participants)
    opened = {one: _open_rows(custody, dataset, one) for one in everybody if one not in without}
    hashed = hashlib.sha256(b"iamata/1/dataset-rows")
    for patient in sorted(opened):
        hashed.update(opened[patient].secret)
    return make_table({patient: one.rows for patient, one in opened.items()}, schema), hashed.digest()


def make_table(rows: PatientRows, schema: Schema) -> Table:
    """Put patients' rows into columns, in the order of their pseudonyms, or refuse naming the column."""
    patients = [(patient, row) for patient in sorted(rows) for row in rows[patient]]
    names = (*(column.name for column in schema.columns), schema.outcome.name)
    columns = {name: [row.get(name) for _, row in patients] for name in names}
    return parse_table(schema, columns, [patient for patient, _ in patients])


class _Rows(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A patient's rows, and random bytes that are gone with them."""

    secret: bytes
    rows: list[dict[str, Cell]]


def _seal_rows(custody: Custody, dataset: DatasetId, patient: PatientId, rows: Sequence[Row]) -> Opening:
    name = _name_rows(dataset, patient)
    secret, nonce = custody.entropy(SALT_BYTES), custody.entropy(NONCE_BYTES)
    content = msgspec.msgpack.encode(_Rows(secret, [dict(row) for row in rows]))
    sealed = seal_envelope(
        custody.get_data_key(patient), content, nonce=nonce, associated=name.encode("ascii")
    )
    return Opening(name=name, patient=patient, kind=ROWS, salt=NO_SALT, payload=sealed)


def _open_rows(custody: Custody, dataset: DatasetId, patient: PatientId) -> _Rows:
    name = _name_rows(dataset, patient)
    opening, key = find_opening(custody, name), custody.find_data_key(patient)
    if opening is None or key is None:
        raise Refused(Reason.DATASET_NOT_ACTIVE, "somebody in it was erased")
    content = open_envelope(key, opening.payload, associated=name.encode("ascii"))
    return msgspec.msgpack.decode(content, type=_Rows)


def _name_rows(dataset: DatasetId, patient: PatientId) -> str:
    return f"{dataset}/{patient}"
