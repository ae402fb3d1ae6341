"""Tell the ledger what leaves in a late emergency: tried before, and else first of all on recovery."""

from collections.abc import Iterator, Sequence
from typing import Final

from iamata.ledger.tables import ACCESSES
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.late_emergencies import LateDeclaration, PostLateEmergency
from iamata.model.ids import AccessId
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.author import NO_FINALITY, settle
from iamata.workflows.late_declarations import list_pending
from iamata.workflows.messages import Planned
from iamata.workflows.office import Office
from iamata.workflows.planning import Leaving, find_plan

TRY_S: Final = 5.0
"""How long a custodian tries to tell the ledger before records leave without it: somebody is waiting."""


def tell_first(
    office: Office, declaration: Signed[LateDeclaration], leaving: Sequence[Leaving]
) -> Iterator[Leaving]:
    """Try to tell the ledger; keep what it knows now, and what it says neither yes nor no to.

    That there is no finality is for the custodian to find out; nobody's word counts for it.
    """
    is_answering = has_posted_pending(office)
    for one in leaving:
        try:
            if not is_known(office, one.plan) and is_answering:
                post(office, declaration, one.plan)
        except Refused as refused:
            if refused.reason not in NO_FINALITY:
                continue
            is_answering = False
        yield one


def post_pending(office: Office) -> list[AccessId]:
    """Tell the ledger all that left without it; refuse where it still gives no finality.

    What it says no to stays in the journal, for the patient and `iamata verify` to see.
    """
    posted = []
    for one in list_pending(office, office.take_view()):
        plan = find_plan(office, one.access)
        if plan is None:
            raise Refused(Reason.HOME_CORRUPT, f"the plan of {one.access}")
        try:
            post(office, one.declaration, plan)
        except Refused as refused:
            if refused.reason in NO_FINALITY:
                raise
        else:
            posted.append(one.access)
    return posted


def has_posted_pending(office: Office) -> bool:
    """Tell the ledger first what left before; return whether it answered."""
    try:
        post_pending(office)
    except Refused as refused:
        if refused.reason not in NO_FINALITY:
            raise
        return False
    return True


def finish_late_emergencies(*offices: Office) -> list[AccessId]:
    """Tell the ledger what left without it, as far as it gives finality again; before serving, and then."""
    posted: list[AccessId] = []
    for office in offices:
        try:
            posted += post_pending(office)
        except Refused as refused:
            if refused.reason not in NO_FINALITY:
                raise
    return posted


def post(office: Office, declaration: Signed[LateDeclaration], plan: Planned) -> None:
    """Tell the ledger of one disclosure, unless it knows; refuse where it says no, or nothing in time."""
    if is_known(office, plan):
        return
    raw = office.author.write(
        PostLateEmergency, declaration=declaration, access=plan.details.access, commitment=plan.commit()
    )
    try:
        settle(office.author.engine.submit(raw), timeout_s=TRY_S)
    except Refused as refused:
        # An earlier attempt may have become final after all, or another one that runs beside us.
        if refused.reason is not Reason.ACCESS_ALREADY_EXISTS or not is_known(office, plan):
            raise


def is_known(office: Office, plan: Planned) -> bool:
    """Tell whether the ledger holds a disclosure; refuse where it holds another one under its id."""
    known = ACCESSES.find(office.take_view(), plan.details.access)
    require(known is None or known.commitment == plan.commit(), Reason.ACCESS_ALREADY_EXISTS)
    return known is not None
