"""`iamata ledger` and `iamata verify`: what the ledger holds, for an outsider too, and whether it is right."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption
from iamata.cli.output import say, show, show_table
from iamata.engines.embedded.engine import EmbeddedEngine
from iamata.ledger.genesis import GENESIS_BYTES_MAX, Genesis, compute_network_id, read_genesis
from iamata.model.instants import format_instant
from iamata.model.reasons import Reason, Refused
from iamata.node.exports import write_export
from iamata.node.home import open_home
from iamata.node.verification import HomeReport, verify_export, verify_home

EVENTS_SHOWN_MAX: int = 10_000

app = make_noun("The ledger that everybody holds.")

_AMISS = (Reason.HOME_IN_USE, Reason.HOME_NOT_FOUND, Reason.FILE_NOT_FOUND, Reason.INPUT_INVALID)
"""Refusals that say that nothing was verified, not that something is wrong."""


def add_verify_to(parent: typer.Typer) -> None:
    """Add `iamata verify`."""
    verb(parent, "verify")(verify)


def verify(
    path: Annotated[Path, typer.Argument(help="A home, or a file that `iamata ledger export` wrote.")],
    genesis: Annotated[
        Path | None, typer.Option("--genesis", help="The genesis that you trust, for an export.")
    ] = None,
) -> None:
    """Check everything offline, from the genesis on: exit 0, or name the first fault and exit 1."""
    try:
        trusted = None if genesis is None else load_genesis(genesis)
        report = verify_home(path, tell=say) if path.is_dir() else verify_export(path, genesis=trusted, tell=say)
    except Refused as refused:
        if refused.reason in _AMISS:
            raise
        raise Refused(Reason.FAULT_FOUND, refused.detail or refused.reason.name) from refused
    counts = describe_report(report)
    show(counts, [f"  {count:>9,}  {name}" for name, count in counts["checked"].items()])
    say(f"Network {counts['network']}: everything above was checked, and nothing is wrong.")
    say("One signer ordered it: that it ordered fairly, and showed everybody the same, no replay can tell.")


@verb(app, "export")
def export(home: HomeOption, file: Annotated[Path, typer.Argument(help="The new file to write.")]) -> None:
    """Write the whole ledger into one file, which holds no health data, for anyone to verify."""
    with open_home(home) as opened:
        blocks = write_export(file, opened.engine.genesis, opened.engine.read_blocks())
    show({"blocks": blocks, "file": str(file)}, [f"Wrote {blocks:,} blocks to {file}."])


@verb(app, "status")
def status(home: HomeOption) -> None:
    """Say where the ledger stands."""
    with open_home(home) as opened:
        view, engine = opened.engine.snapshot(), opened.engine
        facts = {
            "network": engine.network,
            "name": engine.genesis.name,
            "height": view.height,
            "time": format_instant(view.time_ms),
            "log_size": view.log_size,
            "app_hash": view.app_hash,
            "members": sorted(opened.offices),
        }
    show(facts, [f"{name:>9}: {value}" for name, value in facts.items()])


@verb(app, "events")
def events(
    home: HomeOption,
    after: Annotated[int, typer.Option("--after", min=0, help="Begin with this leaf of the log.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=1, max=EVENTS_SHOWN_MAX)] = 100,
) -> None:
    """List what happened, as the log says it."""
    with open_home(home) as opened:
        rows = list_events(opened.engine, after, limit)
    show({"events": rows})
    show_table(
        "Events",
        ("leaf", "time", "result", "event"),
        [(str(row["leaf"]), str(row["time"]), str(row["result"]), str(row["event"])) for row in rows],
    )


def list_events(engine: EmbeddedEngine, after: int, limit: int) -> list[dict[str, object]]:
    """Read so many leaves from a cursor."""
    rows: list[dict[str, object]] = []
    for index, leaf in engine.events(after):
        event = {} if leaf.event is msgspec.UNSET else msgspec.to_builtins(leaf.event)
        result = "accepted" if leaf.reason == 0 else Reason(leaf.reason).name
        rows.append(
            {"leaf": index, "time": format_instant(leaf.time_ms), "result": result, "event": event}
        )
        if len(rows) == limit:
            break
    return rows


def load_genesis(path: Path) -> Genesis:
    """Read a genesis file."""
    try:
        with path.open("rb") as file:
            return read_genesis(file.read(GENESIS_BYTES_MAX + 1))
    except FileNotFoundError as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error


def describe_report(report: HomeReport) -> dict[str, dict[str, int] | str]:
    """Sum up what was checked."""
    checked = {
        "blocks, each with its header's signature and hashes": report.ledger.blocks,
        "transactions, each with every signature": report.ledger.transactions,
        "of them refused, as the rules say": report.ledger.refused,
    }
    names = {
        "records": "records, opened and checked against their commitments",
        "record_anchors": "anchors of records",
        "data_keys": "data keys",
        "openings": "openings",
        "consents_opened": "consents, whose terms were opened",
        "journal_entries": "journal entries, in one chain at each member",
        "read_anchors": "anchors of the journal",
        "disclosures": "disclosures, each on the ledger and in the journal",
        "disclosures_decided_again": "of them decided again from their consent",
        "erased_patients": "erased patients, whose keys are gone",
    }
    for field, name in names.items():
        checked[name] = sum(getattr(one, field) for one in report.members)
    return {"network": compute_network_id(report.genesis), "checked": checked}
