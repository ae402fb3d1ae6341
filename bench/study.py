"""heart.wall_s, heart.flamby, withdrawal.*: a study between node processes, from a request to a model.

Four hospitals' nodes hold the rows of Heart Disease, an institute's carries their masked sums over HTTPS on
loopback; every round is six signed exchanges. `heart.wall_s` runs from the request for a training to the
model on record at all nodes; its floor is the same programme over the same rows in one process with plain
sums. `heart.sent_kb` is what a hospital's node sends the institute's in one training, TLS and HTTP
included, and `heart.received_kb` what it gets; their floor is eight bytes for each number of the sums.

`heart.flamby` is what the model is worth that these nodes learn from FLamby's own training rows, beside its
pooled twin. `heart.nodes_gap` is how far a coefficient of it is at most from that of the same fit in one
process with plain sums: so what 300 splits give in one process (`bench/learning.py`) nodes would give.

`withdrawal.cost` is work alone: ten patients' withdrawals final, the custodian's dataset replaced by one
without them, at once and in this process, and a training between the nodes; in trainings, each the median
of three. Nobody is left to wait in it. `withdrawal.wait_s` is what passes in truth, from the tenth of other
patients' withdrawals final to a model on record without them, with nothing but the nodes' own duties at
work and a researcher who asks for the training as soon as the old model is stale. Its floor is how long a
node lets others come along before it acts.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from bench import heart
from bench.harness import Figure, compare, measure_s
from bench.tap import Tap
from bench.twins import Parts, PooledRegression, score
from iamata.consent.data_use import ResearchPurpose
from iamata.duties.learning import AFTER_WITHDRAWAL_S
from iamata.learning.estimators.linear_model import LinearModel
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.estimators.regression import LogisticRegression
from iamata.learning.federations import Tables
from iamata.learning.programmes import Query, add_plainly, run
from iamata.learning.protocols import Protocol, is_kept_out, learn, split_site
from iamata.learning.schemas import Categorical
from iamata.learning.tables import Integers, Table
from iamata.ledger.entries import ModelStatus
from iamata.ledger.tables import MODELS
from iamata.ledger.transactions.consents import WithdrawConsent
from iamata.model.ids import MemberId, ModelId
from iamata.model.reasons import Reason, Refused, require
from iamata.node.configuration import read_configuration, write_configuration
from iamata.node.home import open_home
from iamata.ports import Engine
from iamata.testing.nodes import RunningNode, introduce, keep_port
from iamata.testing.relayed_line import HOST
from iamata.testing.study_network import OWNER, StudyNetwork, Wanted
from iamata.workflows import withdrawals
from iamata.workflows.author import Author, settle
from iamata.workflows.frozen_tables import Row

TRAININGS: Final = 3
LEAVING: Final = 10
LOOK_S: Final = 0.25
WAIT_S_MAX: Final = 2 * AFTER_WITHDRAWAL_S
MEMBERS: Final = {"va": "veterans"}
"""Hospitals whose name is too short for a member."""
PROTOCOL: Final = Protocol(
    title="Heart disease",
    question="Who has heart disease?",
    purpose=ResearchPurpose(is_health=True),
    schema=heart.SCHEMA,
    classes=("Observation",),
)
FLAMBY: Final = msgspec.structs.replace(PROTOCOL, holdout_percent=0)
"""FLamby has said who is kept out."""


def measure() -> dict[str, Figure]:
    """Train between processes on all rows and on FLamby's, let patients leave, and train again."""
    parts = list(heart.split_all(heart.load_hospitals(), heart.FLAMBY_SEED))
    names = [MEMBERS.get(name, name) for name in heart.MD5]
    # Those of FLamby's training rows come first, and belong to the same patients in both studies.
    rows = {
        name: [*list_rows(train), *list_rows(test)]
        for name, (train, test) in zip(names, parts, strict=True)
    }
    training = {name: list_rows(train) for name, (train, _) in zip(names, parts, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        network = StudyNetwork(Path(folder) / "homes", PROTOCOL, rows, openssl=find_openssl())
        flamby = network.add({"flamby": Wanted(FLAMBY, training)})["flamby"].study
        with network.running() as nodes:
            model, training_s = _train(network)
            own = _fetch_model(network, network.train(study=flamby)[1])
            keep_port(nodes[0])
        sent_kb, received_kb = count_kb(network)
        leaving_s = _let_leave(network)
        with network.running():
            model, again_s = _train(network, supersedes=model)
            wait_s = _wait_for_duties(network, model)
    floor_s, floor_kb = _measure_floor(heart.load_hospitals().values())
    return {
        "heart.wall_s": compare(training_s, "s", floor_s),
        "heart.sent_kb": compare(sent_kb, "kB", floor_kb),
        "heart.received_kb": compare(received_kb, "kB", floor_kb),
        **_compare_own(parts, own),
        "withdrawal.cost": Figure(value=(leaving_s + again_s) / training_s, unit="trainings"),
        "withdrawal.wait_s": compare(wait_s, "s", AFTER_WITHDRAWAL_S),
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


def _train(network: StudyNetwork, *, supersedes: ModelId | None = None) -> tuple[ModelId, float]:
    """Train some times, each in place of the model before; return the last, and the median of the times."""
    models: list[ModelId] = []
    times_s = []
    for _ in range(TRAININGS):
        begin_s = time.perf_counter()
        models.append(network.train(supersedes=models[-1] if models else supersedes)[1])
        times_s.append(time.perf_counter() - begin_s)
    return models[-1], statistics.median(times_s)


def _measure_floor(tables: Iterable[Table]) -> tuple[float, float]:
    """Learn the same in this process; return seconds, and the kilobytes of the numbers that are summed."""
    sites = [split_site(PROTOCOL, table, number=number) for number, table in enumerate(tables)]
    summed: list[int] = []
    floor_s = measure_s(lambda: run(lambda: learn(PROTOCOL), sites, partial(add_and_count, summed)))
    return floor_s, 8 * sum(summed) / 1e3


def _fetch_model(network: StudyNetwork, model: ModelId) -> LinearModel:
    raw = network.show_document(network.get_model(model).content)
    decoded = decode_model(raw, identify_model(raw))
    if not isinstance(decoded, LinearModel):
        raise TypeError(model)
    return decoded


def _compare_own(parts: Parts, by_nodes: LinearModel) -> dict[str, Figure]:
    """Compare what nodes learned from FLamby's rows with one process, and with scikit-learn on all rows."""
    train = [one for one, _ in parts]
    here = LogisticRegression().fit(Tables(train)).model_.fit.coefficients
    gap = max(abs(one - other) for one, other in zip(by_nodes.fit.coefficients, here, strict=True))
    floor = score(parts, PooledRegression(train).predict)[0]
    return {
        "heart.flamby": compare(score(parts, by_nodes.predict)[0], "of 1", floor),
        "heart.nodes_gap": Figure(value=gap, unit="largest"),
    }


def _let_leave(network: StudyNetwork) -> float:
    """Let ten patients who trained withdraw, and their custodian post the dataset without them."""
    site = network.sites[0]
    with RunningNode(network.folder / OWNER) as node:
        introduce(network.folder / site, peers={OWNER: node.url}, leader=node.url)
        with open_home(network.folder / site) as home:

            def let_leave() -> None:
                _withdraw(network, site, home.engine)
                step = withdrawals.look_after(home.get_office(site), network.study)
                require(step is withdrawals.Step.REPLACED, Reason.FAULT_FOUND, "the dataset stayed")

            return measure_s(let_leave)


def _wait_for_duties(network: StudyNetwork, model: ModelId) -> float:
    """Let ten patients of another hospital withdraw, and time until there is a model without them."""
    with network.reading() as engine:
        _withdraw(network, network.sites[1], engine)
        begin_s = time.perf_counter()
        while (entry := MODELS.find(engine.snapshot(), model)) and entry.status is ModelStatus.CURRENT:
            is_in_time = time.perf_counter() - begin_s < WAIT_S_MAX
            require(is_in_time, Reason.FAULT_FOUND, "the dataset stayed")
            time.sleep(LOOK_S)
        network.train(supersedes=model)
        return time.perf_counter() - begin_s


def _withdraw(network: StudyNetwork, site: MemberId, engine: Engine) -> None:
    """Let ten patients who trained withdraw, each by their own key, and await that all are final."""
    training = (one for one in network.patients[site] if not is_kept_out(PROTOCOL, one.patient))
    sent = []
    for one in islice(training, LEAVING):
        author = Author(engine, one.key, _tell_ms, os.urandom)
        sent.append(engine.submit(author.write(WithdrawConsent, consent=one.consent)))
    for future in sent:
        settle(future)


def _tell_ms() -> int:
    return time.time_ns() // 1_000_000
