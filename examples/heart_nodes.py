"""Learn who has heart disease between nodes: those of four hospitals, and that of an institute that asks.

    python -m examples.heart_nodes FOLDER [PORT]

FOLDER is that of `examples/heart.py`. Five nodes run on this machine, from PORT (8140) on, each a process
with a home of its own; in the end all is gone. What the hospitals' staff do is done by commands, which are
printed as one would type them; what the researcher does, by `iamata.notebook`. At last the model is held
against what all rows in one place would have taught, which in a real network nobody could do.
"""

import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from examples.heart import SCHEMA, read_cells

from iamata.cli.main import run
from iamata.consent.data_use import ResearchPurpose
from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.programmes import run as run_programme
from iamata.learning.protocols import Protocol, learn, split_site
from iamata.model.ids import MemberId, ModelId
from iamata.node.demo_study import draw_participant, let_agree
from iamata.node.home import open_home
from iamata.node.keeping_up import keeping_up
from iamata.notebook import Fitted, Notebook, open_node, read_frame

PORT = 8140
INSTITUTE = MemberId("institute")
HOSPITALS = {
    "cleveland": "cleveland",
    "hungarian": "hungarian",
    "switzerland": "switzerland",
    "veterans": "va",
}
"""Members, and what their files are called."""
REVIEWERS = ("cleveland", "hungarian")
"""Members whose reviewers decide: two, and neither is the one that asks."""
PROTOCOL = Protocol(
    title="Heart disease",
    question="What tells who has heart disease?",
    purpose=ResearchPurpose(is_health=True),
    schema=SCHEMA,
    classes=("Observation",),  # of which records the rows were made: consent has to cover them
    holdout_percent=20,  # of the patients are kept out of training, to judge the model on
)
PATIENT = "patient"


def main(data: Path, port: int) -> None:
    """Found a network, and let its institute learn from its hospitals."""
    with tempfile.TemporaryDirectory() as folder:
        net, rosa = Path(folder, "net"), Path(folder, "rosa")
        founders = [
            f"{INSTITUTE}:research:Institute",
            *(f"{one}:hospital:{one.title()}" for one in HOSPITALS),
        ]
        named = [part for founder in founders for part in ("--member", founder)]
        command("network", "init", net, "--apart", "--port", port, *named)
        register(net, INSTITUTE, rosa, role="researcher")
        # The institute's node orders the ledger; the hospitals work at their homes, and follow it.
        with (
            keeping_up(net, print, INSTITUTE) as nodes,
            open_node(nodes.find_url(INSTITUTE), wallet=rosa) as book,
        ):
            study = get_permit(book, net)
            tables = [build(study, data, net, member) for member in HOSPITALS]
            nodes.start(*HOSPITALS)
            print("The hospitals' nodes run, and add up under masks; the institute's carries the sums.")
            model = book.train(study, tell=print)
            show(book, model)
            compare(book, model, tables)


def get_permit(book: Notebook, net: Path) -> str:
    """Propose the study, and let reviewers of two hospitals grant its permit."""
    study = book.propose(
        PROTOCOL,
        sites=list(HOSPITALS),
        purpose="research",
        uses=["DUO:0000006"],  # research on health
        until=datetime.now(UTC).date() + timedelta(days=365),
        is_prohibited_use_excluded=True,
    )
    for member in REVIEWERS:
        wallet = net.with_name(f"{member}-reviewer")
        register(net, member, wallet, role="reviewer")
        at = ("--home", net / member, "--wallet", wallet)
        command("study", "review", study, *at, "--approve", "--grounds", "Sound and useful")
    return study


def build(study: str, data: Path, net: Path, member: str) -> pa.Table:
    """Let a hospital's patients agree, and it build its dataset from its table; return the table."""
    cells = read_cells(data, HOSPITALS[member])
    with open_home(net / member) as home:
        office = home.get_office(member)
        people = [draw_participant(office.author) for _ in cells[SCHEMA.outcome.name]]
        let_agree(home, office, people, recipient=INSTITUTE)
    print(f"{len(people)} patients of {member} have agreed, each with a key of their own.")
    table = pa.table({PATIENT: [one.patient for one in people]} | cells)
    file = net.with_name(f"{member}.parquet")
    pq.write_table(table, file)
    at = ("--home", net / member, "--member", member)
    command("dataset", "build", study, *at, "--table", file, "--patient-column", PATIENT)
    return table


def show(book: Notebook, model: str) -> None:
    """Say what a model is worth, what it rests on, and what it says."""
    worth = book.evaluate(model)
    figures = {row["figure"]: row for row in worth.figures.to_pylist()}
    area, accuracy = figures["auroc"], figures["accuracy"]["value"]
    print(f"On {worth.rows} patients who were kept out:", end=" ")
    print(f"AUROC {area['value']:.3f} ({area['low']:.3f} to {area['high']:.3f}), accuracy {accuracy:.3f}.")
    grounds = Counter(book.verify(model).column("ground").to_pylist())
    print(f"Verified: {', '.join(f'{count} {ground}' for ground, count in grounds.items())}.")
    for row in book.read_model(model).list_coefficients().to_pylist():
        if row["coefficient"]:
            print(f"  {row['term']:32} {row['coefficient']:+.3f}")


def compare(book: Notebook, model: str, tables: list[pa.Table]) -> None:
    """Hold a model against what the same protocol learns from all rows in one place."""
    rows = pa.concat_tables(tables, promote_options="default")
    everybody = split_site(PROTOCOL, read_frame(rows, SCHEMA, patient=PATIENT), number=0)
    raw = run_programme(lambda: learn(PROTOCOL), [everybody]).model
    pooled = Fitted(ModelId(""), decode_model(raw, identify_model(raw)))
    (there, here) = (
        one.list_coefficients().column("coefficient").to_numpy() for one in (book.read_model(model), pooled)
    )
    gap = np.abs(there - here).max()
    print(f"From all rows in one place: no coefficient differs by more than {gap:.1e}.")


def register(net: Path, member: str, wallet: Path, *, role: str) -> None:
    """Introduce a person of a member's staff, whose key is made in the wallet."""
    command(
        *("person", "register", "--home", net / member, "--member", member),
        *("--wallet", wallet, "--role", role),
    )


def command(*arguments: object) -> None:
    """Print a command as one would type it, and run it; end where it is refused."""
    words = [str(one) for one in arguments]
    print("$ iamata", *words)
    if run(words):
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else PORT)  # noqa: PLR2004
