"""A model's statements: what holds, how far it can be known, and that a custodian's cheating is found."""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from iamata.consent.data_use import Conditions, Permission
from iamata.consent.terms import Ruling
from iamata.learning.membership import compute_leaf, derive_member_key
from iamata.learning.protocols import name_document
from iamata.learning.tables import Table
from iamata.ledger.leaves import Leaf
from iamata.ledger.transactions.consents import RestrictConsent, WithdrawConsent
from iamata.ledger.transactions.datasets import CONFIRM_DAYS, ConfirmDataset
from iamata.model.ids import DatasetId, Digest, MemberId, ModelId, PatientId
from iamata.model.instants import MS_PER_DAY, Instant
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import OWNER, SITES, StudyWorld, write_protocol
from iamata.testing.offices import grant, salt, write_terms
from iamata.testing.world import Party
from iamata.vault.custody import Custody
from iamata.vault.openings import find_opening
from iamata.workflows import consents, datasets, model_verification, run_audits, training
from iamata.workflows.cards import write_any_card
from iamata.workflows.datasets import Agreed
from iamata.workflows.documents import get_document
from iamata.workflows.frozen_tables import list_rolls, load_table
from iamata.workflows.lineages import get_model
from iamata.workflows.memberships import check_membership, prove_membership
from iamata.workflows.model_cards import Card, list_figures
from iamata.workflows.model_verification import Evidence, Ground, Statement, verify_model

HONEST, FORGETFUL, DEAF, LAST = SITES


class Told(StudyWorld):
    """A study at four sites, two of which took in somebody who had said no; and what learned from that."""

    def __init__(self) -> None:
        super().__init__(patients=12, protocol=write_protocol(holdout_percent=0))
        self.datasets = {site: self.build(site) for site in (HONEST, LAST)}
        self.datasets[FORGETFUL] = self.build_with(FORGETFUL, self.leave_early())
        self.datasets[DEAF] = self.build_with(DEAF, self.narrow_early())
        with pytest.MonkeyPatch.context() as patch:  # as a site does that does not ask its conditions
            patch.setattr(training, "require_use", lambda *_, **__: None)
            self.model = self.learn()
        self.withdraw(LAST, 2)
        self.renew(self.patients[LAST][-1])

    def build_with(self, site: MemberId, patient: PatientId) -> DatasetId:
        """Build as a custodian might who wants more patients than agreed."""
        office, view = self.offices[site], self.world.engine.snapshot()
        agreed = {PatientId(one.id): Agreed(self.consents[one.id], ()) for one in self.patients[site]}
        assert patient in agreed
        taking_part = [
            datasets.make_participant(office, self.study, *one) for one in sorted(agreed.items())
        ]
        rows, barred = self.rows[site], Conditions(permission=Permission.ANCESTRY_RESEARCH)
        conditions = barred if site == DEAF else None
        return datasets.post(
            office, view, self.study, rows, taking_part, conditions=conditions, replaces=None
        )

    def leave_early(self) -> PatientId:
        """Let a patient withdraw before the dataset is built."""
        patient = self.patients[FORGETFUL][0]
        patient.author.submit(WithdrawConsent, consent=self.consents[patient.id])
        return PatientId(patient.id)

    def narrow_early(self) -> PatientId:
        """Let a patient take observations out of a consent before the dataset is built."""
        patient = self.patients[DEAF][0]
        narrower = write_terms(self.world, decision=Ruling.DENY, recipients=(), purposes=("HRESCH",))
        salted = salt(patient, narrower)
        patient.author.submit(RestrictConsent, consent=self.consents[patient.id], terms=salted.commit())
        consents.accept_restriction(self.offices[DEAF], patient.id, salted)
        return PatientId(patient.id)

    def renew(self, patient: Party) -> None:
        """Let a patient put the same terms in the place of the ones on file."""
        terms = write_terms(self.world, recipients=(f"member:{OWNER}",), purposes=("HRESCH",))
        replaced = self.consents[patient.id]
        self.consents[patient.id] = grant(self.world, self.offices[LAST], patient, terms, replaces=replaced)

    def verify(
        self, model: ModelId, *, blind: MemberId | None = None, file: bytes | None = None
    ) -> list[Statement]:
        """Verify with what all members together hold, but for one who shows nothing."""
        custodies = {one: office.custody for one, office in self.offices.items() if one != blind}
        evidence = Evidence(
            view=self.world.engine.snapshot(),
            networks=(self.world.engine.network,),
            at_ms=Instant(self.world.clock()),
            read_log=self.read_log,
            tell_block_ms=self.tell_block_ms,
            custodies=custodies,
            find_document=self.find_document,
        )
        return verify_model(evidence, model, file=file)

    def tell_block_ms(self, height: int) -> Instant:
        """Tell the time of a block."""
        engine: Any = self.world.engine
        return Instant(engine.blocks[height - 1].time_ms)

    def read_log(self) -> Iterable[Leaf]:
        """Read the log from its beginning."""
        return (leaf for _, leaf in self.world.engine.events(0))

    def find_document(self, digest: Digest) -> bytes | None:
        """Ask the institute for a document."""
        return get_document(self.offices[OWNER].custody, digest)

    def compute_leaf(self, site: MemberId, place: int) -> bytes:
        """Compute a patient's leaf, as their wallet does."""
        patient = self.patients[site][place].id
        ((_, roll),) = list_rolls(self.offices[site].custody)
        consent = next(one.consent for one in roll.participants if one.patient == patient)
        opening = find_opening(self.offices[site].custody, consent)
        assert opening is not None
        return compute_leaf(derive_member_key(opening.salt), self.study)


