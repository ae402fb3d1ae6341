"""Emergencies that were declared without the ledger: held against its last final state by the custodian."""

import msgspec

from iamata.ledger.envelope import read_statement
from iamata.ledger.tables import ACCESSES, CURRENT, EMERGENCIES, KEYS, PARAMETERS
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.late_emergencies import CLOCKS_MS_MAX, LateDeclaration, is_posted
from iamata.model.ids import AccessId, PersonId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.journal import OpenedEntry, read_late
from iamata.workflows.messages import (
    LateDetails,
    RecordRequest,
    read_declaration,
    read_details,
    read_message,
)
from iamata.workflows.office import Office
from iamata.workflows.privileges import check_privilege


class Pending(msgspec.Struct, frozen=True):
    """A disclosure that left, and that the ledger is still to be told of."""

    access: AccessId
    declaration: Signed[LateDeclaration]


def list_pending(office: Office, view: LedgerView) -> list[Pending]:
    """List what left in late emergencies and is not on the ledger, oldest first."""
    late = read_late(office.custody, is_settled=lambda access: ACCESSES.find(view, access) is not None)
    return [Pending(entry.header.id, read_declaration(read_late_request(entry))) for entry in late]


def read_late_request(entry: OpenedEntry) -> Signed[RecordRequest]:
    """Read the request that a journal entry about a late release holds."""
    return read_statement(read_details(entry.payload, LateDetails).request, RecordRequest)


def name_pending(office: Office, view: LedgerView, person: PersonId) -> tuple[AccessId, ...]:
    """Name the emergencies of a person that we know of and the ledger does not."""
    found = [
        one.declaration.payload.emergency
        for one in list_pending(office, view)
        if (owner := KEYS.find(view, one.declaration.key)) is not None and owner.owner == person
    ]
    return tuple(dict.fromkeys(found))


def check_declaration(office: Office, view: LedgerView, request: RecordRequest) -> Signed[LateDeclaration]:
    """Return the late emergency that a request shows, or refuse one that could not be declared now.

    As the ledger would, were it asked: by its last final state, and by what we have released since.
    """
    if not isinstance(request.declaration, str):
        raise Refused(Reason.MALFORMED)
    message = read_message(request.declaration, LateDeclaration, network=request.network)
    declared: LateDeclaration = message.payload
    parameters, now_ms = PARAMETERS.find(view, CURRENT), office.tell_time(view)
    if parameters is None:
        raise Refused(Reason.HOME_CORRUPT, "the ledger has no parameters")
    require(declared.custodian == office.member, Reason.NOT_THE_CUSTODIAN)
    longest_ms = declared.declared_ms + parameters.emergency_ms_max
    is_short = declared.declared_ms < declared.until_ms <= longest_ms
    require(is_short and declared.declared_ms <= now_ms + CLOCKS_MS_MAX, Reason.EMERGENCY_TOO_LONG)
    require(now_ms <= declared.until_ms, Reason.EMERGENCY_OVER)
    known = EMERGENCIES.find(view, declared.emergency)
    if known is not None:
        is_same = is_posted(known, declared, person=request.person)
        require(is_same and known.outcome is None, Reason.EMERGENCY_OVER)
    check_privilege(
        view,
        request.person,
        key=message.key,
        now_ms=now_ms,
        others=name_pending(office, view, request.person),
        but=declared.emergency,
    )
    return message
