"""Who may break the glass now: the ledger's rule of declaring, for what the ledger is not asked about."""

from collections.abc import Collection

from iamata.ledger.entries import MemberStatus, Person, Role
from iamata.ledger.tables import CURRENT, EMERGENCIES, MEMBERS, PARAMETERS, PERSONS
from iamata.model.ids import AccessId, KeyId, PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView


def check_privilege(  # noqa: PLR0913  who, and all that it is held against
    view: LedgerView,
    person_id: PersonId,
    *,
    key: KeyId,
    now_ms: int,
    others: Collection[AccessId] = (),
    but: AccessId | None = None,
) -> Person:
    """Refuse whoever could not declare an emergency now.

    `others` await review, and the ledger does not know them yet; `but` is the one that is asked about.
    """
    person, parameters = PERSONS.find(view, person_id), PARAMETERS.find(view, CURRENT)
    if person is None or parameters is None or key not in person.keys:
        raise Refused(Reason.NOT_THE_PERSON)
    member = MEMBERS.find(view, person.member)
    require(member is not None and member.status is MemberStatus.ACTIVE, Reason.MEMBER_NOT_ACTIVE)
    require(person.is_active and Role.EMERGENCY in person.roles, Reason.ROLE_MISSING)
    unreviewed = [EMERGENCIES.find(view, emergency) for emergency in person.emergencies]
    is_overdue = any(one is not None and now_ms > one.review_until_ms for one in unreviewed)
    require(not person.is_privilege_suspended and not is_overdue, Reason.PRIVILEGE_SUSPENDED)
    awaiting = [one for one in dict.fromkeys((*person.emergencies, *others)) if one != but]
    require(len(awaiting) < parameters.emergencies_open_max, Reason.TOO_MANY_OPEN_EMERGENCIES)
    return person
