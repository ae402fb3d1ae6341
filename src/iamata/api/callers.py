"""Who asks, and who may: a signature is held against the ledger, and each route names whom it serves."""

import enum
from collections.abc import Callable
from typing import Final

import msgspec

from iamata.ledger.entries import KeyOwner, MemberStatus, OwnerKind
from iamata.ledger.tables import KEYS, MEMBERS, PATIENTS, PERSONS
from iamata.model.ids import KeyId, MemberId, PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView


class Access(enum.Enum):
    """Whom a route serves. What is not said here is denied."""

    ANYONE = "anyone"
    """It says nothing that is not for everybody, or carries signatures of its own in its body."""
    MACHINE = "this machine"
    """Whoever asks from this machine."""
    KNOWN = "the ledger's own"
    """Active members, active persons, and patients who are not erased."""
    MEMBER = "members"
    """Active members' nodes."""
    STAFF = "our staff"
    """Active persons of this member's staff."""
    PATIENT = "our patients"
    """Patients of this member."""


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the ledger knows by the key that signed a request."""

    key: KeyId
    kind: OwnerKind
    owner: str
    member: MemberId
    """Itself, or whose staff or patient it is."""

    @property
    def person(self) -> PersonId:
        """Name the person, or refuse whoever is none."""
        require(self.kind is OwnerKind.PERSON, Reason.NOT_THE_PERSON)
        return PersonId(self.owner)


def identify(view: LedgerView, key: KeyId) -> Caller:
    """Return whom a key speaks for now, or refuse."""
    owner = KEYS.find(view, key)
    if owner is None or owner.is_retired or owner.kind not in _FINDERS:
        raise Refused(Reason.UNKNOWN_SIGNER)
    member = _FINDERS[owner.kind](view, owner)
    return Caller(key=key, kind=owner.kind, owner=owner.owner, member=member)


def check_access(access: Access, caller: Caller | None, *, member: MemberId, is_local: bool) -> None:
    """Refuse whomever a route does not serve."""
    if access is Access.ANYONE:
        return
    if access is Access.MACHINE:
        require(is_local, Reason.NOT_FOUND)
        return
    if caller is None:
        raise Refused(Reason.NOT_SIGNED)
    kind, reason = _WANTED[access]
    require(kind is None or caller.kind is kind, reason)
    is_ours = caller.member == member
    if access is Access.STAFF:
        require(is_ours, Reason.NOT_THE_MEMBER)
    elif access is Access.PATIENT:
        require(is_ours, Reason.NOT_FOUND)


def _find_member(view: LedgerView, owner: KeyOwner) -> MemberId:
    member = MEMBERS.find(view, owner.owner)
    is_active = member is not None and member.status is MemberStatus.ACTIVE
    require(is_active, Reason.MEMBER_NOT_ACTIVE)
    return MemberId(owner.owner)


def _find_person(view: LedgerView, owner: KeyOwner) -> MemberId:
    person = PERSONS.find(view, owner.owner)
    if person is None or not person.is_active:
        raise Refused(Reason.PERSON_NOT_ACTIVE)
    return person.member


def _find_patient(view: LedgerView, owner: KeyOwner) -> MemberId:
    patient = PATIENTS.find(view, owner.owner)
    if patient is None or patient.is_erased:
        raise Refused(Reason.UNKNOWN_SIGNER)
    return patient.custodian


_FINDERS: Final[dict[OwnerKind, Callable[[LedgerView, KeyOwner], MemberId]]] = {
    OwnerKind.MEMBER: _find_member,
    OwnerKind.PERSON: _find_person,
    OwnerKind.PATIENT: _find_patient,
}
_WANTED: Final[dict[Access, tuple[OwnerKind | None, Reason]]] = {
    Access.KNOWN: (None, Reason.NOT_SIGNED),
    Access.MEMBER: (OwnerKind.MEMBER, Reason.NOT_A_MEMBER),
    Access.STAFF: (OwnerKind.PERSON, Reason.NOT_THE_PERSON),
    Access.PATIENT: (OwnerKind.PATIENT, Reason.NOT_THE_PATIENT),
}
