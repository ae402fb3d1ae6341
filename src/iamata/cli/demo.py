"""`iamata demo`: the whole story, in one process, with figures that were measured."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import verb
from iamata.cli.options import Ordering
from iamata.cli.output import say, show
from iamata.node.demo import run_demo
from iamata.node.demo_validators import run_validators_demo


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    verb(app, "demo")(demo)


def demo(
    home: Annotated[
        Path | None, typer.Option("--home", metavar="FOLDER", help="Keep the result in this new folder.")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option("--records", metavar="PATH", help="Import these instead of the sample."),
    ] = None,
    engine: Annotated[
        Ordering,
        typer.Option("--engine", help="One process; or four validators, as processes."),
    ] = Ordering.EMBEDDED,
) -> None:
    """Found a network, import records, consent, read, break a glass, withdraw, erase, and verify it all."""
    run = run_demo if engine is Ordering.EMBEDDED else run_validators_demo
    if home is not None:
        facts = run(home, records=records, tell=say)
        wallets = home / "wallets" if engine is Ordering.EMBEDDED else home / "…" / "wallets"
        kept = f"The home is kept in {home}, and everybody's wallet in {wallets}."
        show(facts, [kept, f"Check it again with: iamata verify {home}"])
        return
    with tempfile.TemporaryDirectory(prefix="iamata-demo-") as folder:
        show(run(Path(folder) / "home", records=records, tell=say))
