"""A study between node processes: an institute orders and asks, hospitals keep patients' rows at home.

Everything before the first run is done at the homes, each opened by its own member's keys; from then on
only the nodes speak to each other, over TLS where there is an openssl to make a certificate.
"""

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from iamata.client.connection import Connection
from iamata.client.engine import RemoteEngine
from iamata.consent.data_use import Conditions, Permission
from iamata.crypto.ed25519 import SEED_BYTES, SigningKey
from iamata.learning.protocols import Protocol
from iamata.ledger.entries import EhdsPurpose, MemberKind, Model, OwnerKind, Role, Run, RunStatus
from iamata.ledger.events import ModelRegistered, RunFailed
from iamata.ledger.tables import MODELS, RUNS
from iamata.ledger.transactions.persons import RegisterPerson
from iamata.model.ids import (
    Commitment,
    Digest,
    MemberId,
    ModelId,
    PersonId,
    RunId,
    StudyId,
    encode_digest,
)
from iamata.model.instants import Day, compute_day
from iamata.model.reasons import Reason, Refused
from iamata.node.configuration import Tls, read_configuration, write_configuration
from iamata.node.demo_study import Participant, draw_participant, let_agree
from iamata.node.home import MEMBERS_FOLDER, SIGNING_KEY, Home, load_genesis, open_home
from iamata.node.keyfiles import read_key
from iamata.node.network import create_node_homes
from iamata.stores.sqlite.home import KEYS_FOLDER
from iamata.testing.certificates import make_certificate
from iamata.testing.cohorts import keep_records
from iamata.testing.nodes import RunningNode, introduce, take_any_port
from iamata.wire import bodies
from iamata.workflows import datasets, studies
from iamata.workflows.author import Author
from iamata.workflows.frozen_tables import PatientRows, Row
from iamata.workflows.lineages import get_study
from iamata.workflows.office import Office

OWNER: Final = MemberId("institute")
REGULATOR: Final = MemberId("regulator")
HEALTH: Final = Conditions(permission=Permission.HEALTH_RESEARCH)
DAYS: Final = 365
RUNS_GRANTED: Final = 2
"""Of a study with a budget."""
LOOK_S: Final = 0.02
PATIENCE_S: Final = 120.0
TOGETHER: Final = 200


@dataclasses.dataclass
class Wanted:
    """A study, and what each hospital brings to it: rows of the first of its patients, in their order."""

    protocol: Protocol
    rows: Mapping[str, Sequence[Row]]
    budget_micro: int = 0


@dataclasses.dataclass
class Granted:
    """A study with a permit."""

    study: StudyId
    refusals: dict[MemberId, Reason] = dataclasses.field(default_factory=dict)
    """For which reason a hospital has no dataset for it."""


