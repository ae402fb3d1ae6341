"""The demo's story on four validators: four node processes, each with its CometBFT, which speak HTTP.

What a hospital does at its own home it does while its node is down; the other three are enough to go on.
Everybody else works at a node's URL, and believes nothing that is not proven by the validators' votes.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from iamata.ledger.entries import ReviewOutcome
from iamata.ledger.genesis import compute_network_id
from iamata.model.ids import ConsentId, MemberId, ModelId, PatientId, StudyId
from iamata.model.reasons import Reason, Refused, require
from iamata.node import demo, wallets
from iamata.node.demo_stage import (
    LAKE_CLINICIAN,
    MEMBERS,
    NORTH_CLINICIAN,
    NORTH_REVIEWER,
    PATIENT,
    SOUTH_CLINICIAN,
    A,
    B,
    C,
    Story,
    Tell,
    hold,
)
from iamata.node.demo_study import tell_study
from iamata.node.home import WALLETS_FOLDER, Home, load_genesis
from iamata.node.identities import open_or_create, sign_as
from iamata.node.keeping_up import KeptNodes, keeping_up
from iamata.node.places import RemotePlace, open_node
from iamata.node.running import find_node
from iamata.node.running_studies import train_at_node
from iamata.node.validators import create_validator_homes
from iamata.node.verification import HomeReport, verify_home
from iamata.stores.wallets import load_wallet
from iamata.wire.bodies import Reading
from iamata.workflows import emergencies, enrolments, reads
from iamata.workflows.share_codes import shorten

LAG_S_MAX: Final = 60.0
LAG_STEP_S: Final = 0.1
QUIET: Final[Tell] = lambda _: None  # noqa: E731  a constant of the right type


class Network:
    """The story's nodes, and the wallets of those who come to them.

    Nobody goes on before the ledger there is as long as where somebody worked last: one of four may lag.
    """

    def __init__(self, path: Path, nodes: KeptNodes, tell: Tell) -> None:
        self.path = path
        self.tell = tell
        self._nodes = nodes
        self._log_size = 0

    def find_wallet(self, member: MemberId, name: str) -> Path:
        """Say where somebody's wallet lies."""
        return self.path / member / WALLETS_FOLDER / name

    @contextlib.contextmanager
    def working_at(self, member: MemberId) -> Iterator[Home]:
        """Work at a member's home while its node is down, which catches up first: down, it would not."""
        self._await(lambda: self._read_log_size(member))
        with self._nodes.working_at(member) as home:
            yield home
            self._log_size = home.engine.snapshot().log_size

    def come_unknown(self, name: str, member: MemberId) -> contextlib.AbstractContextManager[RemotePlace]:
        """Speak to a member's node with a wallet whose key the ledger may not know yet."""
        network = compute_network_id(load_genesis(self.path / member))
        return open_node(self._nodes.find_url(member), self.find_wallet(member, name), network=network)

    @contextlib.contextmanager
    def come_as(self, name: str, member: MemberId) -> Iterator[RemotePlace]:
        """Speak to a member's node with somebody's wallet."""
        with self.come_unknown(name, member) as place:
            self._await(lambda: place.engine.snapshot().log_size)
            yield place
            self._log_size = place.engine.snapshot().log_size

    def train(self, name: str, owner: MemberId, study: StudyId, *, supersedes: ModelId | None) -> ModelId:
        """Let the owner's node begin, all sites' nodes take part, and await the model."""
        with self.come_as(name, owner) as place:
            return train_at_node(place, study, supersedes=supersedes, tell=lambda _: None)

    def _read_log_size(self, member: MemberId) -> int:
        node = find_node(self.path / member)
        return 0 if node is None else node.log_size

    def _await(self, read_log_size: Callable[[], int]) -> None:
        until_s = time.monotonic() + LAG_S_MAX
        while read_log_size() < self._log_size:
            require(time.monotonic() < until_s, Reason.TOO_SLOW, "a validator lags behind the others")
            time.sleep(LAG_STEP_S)


