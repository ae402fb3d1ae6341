"""What the ledger promises, told a second time and much shorter, from accepted events alone.

It shares no code with the handlers: it watches transactions go by and objects to what should not have been
accepted.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from iamata.ledger.bases import ConsentBasis, EmergencyBasis
from iamata.ledger.entries import ReviewOutcome
from iamata.ledger.envelope import SignedTransaction
from iamata.ledger.transactions.access import Disclose
from iamata.ledger.transactions.consents import (
    ConfirmConsent,
    GrantConsent,
    GrantCustodialConsent,
    RestrictConsent,
    WithdrawConsent,
)
from iamata.ledger.transactions.emergencies import DeclareEmergency, ReviewEmergency
from iamata.ledger.transactions.late_emergencies import PostLateEmergency
from iamata.ledger.transactions.patients import (
    AddPatientKey,
    EnrolCustodialPatient,
    EnrolPatient,
    RemovePatientKey,
    TakeOver,
)
from iamata.ledger.transactions.proposals import CastVote, OpenProposal, ReinstateMember, SuspendMember
from iamata.ledger.transactions.records import EraseRecords
from iamata.model.ids import KeyId, MemberId
from iamata.model.instants import MS_PER_DAY

CONFIRM_DAYS: Final = 90
OPEN_MAX: Final = 3
LATE_MS_MAX: Final = 30 * MS_PER_DAY


@dataclasses.dataclass(slots=True)
class ModelPatient:
    """A patient, as the model remembers one."""

    custodian: str
    keys: list[str]
    is_custodial: bool
    lapse_day: int | None = None
    is_erased: bool = False


@dataclasses.dataclass(slots=True)
class ModelConsent:
    """A consent, as the model remembers one."""

    patient: str
    until_day: int
    is_custodial: bool
    is_over: bool = False


class TinyModel:
    """Watches accepted transactions, and raises AssertionError where one breaks a promise."""

    def __init__(self, nodes: Mapping[KeyId, MemberId], administrators: Mapping[KeyId, MemberId]) -> None:
        self.members: dict[str, str] = dict(nodes.items())
        """Member by its node's key."""
        self.administrators: dict[str, str] = dict(administrators.items())
        """Member by its administrator's key."""
        self.active: list[str] = sorted(nodes.values())
        self.patients: dict[str, ModelPatient] = {}
        self.consents: dict[str, ModelConsent] = {}
        self.emergencies: dict[str, tuple[str, str, int]] = {}
        self.open: dict[str, list[str]] = {}
        self.late: list[str] = []
        """Emergencies that were posted late, over or not."""
        self.distrusted: list[str] = []
        self.votes: dict[str, tuple[Any, list[str]]] = {}

    def is_disclosable(self, tx: Disclose, *, key: str, time_ms: int) -> bool:
        """Tell whether records may leave on this basis now; the network's policy forbids what has none."""
        patient, member = self.patients.get(tx.patient), self.members.get(key)
        if patient is None or patient.custodian != member or member not in self.active or patient.is_erased:
            return False
        if isinstance(tx.basis, ConsentBasis):
            return self.is_consented(tx.basis.consent, tx.patient, day=time_ms // MS_PER_DAY)
        if isinstance(tx.basis, EmergencyBasis):
            of_whom, member_of, until_ms = self.emergencies.get(tx.basis.emergency, ("", "", 0))
            return of_whom == tx.patient and time_ms <= until_ms and member_of in self.active
        return False

    def is_consented(self, consent_id: str, patient_id: str, *, day: int) -> bool:
        """Tell whether a consent of this patient covers a day."""
        consent, patient = self.consents.get(consent_id), self.patients[patient_id]
        if consent is None or consent.patient != patient_id or consent.is_over or day > consent.until_day:
            return False
        return not consent.is_custodial or patient.lapse_day is None or day <= patient.lapse_day

    def watch(self, transaction: SignedTransaction, *, time_ms: int, is_executed: bool) -> None:
        """Take an accepted transaction in, and object if it should have been refused."""
        body, key = transaction.body, transaction.key
        if isinstance(body, Disclose):
            _promise(self.is_disclosable(body, key=key, time_ms=time_ms))
        elif isinstance(body, OpenProposal | CastVote):
            self._watch_vote(body, self.administrators[key], is_executed=is_executed)
        elif isinstance(body, DeclareEmergency | ReviewEmergency):
            self._watch_emergency(body, key)
        elif isinstance(body, PostLateEmergency):
            self._watch_late(body, key, time_ms=time_ms)
        elif isinstance(
            body, GrantConsent | GrantCustodialConsent | ConfirmConsent | RestrictConsent | WithdrawConsent
        ):
            self._watch_consent(body, key)
        else:
            self._watch_patient(body, key, day=time_ms // MS_PER_DAY)

    def _watch_consent(self, body: Any, key: str) -> None:  # noqa: ANN401  one of five
        if isinstance(body, GrantConsent | GrantCustodialConsent):
            grant = body.grant.payload
            patient = self.patients[grant.patient]
            is_custodial = isinstance(body, GrantCustodialConsent)
            _promise(self.members[key] == patient.custodian == grant.custodian)
            _promise(body.grant.key in patient.keys)
            _promise(patient.is_custodial is is_custodial)
            _promise(grant.consent not in self.consents)
            self.consents[grant.consent] = ModelConsent(grant.patient, grant.until_day, is_custodial)
            return
        consent = self.consents[body.consent]
        patient = self.patients[consent.patient]
        _promise(key in patient.keys)
        _promise(not (patient.is_custodial or consent.is_over))
        if isinstance(body, ConfirmConsent):
            consent.is_custodial = False
        elif isinstance(body, WithdrawConsent):
            consent.is_over = True

    def _watch_patient(self, body: Any, key: str, *, day: int) -> None:  # noqa: ANN401  one of six
        if isinstance(body, EnrolPatient | EnrolCustodialPatient):
            is_custodial = isinstance(body, EnrolCustodialPatient)
            _promise(body.patient not in self.patients)
            self.patients[body.patient] = ModelPatient(
                self.members[key], [body.possession.key], is_custodial
            )
            return
        patient = self.patients[body.patient]
        _promise(not patient.is_erased)
        if isinstance(body, EraseRecords):
            _promise(self.members[key] == patient.custodian)
            patient.is_erased = True
        elif isinstance(body, TakeOver):
            _promise(patient.is_custodial)
            patient.keys, patient.is_custodial, patient.lapse_day = (
                [body.possession.key],
                False,
                day + CONFIRM_DAYS,
            )
        elif isinstance(body, AddPatientKey):
            _promise(key in patient.keys)
            patient.keys.append(body.possession.key)
        elif isinstance(body, RemovePatientKey):
            _promise(key in patient.keys)
            patient.keys.remove(body.key)

    def _watch_emergency(self, body: Any, key: str) -> None:  # noqa: ANN401  one of two
        if isinstance(body, DeclareEmergency):
            mine = self.open.setdefault(key, [])
            _promise(len(mine) < OPEN_MAX)
            _promise(key not in self.distrusted)
            mine.append(body.emergency)
            self.emergencies[body.emergency] = (body.patient, "hospital-b", body.until_ms)
            return
        (declarer,) = [who for who, mine in self.open.items() if body.emergency in mine]
        self.open[declarer].remove(body.emergency)
        if body.emergency in self.emergencies:  # one told late was over before
            patient, member, _ = self.emergencies[body.emergency]
            self.emergencies[body.emergency] = (patient, member, 0)  # over, now that it was judged
        if body.outcome is ReviewOutcome.UNJUSTIFIED:
            self.distrusted.append(declarer)

    def _watch_late(self, body: PostLateEmergency, key: str, *, time_ms: int) -> None:
        declared, declarer = body.declaration.payload, body.declaration.key
        patient, member = self.patients[declared.patient], self.members.get(key)
        _promise(member in self.active and member == patient.custodian == declared.custodian)
        _promise(declarer not in (*self.members, *self.administrators))
        _promise(time_ms - LATE_MS_MAX <= declared.declared_ms <= time_ms + MS_PER_DAY)
        mine = self.open.setdefault(declarer, [])
        if declared.emergency not in mine:
            _promise(declared.emergency not in (*self.emergencies, *self.late))
            mine.append(declared.emergency)
            self.late.append(declared.emergency)
        _promise(declared.emergency in self.late)

    def _watch_vote(self, body: OpenProposal | CastVote, member: str, *, is_executed: bool) -> None:
        _promise(member in self.active)
        if isinstance(body, OpenProposal):
            self.votes[body.proposal] = (body.action, [])
        action, approvals = self.votes[body.proposal]
        if isinstance(body, OpenProposal) or body.is_approval:
            _promise(member not in approvals)
            approvals.append(member)
        in_favour = [voter for voter in approvals if voter in self.active]
        _promise(is_executed is (2 * len(in_favour) > len(self.active)))
        if is_executed and isinstance(action, SuspendMember):
            self.active.remove(action.member)
        elif is_executed and isinstance(action, ReinstateMember):
            self.active = sorted([*self.active, action.member])


def _promise(is_kept: bool) -> None:  # noqa: FBT001  reads as a sentence
    if not is_kept:
        message = "the ledger accepted what breaks a promise"
        raise AssertionError(message)
