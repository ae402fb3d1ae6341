"""What a site did in a run that is over, worked out again from the rows and the rounds that it keeps.

The seed of a run opens what the site committed to and what it summed, in transcripts that every site has
attested. So whoever may look into the site's home learns whether its part in each sum is what the reviewed
code makes of these rows: no more (the rows themselves are the site's word), and nothing of anybody else's.
"""

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from iamata.learning.programmes import Query
from iamata.learning.protocols import Protocol, name_document, split_site
from iamata.learning.questions import Asked
from iamata.learning.secure_sum.auditing import check_contribution
from iamata.learning.secure_sum.site import Sum
from iamata.learning.summing import START, extend_run, plan_round, spell_share
from iamata.learning.tables import Integers
from iamata.ledger.entries import Run
from iamata.model.ids import PatientId, RunId
from iamata.model.reasons import Reason, Refused, require
from iamata.ports import LedgerView
from iamata.vault.custody import Custody
from iamata.workflows.documents import compute_transcript
from iamata.workflows.frozen_tables import Roll, get_roll, load_table
from iamata.workflows.kept_rounds import KeptRounds
from iamata.workflows.lineages import get_study, is_erased, list_sites
from iamata.workflows.run_programmes import choose_programme, run_programme
from iamata.workflows.run_rounds import derive_noise_secret


class Finished(NamedTuple):
    """A run that is over, and what it was to work out."""

    name: RunId
    run: Run
    protocol: Protocol
    asked: Asked | None
    """None where it made a model."""


def audit_site(custody: Custody, view: LedgerView, finished: Finished) -> int:
    """Return over how many rounds a site did in a run what it attests, or refuse.

    The code that is installed here has to be what was reviewed. Refuses with NOT_FOUND where that cannot
    be told: what opens the rounds is not kept, or one of the patients was erased since.
    """
    try:
        return _audit(custody, view, finished)
    except (msgspec.MsgspecError, ValueError, LookupError, OverflowError) as error:
        raise Refused(Reason.FAULT_FOUND, "what it keeps of the run cannot be read") from error


def _audit(custody: Custody, view: LedgerView, finished: Finished) -> int:
    kept = KeptRounds.find(custody, finished.name)
    if kept is None:
        raise Refused(Reason.NOT_FOUND, "what opens its rounds is not kept")
    sites = list_sites(view, finished.run)
    dataset, protocol = finished.run.datasets[sites.index(custody.member)], finished.protocol
    study = get_study(view, finished.run.study)
    roll = get_roll(custody, dataset)
    _require_everybody(view, roll, protocol, without=kept.begun.without)
    try:
        table, rows_key = load_table(custody, dataset, protocol.schema, without=kept.begun.without)
    except Refused as refused:
        detail = "rows are missing of patients who were not erased"
        raise Refused(Reason.FAULT_FOUND, detail) from refused
    number = study.sites.index(custody.member)
    site = split_site(protocol, table, number=number, has_holdout=roll.has_holdout)
    again = _Again(custody, finished, kept, rows=site.table.count_patients(), rows_key=rows_key)
    programme = choose_programme(protocol, finished.asked, study, sites=len(sites))
    learned = run_programme(programme, site, again)
    attested = [one for one in finished.run.attestations if one.site == custody.member]
    evaluation = msgspec.json.encode(learned.evaluation)
    came_to = name_document(learned.model), compute_transcript(again.transcript, evaluation)
    is_same = [(one.model, one.transcript) for one in attested] == [came_to]
    require(is_same, Reason.FAULT_FOUND, "what it attested is not what its rounds come to")
    return again.number


def _require_everybody(
    view: LedgerView, roll: Roll, protocol: Protocol, *, without: Collection[PatientId]
) -> None:
    """Refuse where a site left out whom it might not, or where one who was in it was erased since."""
    erased = {one.patient for one in roll.participants if is_erased(view, one.patient)}
    may_leave_out = erased if protocol.spends_micro > 0 else set[PatientId]()
    is_right = all(one.patient in may_leave_out for one in roll.participants if one.patient in without)
    require(is_right, Reason.FAULT_FOUND, "it left patients out who are in its dataset")
    require(erased <= set(without), Reason.NOT_FOUND, "one of its patients was erased since")


class _Again:
    """Takes the sums from what was kept, where the site's part is what its rows come to."""

    def __init__(
        self, custody: Custody, finished: Finished, kept: KeptRounds, *, rows: int, rows_key: bytes
    ) -> None:
        self.transcript = START
        self.number = 0
        self._custody = custody
        self._finished = finished
        self._kept = kept
        self._rows = rows
        self._rows_key = rows_key

    def sum(self, query: Query, share: Integers) -> Sum:
        """Return what a round came to, or refuse where this site did something else in it."""
        self.number += 1
        try:
            total = self._find_sum(query, share)
        except Refused as refused:
            if refused.reason is Reason.NOT_FOUND:
                raise
            detail = f"its part in sum {self.number} ({query.name}) is not what the code makes of its rows"
            raise Refused(Reason.FAULT_FOUND, detail) from refused
        self.transcript = extend_run(self.transcript, total)
        return total

    def _find_sum(self, query: Query, share: Integers) -> Sum:
        begun = self._kept.begun
        plan = plan_round(
            query,
            network=begun.network,
            run=self._finished.name,
            datasets=self._finished.run.datasets,
            seats=begun.seats,
            transcript=self.transcript,
        )
        total = self._kept.find_sum(self.number, plan)
        if total is None:
            raise Refused(Reason.NOT_FOUND, f"what sum {self.number} came to is not kept")
        secret = derive_noise_secret(self._custody)
        transcript = check_contribution(
            plan,
            total.record,
            self._custody.member,
            seed=self._kept.derive_seed(plan, self._rows_key),
            vector=spell_share(query, plan, share, rows=self._rows, secret=secret),
        )
        require(transcript == total.transcript, Reason.FAULT_FOUND, "transcript")
        return total
