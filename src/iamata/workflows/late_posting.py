"""Tell the ledger what leaves in a late emergency: tried before, and else first of all on recovery."""

from collections.abc import Iterator, Sequence
from typing import Final

from iamata.crypto import hkdf
from iamata.ledger.envelope import sign_transaction
from iamata.ledger.tables import ACCESSES
from iamata.ledger.transaction import Signed
from iamata.ledger.transactions.late_emergencies import LateDeclaration, PostLateEmergency
from iamata.model.ids import RANDOM_ID_BYTES, AccessId, Nonce, compute_random_id
from iamata.model.instants import MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused, require
from iamata.workflows.author import NO_FINALITY, settle
from iamata.workflows.late_declarations import list_pending
from iamata.workflows.messages import Planned
from iamata.workflows.office import Office
from iamata.workflows.planning import Leaving, find_plan

TRY_S: Final = 5.0
"""How long a custodian tries to tell the ledger before records leave without it: somebody is waiting."""
SLOT_MS: Final = 2 * MS_PER_MINUTE
SLOTS_VALID: Final = 3
"""An attempt expires four to six minutes ahead, and is spelled anew every two."""


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
    try:
        settle(office.author.engine.submit(write_post(office, declaration, plan)), timeout_s=TRY_S)
    except Refused as refused:
        # An earlier attempt may have become final after all, or another one that runs beside us.
        is_told = refused.reason in (Reason.ACCESS_ALREADY_EXISTS, Reason.REPLAYED)
        if not is_told or not is_known(office, plan):
            raise


def write_post(office: Office, declaration: Signed[LateDeclaration], plan: Planned) -> bytes:
    """Sign what the ledger is told of a disclosure: for a while always the same bytes.

    An engine gives the same bytes one answer, so that an outage does not pile up attempts, all but one of
    which would come to stand in the log as refused.
    """
    author, details = office.author, plan.details
    expires_ms = (author.clock() // SLOT_MS + SLOTS_VALID) * SLOT_MS
    info = f"post/{details.access}/{expires_ms}".encode("ascii")
    nonce = hkdf.derive(office.custody.index_key, salt=b"", info=info, size_bytes=RANDOM_ID_BYTES)
    body = PostLateEmergency(
        network=author.engine.network,
        nonce=Nonce(compute_random_id(nonce)),
        expires_ms=Instant(expires_ms),
        declaration=declaration,
        access=details.access,
        commitment=plan.commit(),
    )
    return sign_transaction(body, author.key)


def is_known(office: Office, plan: Planned) -> bool:
    """Tell whether the ledger holds a disclosure; refuse where it holds another one under its id."""
    known = ACCESSES.find(office.take_view(), plan.details.access)
    require(known is None or known.commitment == plan.commit(), Reason.ACCESS_ALREADY_EXISTS)
    return known is not None
