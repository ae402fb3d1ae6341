"""heart.wall_s and withdrawal.cost: a study between node processes, from a researcher's request to a model.

Four hospitals' nodes hold the rows of Heart Disease, an institute's carries their masked sums over HTTPS on
loopback; every round is six signed exchanges. `heart.wall_s` runs from the request for a training to the
model on record at all nodes; its floor is the same programme over the same rows in one process with plain
sums. `withdrawal.cost` is what it takes to let ten patients go and to have a model without them, in
trainings. `heart.sent_kb` is what a hospital's node sends the institute's in one training, TLS and HTTP
included, and `heart.received_kb` what it gets; their floor is eight bytes for each number of the sums.
"""

import shutil
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from bench import heart
from bench.harness import Figure, compare, measure_s
from bench.tap import Tap
from iamata.consent.data_use import ResearchPurpose
from iamata.learning.programmes import Query, add_plainly, run
from iamata.learning.protocols import Protocol, is_kept_out, learn, split_site
from iamata.learning.schemas import Categorical
from iamata.learning.tables import Integers, Table
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.ids import ModelId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.configuration import read_configuration, write_configuration
from iamata.node.home import open_home
from iamata.testing.nodes import RunningNode, introduce, keep_port
from iamata.testing.relayed_line import HOST
from iamata.testing.study_network import OWNER, StudyNetwork
from iamata.workflows import withdrawals
from iamata.workflows.author import settle
from iamata.workflows.frozen_tables import Row

TRAININGS: Final = 3
LEAVING: Final = 10
MEMBERS: Final = {"va": "veterans"}
"""Hospitals whose name is too short for a member."""


def measure() -> dict[str, Figure]:
    """Train between processes, let ten patients leave, and train again."""
    tables = heart.load_hospitals()
    protocol = Protocol(
        title="Heart disease",
        question="Who has heart disease?",
        purpose=ResearchPurpose(is_health=True),
        schema=heart.SCHEMA,
        classes=("Observation",),
    )
    sites = [split_site(protocol, table, number=number) for number, table in enumerate(tables.values())]
    summed: list[int] = []
    floor_s = measure_s(lambda: run(lambda: learn(protocol), sites, partial(add_and_count, summed)))
    with tempfile.TemporaryDirectory() as folder:
        rows = {MEMBERS.get(name, name): list_rows(table) for name, table in tables.items()}
        network = StudyNetwork(Path(folder) / "homes", protocol, rows, openssl=find_openssl())
        with network.running() as nodes:
            models: list[ModelId] = []
            times_s = [measure_s(lambda: models.append(network.train()[1])) for _ in range(TRAININGS)]
            keep_port(nodes[0])
        sent_kb, received_kb = count_kb(network)
        leaving_s = _let_leave(network)
        with network.running():
            again_s = measure_s(lambda: network.train(supersedes=models[-1]))
    training_s = statistics.median(times_s)
    return {
        "heart.wall_s": compare(training_s, "s", floor_s),
        "heart.sent_kb": compare(sent_kb, "kB", 8 * sum(summed) / 1e3),
        "heart.received_kb": compare(received_kb, "kB", 8 * sum(summed) / 1e3),
        "withdrawal.cost": Figure(value=(leaving_s + again_s) / training_s, unit="trainings"),
    }


def find_openssl() -> Path:
    """Find what makes certificates, or refuse: nothing is measured without TLS."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise Refused(Reason.FILE_NOT_FOUND, "openssl is not installed here")
    return Path(openssl)


def add_and_count(summed: list[int], query: Query, shares: Sequence[Integers]) -> Integers:
    """Add in clear, and note how many numbers were added."""
    summed.append(query.length)
    return add_plainly(query, shares)


def count_kb(network: StudyNetwork) -> tuple[float, float]:
    """Count what one hospital's node sends to the owner's, and gets from it, in one training more."""
    owner = network.folder / OWNER
    with Tap() as tap:
        configuration = read_configuration(owner)
        tap.target = configuration.port
        names = tuple(f"{HOST}:{port}" for port in (tap.port, tap.target))
        write_configuration(owner, msgspec.structs.replace(configuration, names=names))
        with network.running(owner_at=f"https://{HOST}:{tap.port}"):
            network.train()
    write_configuration(owner, configuration)
    sites = len(network.sites)
    return tap.sent_bytes / sites / 1e3, tap.received_bytes / sites / 1e3


def list_rows(table: Table) -> list[Row]:
    """Spell a table's rows as a site has them."""
    rows: list[Row] = []
    for place, outcome in enumerate(table.outcome.tolist()):
        row: dict[str, float | int | str | None] = {table.schema.outcome.name: outcome}
        for column in table.schema.columns:
            value = float(table.columns[column.name][place])
            row[column.name] = column.categories[int(value)] if isinstance(column, Categorical) else value
        rows.append(row)
    return rows


def _let_leave(network: StudyNetwork) -> float:
    """Let ten patients who trained withdraw, and their custodian post the dataset without them."""
    site = network.sites[0]
    training = (one for one in network.patients[site] if not is_kept_out(network.protocol, one.patient))
    people = list(islice(training, LEAVING))
    with RunningNode(network.folder / OWNER) as node:
        introduce(network.folder / site, peers={OWNER: node.url}, leader=node.url)
        with open_home(network.folder / site) as home:

            def let_leave() -> None:
                sent = [
                    home.engine.submit(home.author(one.key).write(WithdrawConsent, consent=one.consent))
                    for one in people
                ]
                for future in sent:
                    settle(future)
                step = withdrawals.look_after(home.get_office(site), network.study)
                require(step is withdrawals.Step.REPLACED, Reason.FAULT_FOUND, "the dataset stayed")

            return measure_s(let_leave)