def run_validators_demo(path: Path, *, records: Path | None, tell: Tell) -> dict[str, Any]:
    """Tell the story in a new folder of homes, and return what was measured."""
    begun_s = time.perf_counter()
    create_validator_homes(path, "Iamata demo", MEMBERS)
    tell("Four organisations found a network: a regulator and three hospitals. They order it together.")
    with keeping_up(path, QUIET) as nodes:
        tell("Four nodes run, each a process with a CometBFT beside it: one of them may fail or cheat.")
        network = Network(path, nodes, tell)
        story, (alice, broken, erased), code = prepare(network, records)
        consent = let_patient_consent(network, story, code)
        let_clinician_read(network, story)
        let_glass_break(network, story, broken)
        show_who_looked(network, story, alice)
        withdraw(network, story, consent)
        with network.working_at(A) as home:
            story.home = home
            demo.erase(story, erased)
        tell_study(story, network)
    finish(path, story, begun_s)
    return story.facts


def prepare(
    network: Network, records: Path | None
) -> tuple[Story, tuple[PatientId, PatientId, PatientId], str]:
    """Let each hospital introduce its staff and import, and the first one invite a patient."""
    story: Story | None = None
    chosen, code = None, ""
    with demo.preparing_sources(records, network.tell) as sources:
        for member in (A, B, C):
            with network.working_at(member) as home:
                story = story or Story(home=home, tell=network.tell)
                story.home = home
                demo.register_staff(story, only=member)
                if member in sources:
                    demo.import_into(story, member, sources[member])
                if member == A:
                    chosen = demo.choose_patients(story)
                    code = enrolments.invite_patient(home.get_office(A), chosen[0])
    if story is None or chosen is None:
        raise AssertionError  # never: there are hospitals
    network.tell(f"The hospitals have introduced {len(story.people)} people, each with a key of their own.")
    return story, chosen, code


def let_patient_consent(network: Network, story: Story, code: str) -> ConsentId:
    """Let a patient take over her pseudonym, be asked for in vain, and consent."""
    folder = network.find_wallet(A, PATIENT)
    open_or_create(folder)
    with network.come_unknown(PATIENT, A) as place:
        wallets.enrol_with_code(place, folder, code)
    network.tell("At North Hospital's node a patient takes her pseudonym over: now only she holds its key.")
    hold(ask_with_share(network) is None, "a request before any consent was answered")
    story.facts["refused_before_consent"] = True
    network.tell("A clinician of South Hospital asks for her records and hears: «no such record».")
    terms, until_day = demo.write_terms()
    with network.come_as(PATIENT, A) as place:
        consent = wallets.grant(place, folder, member=A, terms=terms, until_day=until_day)
    network.tell("She consents: South Hospital may read for treatment for a year, but nothing psychiatric.")
    return consent


def let_clinician_read(network: Network, story: Story) -> None:
    """Let the clinician elsewhere read what she permits."""
    begun_s = time.perf_counter()
    shared = ask_with_share(network)
    milliseconds = (time.perf_counter() - begun_s) * 1_000
    if shared is None:
        raise Refused(Reason.FAULT_FOUND, "in the demo, a request with consent was refused")
    story.facts["disclosure"] = {"records": shared, "milliseconds": round(milliseconds, 1)}
    network.tell(
        f"The clinician asks again, with a new share code, and gets {shared} records, code and all in "
        f"{milliseconds:,.0f} ms; three of four validators had agreed before the first byte left."
    )