@pytest.fixture(scope="module")
def told() -> Told:
    """Tell it once."""
    return Told()


def find_consents(statements: list[Statement]) -> dict[str, Statement]:
    """Return the statements about consents, by site."""
    return {one.says.partition(":")[0]: one for one in statements if one.name == "consents"}


def check_card(
    world: StudyWorld, model: ModelId, find_document: Callable[[Digest], bytes | None]
) -> dict[str, Statement]:
    """Return what is said of a model's figures and of its card, by name."""
    evidence = Evidence(
        view=world.world.engine.snapshot(),
        networks=(world.world.engine.network,),
        at_ms=Instant(world.world.clock()),
        read_log=list,
        tell_block_ms=lambda _: Instant(0),
        custodies={},
        find_document=find_document,
    )
    return {one.name: one for one in verify_model(evidence, model)}


def learn_evaluated() -> tuple[StudyWorld, ModelId]:
    """Learn a model that is evaluated on patients who were kept out."""
    world = StudyWorld(protocol=write_protocol(holdout_percent=30))
    for site in SITES:
        world.build(site)
    return world, world.learn()


def test_a_patient_who_had_left_or_narrowed_before_is_found_in_a_dataset(told: Told) -> None:
    found = find_consents(told.verify(told.model))

    assert [one for one, said in found.items() if not said.holds] == [FORGETFUL, DEAF]
    assert found[FORGETFUL].says == f"{FORGETFUL}: of 12 in its dataset, 11 had agreed by then"
    assert {one.ground for one in found.values()} == {Ground.OPENED}


def test_what_sites_did_is_opened_where_their_rounds_are_at_hand(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(blind: MemberId | None) -> list[tuple[Ground, bool, str]]:
        said = told.verify(told.model, blind=blind)
        return [(one.ground, one.holds, one.says) for one in said if one.name == "computation"]

    opened = [
        (
            Ground.OPENED,
            True,
            f"{site}: its part in 7 sums is what the reviewed code makes of the rows that it keeps",
        )
        for site in sorted(SITES)
    ]
    word = "which rows were read, and that the reviewed code ran: "
    assert find(None) == opened
    assert find(SITES[3]) == [*opened[:3], (Ground.ATTESTED, True, word + SITES[3])]
    monkeypatch.setattr(model_verification, "compute_code_digest", lambda: "other code")
    assert find(None) == [(Ground.ATTESTED, True, word + ", ".join(sorted(SITES)))]


def test_a_site_whose_rounds_do_not_follow_from_its_rows_is_named(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_audits, "load_table", partial(load_reversed, FORGETFUL))

    said = [one for one in told.verify(told.model) if one.name == "computation"]

    assert {one.says.partition(":")[0]: one.holds for one in said} == {
        site: site != FORGETFUL for site in SITES
    }
    (wrong,) = (one.says for one in said if not one.holds)
    assert re.fullmatch(
        f"{FORGETFUL}: its part in sum \\d+ \\(.*\\) is not what the code makes of its rows", wrong
    )


def load_reversed(site: MemberId, custody: Custody, *asked: Any, **chosen: Any) -> tuple[Table, bytes]:
    """Load a table; at one site with other outcomes than were summed."""
    table, rows_key = load_table(custody, *asked, **chosen)
    outcome = 1 - table.outcome if custody.member == site else table.outcome
    return dataclasses.replace(table, outcome=outcome), rows_key


def test_conditions_that_spoke_against_the_purpose_are_found_where_they_are_kept(told: Told) -> None:
    said = {one.says.partition(":")[0]: one for one in told.verify(told.model) if one.name == "conditions"}

    assert {site: one.holds for site, one in said.items()} == {HONEST: True, LAST: True, DEAF: False}
    assert {one.ground for one in said.values()} == {Ground.OPENED}


def test_whoever_changed_their_mind_later_had_agreed_by_then(told: Told) -> None:
    said = find_consents(told.verify(told.model))[LAST]

    assert said.holds
    assert said.says == (
        f"{LAST}: of 12 in its dataset, 12 had agreed by then; "
        "withdrawn since: 2; replaced since, by one that permits the study: 1"
    )


def test_what_a_site_does_not_open_is_its_word(told: Told) -> None:
    said = find_consents(told.verify(told.model, blind=FORGETFUL))[FORGETFUL]

    assert (said.ground, said.holds) == (Ground.ATTESTED, True)


def test_a_changed_file_is_found(told: Told) -> None:
    wrong = [one for one in told.verify(told.model, file=b"{}") if not one.holds]

    assert [one.name for one in wrong if one.name not in {"consents", "conditions"}] == ["file"]


def test_figures_rest_on_what_every_site_attested() -> None:
    evaluated, model = learn_evaluated()
    view = evaluated.world.engine.snapshot()
    card = evaluated.read_model(get_model(view, model).card)
    worth = list_figures(card)[f"{model}-evaluation.json"]
    honest = evaluated.read_model(worth)
    better = honest.replace(b'"value":0.', b'"value":0.9', 1)
    named = card.replace(
        hashlib.sha256(honest).hexdigest().encode(), hashlib.sha256(better).hexdigest().encode()
    )
    lying = {get_model(view, model).card: named, name_document(better): better}

    said = check_card(evaluated, model, evaluated.read_model)["figures"]
    lie = check_card(evaluated, model, lambda digest: lying.get(digest) or evaluated.read_model(digest))[
        "figures"
    ]
    unknown = check_card(evaluated, model, lambda _: None)["figures"]

    assert better != honest
    assert (said.ground, said.holds) == (Ground.OPENED, True)
    assert not lie.holds
    assert (unknown.ground, unknown.holds) == (Ground.ATTESTED, True)


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "a better figure": lambda text: re.sub(rb"AUROC \| 0[.]\d+", b"AUROC | 0.999", text),
    "another use": lambda text: text.replace(b"## Uses\n", b"## Uses\n\nFor treatment.\n"),
    "no rounds": lambda text: text.rpartition(b"## Files")[0],
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=list(FORGERIES))
def test_a_card_on_which_an_owner_wrote_something_else_is_found(
    monkeypatch: pytest.MonkeyPatch, forge: Callable[[bytes], bytes]
) -> None:

    def write_forged(*given: Any, **named: Any) -> Card:
        card = write_any_card(*given, **named)
        assert forge(card.text) != card.text
        return Card(text=forge(card.text), figures=card.figures)

    monkeypatch.setattr("iamata.workflows.studies.write_any_card", write_forged)
    world, model = learn_evaluated()

    said = check_card(world, model, world.read_model)

    assert said["card"].holds
    assert not said["contents"].holds
    assert said["figures"].holds == (said["figures"].says != "the card names no rounds of sums")


