"""`iamata ledger`: what the ledger holds, for an outsider too."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption
from iamata.cli.output import show
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, open_place
from iamata.ledger.receipts import check_receipt
from iamata.model.instants import format_instant
from iamata.model.reasons import Reason
from iamata.node.exporting import export_home
from iamata.node.home import open_home
from iamata.ports import Engine

EVENTS_SHOWN_MAX: int = 10_000

app = make_noun("The ledger that everybody holds.")


@verb(app, "export")
def export(home: HomeOption, file: Annotated[Path, typer.Argument(help="The new file to write.")]) -> None:
    """Write the whole ledger into one file, which holds no health data, for anyone to verify."""
    with open_home(home) as opened:
        blocks = export_home(opened, file)
    show(
        {"blocks": blocks, "file": str(file)},
        [f"Wrote {blocks:,} blocks to {file}; check it with: iamata verify {file}"],
    )


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
            "served_here": sorted(opened.offices),
        }
    lines = {name.replace("_", " "): value for name, value in facts.items()}
    lines["served here"] = ", ".join(sorted(opened.offices))
    show(facts, [f"{name:>11}: {value}" for name, value in lines.items()])


@verb(app, "receipt")
def receipt(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: KeyOption = None,
    leaf: Annotated[int, typer.Option("--leaf", metavar="NUMBER", min=0, help="Which leaf of the log.")],
) -> None:
    """Prove that the log holds a leaf: a receipt that anyone who has the genesis can check."""
    with open_place(home, node, wallet) as opened:
        proof = opened.engine.snapshot().prove_leaf(leaf)
        said = check_receipt(proof, opened.engine.genesis)
    text = msgspec.json.encode(proof).decode("utf-8")
    show({"receipt": msgspec.to_builtins(proof), "transaction": said.id}, [text])


@verb(app, "events")
def events(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: KeyOption = None,
    after: Annotated[int, typer.Option("--after", min=0, help="Begin with this leaf of the log.")] = 0,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=EVENTS_SHOWN_MAX, help="How many at most.")
    ] = 100,
) -> None:
    """List what happened, one event a line, as the log says it."""
    with open_place(home, node, wallet) as opened:
        rows = list_events(opened.engine, after, limit)
    show({"events": rows}, map(spell_event, rows))


def list_events(engine: Engine, after: int, limit: int) -> list[dict[str, Any]]:
    """Read so many leaves from a cursor."""
    rows: list[dict[str, Any]] = []
    for index, leaf in engine.events(after):
        event = {} if leaf.event is msgspec.UNSET else msgspec.to_builtins(leaf.event)
        result = "accepted" if leaf.reason == 0 else Reason(leaf.reason).name
        rows.append({"leaf": index, "time": format_instant(leaf.time_ms), "result": result, "event": event})
        if len(rows) == limit:
            break
    return rows


def spell_event(row: dict[str, Any]) -> str:
    """Write an event on a line."""
    kind, *facts = [*row["event"].items()] or [("type", "refused")]
    said = " ".join(f"{name}={value}" for name, value in facts)
    result = "" if row["result"] == "accepted" else f"  {row['result']}"
    return f"{row['leaf']:>6}  {row['time']}  {kind[1]}{result}  {said}".rstrip()