class StudyNetwork:
    """The homes of a study's members, and their nodes while `running`."""

    def __init__(
        self,
        folder: Path,
        protocol: Protocol,
        rows: Mapping[str, Sequence[Row]],
        *,
        openssl: Path | None = None,
    ) -> None:
        """Found the network, get the permit, and let each hospital's patients, one a row, agree."""
        self.folder = folder
        self.authorities: Path | None = None
        self.sites = tuple(MemberId(one) for one in sorted(rows))
        self.patients: dict[MemberId, list[Participant]] = {}
        self.url = ""
        self.protocol = protocol
        kinds = {
            OWNER: MemberKind.RESEARCH,
            **dict.fromkeys(self.sites, MemberKind.HOSPITAL),
            REGULATOR: MemberKind.REGULATOR,
        }
        founders = [(one, one.title(), kind) for one, kind in kinds.items()]
        create_node_homes(folder, "study", founders)
        for one in kinds:
            take_any_port(folder / one)
        if openssl is not None:
            self._certify([folder / one for one in kinds], openssl)
        with open_home(folder / OWNER) as home:
            self.researcher = self._register(home, home.get_office(OWNER).author, OWNER, Role.RESEARCHER)
            self._reviewers = self._register_reviewers(home)
            budget = protocol.spends_micro * RUNS_GRANTED
            self.study = self._get_permit(home, protocol, budget_micro=budget)
        with RunningNode(folder / OWNER) as node:
            for site in self.sites:
                introduce(folder / site, peers={OWNER: node.url}, leader=node.url)
                with open_home(folder / site) as home:
                    self._settle(home, home.get_office(site), len(rows[site]))
                    self._build(home, site, self.study, rows[site])

    def add(self, wanted: Mapping[str, "Wanted"]) -> dict[str, "Granted"]:
        """Get permits for more studies of the same patients, and let each hospital build its datasets."""
        with open_home(self.folder / OWNER) as home:
            granted = {
                name: Granted(self._get_permit(home, one.protocol, budget_micro=one.budget_micro))
                for name, one in wanted.items()
            }
            height = home.engine.snapshot().height
        with RunningNode(self.folder / OWNER) as node:
            for site in self.sites:
                introduce(self.folder / site, peers={OWNER: node.url}, leader=node.url)
                with open_home(self.folder / site) as home:
                    home.get_office(site).await_height(height)
                    for name, one in granted.items():
                        try:
                            self._build(home, site, one.study, wanted[name].rows[site])
                        except Refused as refused:
                            one.refusals[site] = refused.reason
        return granted

    @contextlib.contextmanager
    def running(self, *, owner_at: str | None = None) -> Iterator[list[RunningNode]]:
        """Run the owner's node and the sites', which reach its desk at another URL where one is given."""
        with contextlib.ExitStack() as stack:
            nodes = [stack.enter_context(RunningNode(self.folder / OWNER))]
            self.url = nodes[0].url
            for site in self.sites:
                introduce(self.folder / site, peers={OWNER: owner_at or self.url}, leader=self.url)
                nodes.append(stack.enter_context(RunningNode(self.folder / site)))
            yield nodes

    def train(
        self, *, study: StudyId | None = None, supersedes: ModelId | None = None
    ) -> tuple[RunId, ModelId]:
        """Let the researcher start a run at the owner's node, and await that its model is on record."""
        run = self.start(study=study, supersedes=supersedes)
        return run, self.await_model(run)

    def start(self, *, study: StudyId | None = None, supersedes: ModelId | None = None) -> RunId:
        """Let the researcher start a run at the owner's node."""
        connection = self._connect()
        try:
            body = bodies.RunBody(study=study or self.study, supersedes=supersedes)
            return connection.post("/v1/runs", bodies.StartedRun, body).run
        finally:
            connection.close()

    def await_model(self, run: RunId) -> ModelId:
        """Await that a run's model is on record; raise what ends it otherwise."""
        with self.reading() as engine:
            deadline_s = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline_s:
                entry = self.get_run(engine, run)
                if entry.status is RunStatus.FINISHED:
                    for _, leaf in engine.events(0):
                        if isinstance(leaf.event, ModelRegistered) and leaf.event.run == run:
                            return leaf.event.model
                if entry.status is RunStatus.FAILED:
                    message = f"run {run} failed"
                    raise RuntimeError(message)
                time.sleep(LOOK_S)
        message = f"run {run} came to nothing in {PATIENCE_S} s"
        raise TimeoutError(message)

    def list_models(self, run: RunId) -> list[ModelId]:
        """List the models that the ledger has of a run: one, or none."""
        with self.reading() as engine:
            said = [leaf.event for _, leaf in engine.events(0)]
        return [one.model for one in said if isinstance(one, ModelRegistered) and one.run == run]

    def await_failure(self, run: RunId) -> int:
        """Await that a run has failed, and return for which reason."""
        with self.reading() as engine:
            deadline_s = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline_s:
                if self.get_run(engine, run).status is not RunStatus.RUNNING:
                    said = [leaf.event for _, leaf in engine.events(0)]
                    return next(one.reason for one in said if isinstance(one, RunFailed) and one.run == run)
                time.sleep(LOOK_S)
        message = f"run {run} has not failed in {PATIENCE_S} s"
        raise TimeoutError(message)

    @contextlib.contextmanager
    def reading(self) -> Iterator[RemoteEngine]:
        """Read the ledger at the owner's node."""
        connection = self._connect()
        genesis = load_genesis(self.folder / OWNER)
        engine = RemoteEngine(connection, genesis, pinned=None, keep=lambda _: None)
        try:
            yield engine
        finally:
            engine.close()

    def get_run(self, engine: RemoteEngine, run: RunId) -> Run:
        """Return what the ledger says of a run."""
        entry = RUNS.find(engine.snapshot(), run)
        if entry is None:
            raise KeyError(run)
        return entry

    def get_model(self, model: ModelId) -> Model:
        """Return what the ledger says of a model."""
        with self.reading() as engine:
            entry = MODELS.find(engine.snapshot(), model)
        if entry is None:
            raise KeyError(model)
        return entry

    def show_document(self, digest: Digest) -> bytes:
        """Ask the owner's node for a document."""
        connection = self._connect()
        try:
            query = bodies.DocumentQuery(digest=digest)
            return connection.get("/v1/documents", bodies.Document, query).content
        finally:
            connection.close()

    def _connect(self) -> Connection:
        return Connection(self.url, key=self.researcher, authorities=self.authorities)

    def _certify(self, homes: Sequence[Path], openssl: Path) -> None:
        """Let all nodes serve one certificate, which each of them trusts."""
        certificate, key = make_certificate(self.folder, openssl)
        self.authorities = certificate
        files = Tls(certificate=f"../{certificate.name}", key=f"../{key.name}")
        for home in homes:
            configuration = read_configuration(home)
            changed = msgspec.structs.replace(configuration, tls=files, authorities=files.certificate)
            write_configuration(home, changed)

    def _get_permit(self, home: Home, protocol: Protocol, *, budget_micro: int = 0) -> StudyId:
        document = msgspec.json.encode(protocol)
        today = compute_day(home.clock())
        proposal = studies.Proposal(
            uses=("DUO:0000006",),
            purpose=EhdsPurpose.RESEARCH,
            sites=self.sites,
            until_day=Day(today + DAYS),
            budget_micro=budget_micro,
        )
        office, researcher = home.get_office(OWNER), home.author(self.researcher)
        study = studies.propose_study(office, researcher, document, proposal)
        for key in self._reviewers:
            studies.review_study(home.author(key), study, is_approval=True, grounds="Sound")
        return study

    def _register_reviewers(self, home: Home) -> list[SigningKey]:
        reviewers = []
        for member in (self.sites[0], REGULATOR):
            seed = read_key(self.folder / member / MEMBERS_FOLDER / member / KEYS_FOLDER / SIGNING_KEY)
            node = home.author(SigningKey.from_seed(seed))
            reviewers.append(self._register(home, node, member, Role.REVIEWER))
        return reviewers

    def _register(self, home: Home, node: Author, member: MemberId, role: Role) -> SigningKey:
        key, person = SigningKey.from_seed(os.urandom(SEED_BYTES)), PersonId(node.make_id())
        possession = home.author(key).prove_possession(OwnerKind.PERSON, person, member=member)
        sign_in = Commitment(encode_digest(os.urandom(SEED_BYTES)))
        node.submit(RegisterPerson, person=person, possession=possession, roles=(role,), sign_in=sign_in)
        return key

    def _settle(self, home: Home, office: Office, count: int) -> None:
        people = [draw_participant(office.author) for _ in range(count)]
        self.patients[office.member] = people
        for start in range(0, len(people), TOGETHER):
            let_agree(home, office, people[start : start + TOGETHER], recipient=OWNER)

    def _build(self, home: Home, site: MemberId, study: StudyId, rows: Sequence[Row]) -> None:
        office = home.get_office(site)
        protocol = get_study(office.take_view(), study).protocol
        studies.fetch_protocol(office, study, home.get_desk(OWNER).show_document(protocol))
        people = self.patients[site][: len(rows)]
        table: PatientRows = {one.patient: [row] for one, row in zip(people, rows, strict=True)}
        if self.protocol.cohort is None:
            datasets.build_dataset(office, study, table, HEALTH)
        else:  # a dataset is then made of records, when somebody asks for it
            keep_records(office, table)
