"""Runs that a member has begun, kept durably before the first message leaves.

A site does not begin a run again: its messages would be drawn from another seed, and two answers to one
question say more than one. It goes on with what it kept (`kept_rounds`), or says that the run failed.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from iamata.crypto.commitments import SALT_BYTES
from iamata.ledger.entries import Run, RunStatus
from iamata.ledger.tables import RUNS
from iamata.model.ids import ModelId, RunId
from iamata.model.reasons import Reason, Refused
from iamata.ports import NO_PATIENT, LedgerView
from iamata.vault.custody import Custody
from iamata.vault.openings import Opening, keep_opening, list_openings

PART: Final = "run-part"
"""Kind of what a site keeps of a run in which it takes part."""
OWN: Final = "run-own"
"""Kind of what an owner keeps of a run that it has begun."""


class Undertaking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that was begun."""

    run: RunId
    supersedes: ModelId | None = None
    """Whose place its model takes."""


def undertake(custody: Custody, kind: str, undertaking: Undertaking) -> None:
    """Keep that a run is begun here, or refuse because it was before."""
    opening = Opening(
        name=f"{kind}/{undertaking.run}",
        patient=NO_PATIENT,
        kind=kind,
        salt=custody.entropy(SALT_BYTES),  # so that the second attempt is never the first one's twin
        payload=msgspec.json.encode(undertaking),
    )
    try:
        keep_opening(custody, opening)
    except Refused as refused:
        if refused.reason is not Reason.INPUT_INVALID:
            raise
        raise Refused(Reason.QUERY_ALREADY_ANSWERED, "this site has begun the run before") from refused


def list_undertaken(custody: Custody, kind: str) -> Iterator[Undertaking]:
    """List the runs that were ever begun here."""
    for opening in list_openings(custody, NO_PATIENT):
        if opening.kind == kind:
            yield msgspec.json.decode(opening.payload, type=Undertaking)


def list_under_way(custody: Custody, view: LedgerView, kind: str) -> Iterator[tuple[Undertaking, Run]]:
    """List the runs that were begun here and are not over on the ledger."""
    for undertaking in list_undertaken(custody, kind):
        run = RUNS.find(view, undertaking.run)
        if run is not None and run.status is RunStatus.RUNNING:
            yield undertaking, run