def let_glass_break(network: Network, story: Story, patient: PatientId) -> None:
    """Let a privileged clinician find and read a patient in an emergency, and the custodian review it."""
    person = story.people[LAKE_CLINICIAN]
    with network.come_as(LAKE_CLINICIAN, C) as place:
        author = sign_as(place, load_wallet(network.find_wallet(C, LAKE_CLINICIAN)), C)[1]
        search = demo.write_search(author, person, story.patients[patient][0])
        found = place.find_in_emergency(A, search)
        declared = emergencies.declare(author, patient=found, reason=demo.WHY_GLASS)
        shared = confirm(place, place.staff.fetch_in_emergency(declared.emergency, purpose="BTG"))
    with network.come_as(NORTH_REVIEWER, A) as place:
        reviewer = sign_as(place, load_wallet(network.find_wallet(A, NORTH_REVIEWER)), A)[1]
        emergencies.review(reviewer, declared.emergency, ReviewOutcome.JUSTIFIED, reason=demo.WHY_JUSTIFIED)
    story.facts["emergency"] = {"records": shared, "outcome": str(ReviewOutcome.JUSTIFIED)}
    network.tell(
        f"At Lake Hospital a glass is broken for an unconscious patient: {shared} records, the reason "
        "on the ledger as a commitment. North Hospital's reviewer finds it justified."
    )


def show_who_looked(network: Network, story: Story, alice: PatientId) -> None:
    """Let her own clinician read one record, and the patient list every access with its proof."""
    with network.working_at(A) as home:
        office, person = home.get_office(A), story.people[NORTH_CLINICIAN]
        listed = reads.list_records(office, person=person, patient=alice, purpose="TREAT")
        reads.read_records(office, [listed[0].facts.record], person=person, patient=alice, purpose="TREAT")
        reads.anchor_reads(office)
    network.tell(f"Her own clinician at North Hospital lists {len(listed)} records and reads one.")
    with network.come_as(PATIENT, A) as place:
        demo.tell_who_looked(story, list(wallets.list_accesses(place, network.find_wallet(A, PATIENT))))


def withdraw(network: Network, story: Story, consent: ConsentId) -> None:
    """Let the patient withdraw, and show that the next request is refused."""
    with network.come_as(PATIENT, A) as place:
        wallets.withdraw(place, network.find_wallet(A, PATIENT), consent=consent)
    hold(ask_with_share(network) is None, "a request after the withdrawal was answered")
    story.facts["refused_after_withdrawal"] = True
    network.tell("She withdraws, with her key alone. The next request of South Hospital: «no such record».")


def ask_with_share(network: Network) -> int | None:
    """Let the clinician at B ask with a share code; return how many records came, None where refused."""
    with network.come_as(PATIENT, A) as place:
        folder = network.find_wallet(A, PATIENT)
        statement = wallets.share(place, folder, member=A, recipient=B, minutes=demo.SHARE_MINUTES)
        share = shorten(statement)
    with network.come_as(SOUTH_CLINICIAN, B) as place:
        try:
            return confirm(place, place.staff.fetch_by_share(share, purpose="TREAT"))
        except Refused as refused:
            if refused.reason is not Reason.NOT_FOUND:
                raise
            return None


def confirm(place: RemotePlace, reading: Reading) -> int:
    """Confirm what arrived, and count its records."""
    place.staff.confirm(reading.custodian, [one.receipt for one in reading.arrivals])
    return sum(len(one.records) for one in reading.arrivals)


def finish(path: Path, story: Story, begun_s: float) -> None:
    """Verify every home, and that all have one ledger."""
    reports: dict[str, HomeReport] = {
        member: verify_home(path / member, tell=QUIET) for member, _, _ in MEMBERS
    }
    longest = max(reports.values(), key=lambda one: one.ledger.blocks).ledger
    for member, report in reports.items():
        is_same = report.ledger.app_hash == longest.app_hashes[report.ledger.blocks]
        hold(is_same, f"{member} has another ledger")
    votes = next(iter(reports.values())).votes
    story.facts["verified"] = {
        "blocks": longest.blocks,
        "transactions": longest.transactions,
        "votes": 0 if votes is None else votes.votes,
        "records": sum(one.records for report in reports.values() for one in report.members),
    }
    counts = demo.describe_counts(story.facts["verified"])
    story.tell(f"Every home is verified, and all have the same ledger: {counts}.")
    story.facts["height"], story.facts["app_hash"] = longest.blocks, longest.app_hash
    story.facts["wall_s"] = round(time.perf_counter() - begun_s, 2)
    story.tell(f"All of this took {story.facts['wall_s']} s.")