def test_a_card_of_other_code_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    world, model = learn_evaluated()
    honest = check_card(world, model, world.read_model)["contents"]
    monkeypatch.setattr(
        "iamata.workflows.cards.write_any_card", lambda *_, **__: Card(text=b"", figures={})
    )
    changed = check_card(world, model, world.read_model)["contents"]
    monkeypatch.setattr("iamata.workflows.model_verification.compute_code_digest", lambda: "another")
    other = check_card(world, model, world.read_model)["contents"]

    assert (honest.ground, honest.holds) == (Ground.OPENED, True)
    assert (changed.ground, changed.holds) == (Ground.OPENED, False)
    assert (other.ground, other.holds) == (Ground.ATTESTED, True)


def test_everything_else_holds(told: Told) -> None:
    statements = told.verify(told.model)

    assert [one.name for one in statements if not one.holds] == ["consents", "consents", "conditions"]
    assert [one.name for one in statements if one.ground is Ground.PROVEN] == [
        "permit",
        "run",
        "attestations",
        "standing",
    ]


def test_a_proof_of_membership_holds_for_its_own_dataset_and_custodian_alone(told: Told) -> None:
    leaf, dataset = told.compute_leaf(HONEST, 0), told.datasets[HONEST]
    genesis = told.world.engine.genesis
    proof = prove_membership(told.offices[HONEST], dataset, leaf)

    assert check_membership(proof, genesis, dataset=dataset, custodian=HONEST, leaf=leaf)
    for other in (
        {"dataset": told.datasets[LAST], "custodian": HONEST, "leaf": leaf},
        {"dataset": dataset, "custodian": LAST, "leaf": leaf},
        {"dataset": dataset, "custodian": HONEST, "leaf": bytes(32)},
    ):
        asked: Any = other
        with pytest.raises(Refused) as refused:
            check_membership(proof, genesis, **asked)
        assert refused.value.reason is Reason.FAULT_FOUND


def test_a_proof_of_absence_is_one_too(told: Told) -> None:
    leaf, dataset = told.compute_leaf(LAST, 0), told.datasets[HONEST]
    proof = prove_membership(told.offices[HONEST], dataset, leaf)

    is_in = check_membership(proof, told.world.engine.genesis, dataset=dataset, custodian=HONEST, leaf=leaf)

    assert not is_in


def test_a_custodian_that_owes_its_word_is_named() -> None:
    told = Told()
    told.world.clock.advance((CONFIRM_DAYS - 1) * MS_PER_DAY)
    told.offices[HONEST].author.submit(ConfirmDataset, dataset=told.datasets[HONEST])

    def tell() -> Statement:
        (said,) = (one for one in told.verify(told.model) if one.name == "standing")
        return said

    assert "overdue" not in tell().says
    told.world.clock.advance(2 * MS_PER_DAY)  # and no block comes

    assert tell().holds
    for site, is_late in ((HONEST, False), (FORGETFUL, True), (DEAF, True), (LAST, True)):
        assert (f"{site} active, overdue" in tell().says) is is_late
