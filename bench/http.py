"""http.disclosure_p50_ms: a consented read between two node processes; ledger, sealing, journals included.

A clinician's client asks South's node with a fresh share code. That node asks North's, which decides, tells
the ledger, seals and releases. South's opens, checks all of it against its own copy, journals and answers.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.harness import Figure, compare
from iamata.cli.main import run
from iamata.client.connection import Connection
from iamata.client.staff import StaffClient
from iamata.ledger.entries import MemberKind
from iamata.model.ids import MemberId
from iamata.node import wallets
from iamata.node.network import create_node_homes
from iamata.node.places import open_node
from iamata.stores.wallets import load_wallet
from iamata.testing.nodes import RunningNode, introduce, take_any_port
from iamata.testing.stage import write_bundle
from iamata.wire.bodies import Health
from iamata.workflows.share_codes import shorten
from iamata.workflows.wallets import get_key

READS: Final = 120
WARM_UP: Final = 20
MEMBERS: Final = (
    (MemberId("north"), "North", MemberKind.HOSPITAL),
    (MemberId("south"), "South", MemberKind.HOSPITAL),
)


def measure() -> dict[str, Figure]:
    """Run two nodes, and read a patient's two records again and again."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure_in(Path(folder))


def _measure_in(folder: Path) -> dict[str, Figure]:
    create_node_homes(folder / "homes", "bench", MEMBERS)
    north, south = folder / "homes" / "north", folder / "homes" / "south"
    take_any_port(north)
    take_any_port(south)
    _call(
        "records", "import", "--home", north, "--member", "north", write_bundle(folder / "ada.json", "ada")
    )
    ada, doctor = folder / "ada", folder / "doctor"
    enrol = ("wallet", "enrol", "--home", north, "--wallet", ada, "--custodian", "north")
    _call(*enrol, "--patient", "Patient/ada")
    _call(
        "wallet",
        "grant",
        "--home",
        north,
        "--wallet",
        ada,
        "--to",
        "member:south",
        "--purpose",
        "TREAT",
        "--yes",
    )
    with RunningNode(north) as a:
        introduce(south, peers={"north": a.url}, leader=a.url)
        _call(
            "person",
            "register",
            "--home",
            south,
            "--member",
            "south",
            "--wallet",
            doctor,
            "--role",
            "clinician",
        )
        with RunningNode(south) as b:
            return _measure_reads(a, b, ada=ada, doctor=doctor)


def _measure_reads(a: RunningNode, b: RunningNode, *, ada: Path, doctor: Path) -> dict[str, Figure]:
    with open_node(a.url, ada) as place:
        codes = [
            shorten(wallets.share(place, ada, member="north", recipient="south", minutes=60))
            for _ in range(READS + WARM_UP)
        ]
    key = get_key(load_wallet(doctor).identities[0])
    connection = Connection(b.url, key=key)
    staff = StaffClient(connection)

    def read(code: str) -> None:
        reading = staff.fetch_by_share(code, purpose="TREAT")
        if sum(len(one.records) for one in reading.arrivals) == 0:
            message = "no record arrived"
            raise RuntimeError(message)

    _time(read, codes[:WARM_UP])
    times_ms = _time(read, codes[WARM_UP:])
    floor_ms = 2 * statistics.median(_time(lambda _: connection.get("/healthz", Health), codes))
    connection.close()
    return {
        "http.disclosure_p50_ms": compare(statistics.median(times_ms), "ms", floor_ms),
        "http.disclosure_p95_ms": compare(statistics.quantiles(times_ms, n=20)[-1], "ms", floor_ms),
    }


def _time(work: Callable[[str], object], items: Sequence[str]) -> list[float]:
    times_ms = []
    for item in items:
        begun_s = time.perf_counter()
        work(item)
        times_ms.append((time.perf_counter() - begun_s) * 1_000)
    return times_ms


def _call(*arguments: object) -> None:
    code = run([*map(str, arguments), "--json"])
    if code:
        message = f"{arguments[:2]} failed"
        raise RuntimeError(message)
