"""Records come in: patients are enrolled, records sealed, and everything anchored."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

from iamata.fhir.demographics import DEMOGRAPHICS_SYSTEM, list_demographics
from iamata.fhir.preparing import Prepared
from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import PATIENTS, RECORD_ANCHORS
from iamata.ledger.transactions.patients import EnrolCustodialPatient
from iamata.ledger.transactions.records import AnchorRecords
from iamata.model.ids import PatientId
from iamata.model.reasons import Reason, require
from iamata.ports import NO_PATIENT, Anchor, LedgerView, Workers
from iamata.vault.opening import find_refs
from iamata.vault.record import Identifier, PreparedRecord
from iamata.vault.sealing import check_owners, find_owners, seal
from iamata.workers.mapping import INLINE
from iamata.workflows.office import Office

BATCH_RECORDS: Final = 4_000
"""Records that share one flush; a unit is never split."""


@dataclasses.dataclass(slots=True)
class ImportTally:
    """What an import has come to so far."""

    added: int = 0
    unchanged: int = 0
    irregular: int = 0
    """Of those that were added, the ones whose structure is not what FHIR R4 says."""
    patients_enrolled: int = 0
    anchors: int = 0
    units_erased: int = 0
    """Units left out because a patient in them was erased while they waited."""


class Importer:
    """Takes units in, each whole or not at all, and keeps several in one durable transaction."""

    def __init__(self, office: Office, workers: Workers = INLINE) -> None:
        self.tally = ImportTally()
        self._office = office
        self._workers = workers
        self._units: list[list[PreparedRecord]] = []
        self._waiting = 0
        self._identified: dict[Identifier, list[str]] = {}
        self._owners: dict[str, tuple[str, ...]] = {}
        """Of what waits."""
        self._patients: dict[str, PatientId] = {}
        self._kept: dict[str, None] = {}
        """Patient resources that were found in the vault."""
        self._erased: dict[PatientId, None] = {}

    def find_identifier(self, resource_type: str, system: str | None, value: str) -> Sequence[str]:
        """List the ids of the records of a type with an identifier, kept or about to be."""
        if system is None:
            return ()
        identifier = Identifier(resource_type, system, value)
        waiting = self._identified.get(identifier, [])
        refs = dict.fromkeys([*waiting, *find_refs(self._office.custody, identifier)])
        return [ref.partition("/")[2] for ref in refs]

    def is_patient_known(self, ref: str) -> bool:
        """Tell whether a Patient is kept or about to be; one who was erased is known as that."""
        if ref in self._owners or ref in self._kept:
            return True
        if find_owners(self._office.custody, [ref]):
            self._kept[ref] = None
            return True
        return self._name_patient(ref) in self._erased

    def add(self, prepared: Sequence[Prepared]) -> None:
        """Take a unit in; refuse it whole where a patient was erased, or a record is another patient's."""
        named = [self._name_patient(ref) for one in prepared for ref in one.patients]
        require(
            not any(one in self._erased for one in named), Reason.ERASED, "a patient in it was erased here"
        )
        unit = [self._assign(one) for one in prepared]
        self._owners.update(self._check_owners(unit))
        self._units.append(unit)
        self._waiting += sum(len(record.patients) for record in unit)
        for record in unit:
            for identifier in record.identifiers:
                self._identified.setdefault(identifier, []).append(record.facts.record)
        if self._waiting >= BATCH_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Make what waits durable, but for units with a patient who was erased while they waited."""
        self._drop_erased()
        self._enrol(
            {patient: None for unit in self._units for record in unit for patient in record.patients}
        )
        sealed = seal(self._office.custody, self._units, workers=self._workers)
        self.tally.added += sealed.added
        self.tally.unchanged += sealed.unchanged
        self.tally.irregular += sealed.irregular
        self._units.clear()
        self._identified.clear()
        self._owners.clear()
        self._waiting = 0

    def _drop_erased(self) -> None:
        """Drop the units of whoever was erased while they waited: no key may come back by them."""
        view = self._office.take_view()
        waiting = dict.fromkeys(
            patient for unit in self._units for record in unit for patient in record.patients
        )
        erased = [patient for patient in waiting if _is_erased(view, patient)]
        if erased:
            self._erased.update(dict.fromkeys(erased))
            kept = [unit for unit in self._units if not self._names_erased(unit)]
            self.tally.units_erased += len(self._units) - len(kept)
            self._units = kept

    def _names_erased(self, unit: Sequence[PreparedRecord]) -> bool:
        return any(patient in self._erased for record in unit for patient in record.patients)

    def finish(self) -> ImportTally:
        """Make the rest durable and anchor everything."""
        self.flush()
        self.tally.anchors = len(anchor_records(self._office))
        return self.tally

    def _check_owners(self, unit: Sequence[PreparedRecord]) -> dict[str, tuple[str, ...]]:
        """Return whose each record of a unit is, or refuse one that is kept, or waits, as another's."""
        owners = find_owners(self._office.custody, [record.facts.record for record in unit])
        for record in unit:
            ref = record.facts.record
            check_owners(record, owners.setdefault(ref, self._owners.get(ref, record.patients)))
        return owners

    def _assign(self, prepared: Prepared) -> PreparedRecord:
        # A Patient resource is its own alone: being linked to makes it nobody else's.
        refs = prepared.patients[:1] if prepared.resource_type == "Patient" else prepared.patients
        return PreparedRecord(
            patients=tuple(map(self._name_patient, refs)) or (NO_PATIENT,),
            facts=prepared.facts,
            body=prepared.body,
            identifiers=tuple(list_identifiers(prepared)),
            is_irregular=prepared.is_irregular,
        )

    def _name_patient(self, ref: str) -> PatientId:
        patient = self._patients.get(ref)
        if patient is None:
            patient = self._patients[ref] = self._office.compute_pseudonym(ref)
            if _is_erased(self._office.take_view(), patient):
                self._erased[patient] = None
        return patient

    def _enrol(self, patients: dict[PatientId, None]) -> None:
        """Enrol whom the ledger does not know yet; until the patient takes over, we hold the key."""
        view = self._office.take_view()
        unknown = [one for one in patients if one != NO_PATIENT and PATIENTS.find(view, one) is None]
        self._office.submit_all([self._describe_enrolment(patient) for patient in unknown])
        self.tally.patients_enrolled += len(unknown)

    def _describe_enrolment(
        self, patient: PatientId
    ) -> tuple[type[EnrolCustodialPatient], dict[str, object]]:
        holder = dataclasses.replace(self._office.author, key=self._office.derive_custodial_key(patient))
        possession = holder.prove_possession(OwnerKind.PATIENT, patient, member=self._office.member)
        return EnrolCustodialPatient, {"patient": patient, "possession": possession}


def _is_erased(view: LedgerView, patient: PatientId) -> bool:
    entry = None if patient == NO_PATIENT else PATIENTS.find(view, patient)
    return entry is not None and entry.is_erased


def list_identifiers(prepared: Prepared) -> Iterator[Identifier]:
    """List what a record is found by: its identifiers; in an emergency, a patient's name and birthday."""
    for system, value in prepared.identifiers:
        yield Identifier(prepared.resource_type, system, value)
    if prepared.resource_type == "Patient":
        for spelling in list_demographics(prepared.body):
            yield Identifier("Patient", DEMOGRAPHICS_SYSTEM, spelling)


def anchor_records(office: Office) -> list[Anchor]:
    """Put every record that no anchor covers under one; finish first what a crash left half-done."""
    return office.anchor(office.custody.records, RECORD_ANCHORS, AnchorRecords)
