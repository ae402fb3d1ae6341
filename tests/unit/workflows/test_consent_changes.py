"""What became of the consents in a dataset is told for what it is, and no more than its custodian knows."""

from typing import Any, Final

import pytest

from iamata.consent.terms import Meaning, Ruling, Selector
from iamata.ledger.transactions.consents import RestrictConsent, WithdrawConsent
from iamata.model.ids import PatientId
from iamata.model.instants import MS_PER_DAY, Instant
from iamata.testing.cohorts import COHORT
from iamata.testing.learning import OWNER, SITES, StudyWorld
from iamata.testing.offices import grant, salt, write_terms
from iamata.testing.world import Party
from iamata.workflows import consents
from iamata.workflows.consent_changes import Change, find_change, list_successors
from iamata.workflows.frozen_tables import get_roll
from iamata.workflows.lineages import get_study

SITE: Final = SITES[0]
YEAR: Final = 365
DAYS: Final = 10
CASES: Final[dict[str, Change | None]] = {
    "withdrawn": Change.WITHDRAWN,
    "renewed": Change.STILL_PERMITTED,
    "renewed twice": Change.STILL_PERMITTED,
    "for treatment alone": Change.NO_LONGER_PERMITTED,
    "renewed, then withdrawn": Change.WITHDRAWN,
    "renewed for some days": Change.STILL_PERMITTED,
    "without a record": Change.NARROWED,
    "without its kind": Change.NARROWED,
    "not for treatment": None,
    "narrowed where the custodian was not told": Change.UNKNOWN,
    "as before": None,
}


class Changed(StudyWorld):
    """A dataset at one site, whose patients then change their minds, each in another way."""

    def __init__(self) -> None:
        super().__init__(patients=len(CASES), protocol=COHORT)
        self.roll = get_roll(self.offices[SITE].custody, self.build(SITE))
        self.people = dict(zip(CASES, self.patients[SITE], strict=True))
        self.replace("renewed")
        self.replace("renewed twice")
        self.replace("renewed twice")
        self.replace("for treatment alone", purpose="TREAT")
        self.replace("renewed, then withdrawn")
        self.replace("renewed for some days", days=DAYS)
        for name in ("withdrawn", "renewed, then withdrawn"):
            party = self.people[name]
            party.author.submit(WithdrawConsent, consent=self.consents[party.id])
        self.narrow("without a record", data=(name_marker(self.people["without a record"].id),))
        self.narrow("without its kind")
        self.narrow("not for treatment", purposes=("TREAT",))
        self.narrow("narrowed where the custodian was not told", is_told=False)

    def replace(self, name: str, *, purpose: str = "HRESCH", days: int = YEAR) -> None:
        """Let a patient put other terms in the place of the ones on file."""
        party = self.people[name]
        terms = write_terms(self.world, recipients=(f"member:{OWNER}",), purposes=(purpose,))
        before = self.consents[party.id]
        self.consents[party.id] = grant(
            self.world, self.offices[SITE], party, terms, days=days, replaces=before
        )

    def narrow(self, name: str, *, is_told: bool = True, **rule: Any) -> None:
        """Let a patient narrow the consent on file."""
        party = self.people[name]
        said: dict[str, Any] = {"recipients": (), "labels": (), "purposes": ("HRESCH",)} | rule
        salted = salt(party, write_terms(self.world, decision=Ruling.DENY, **said))
        party.author.submit(RestrictConsent, consent=self.consents[party.id], terms=salted.commit())
        if is_told:
            consents.accept_restriction(self.offices[SITE], PatientId(party.id), salted)

    def find(self, party: Party, *, days: int = 0) -> Change | None:
        """Find what became of a patient's consent, as things stand so many days from now."""
        engine, (one,) = (
            self.world.engine,
            [one for one in self.roll.participants if one.patient == party.id],
        )
        view = engine.snapshot()
        return find_change(
            view,
            self.offices[SITE].custody,
            get_study(view, self.study),
            self.protocol,
            one,
            successors=list_successors(leaf for _, leaf in engine.events(0)),
            at_ms=Instant(self.world.clock() + days * MS_PER_DAY),
        )


def name_marker(patient: str) -> Selector:
    """Name the record with a patient's marker."""
    return Selector(meaning=Meaning.INSTANCE, reference=f"Observation/{patient[:8]}-1")


@pytest.fixture(scope="module")
def changed() -> Changed:
    """Let them change their minds once."""
    return Changed()


def test_each_change_is_told_for_what_it_is(changed: Changed) -> None:
    assert {name: changed.find(party) for name, party in changed.people.items()} == CASES


def test_a_consent_whose_last_day_has_passed_has_expired_and_one_that_was_withdrawn_before_not(
    changed: Changed,
) -> None:
    found = {name: changed.find(party, days=DAYS + 1) for name, party in changed.people.items()}
    later = {name: changed.find(party, days=YEAR + 1) for name, party in changed.people.items()}

    assert found == CASES | {"renewed for some days": Change.EXPIRED}
    assert {name for name, one in later.items() if one is not Change.EXPIRED} == {
        "withdrawn",
        "renewed, then withdrawn",
    }
