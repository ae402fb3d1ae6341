"""`iamata demo`: the whole story, in one process, with figures that were measured."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import verb
from iamata.cli.output import say, show
from iamata.node.demo import run_demo


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    verb(app, "demo")(demo)


def demo(
    home: Annotated[
        Path | None, typer.Option("--home", help="Keep the result in this new folder, for `iamata verify`.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option("--records", help="Import this file, folder or archive instead of the sample.")
    ] = None,
) -> None:
    """Found a network, import records, consent, read, break a glass, withdraw, erase, and verify it all."""
    if home is not None:
        facts = run_demo(home, records=records, tell=say)
        show(facts, [f"The home is kept in {home}; check it with: iamata verify {home}"])
        return
    with tempfile.TemporaryDirectory(prefix="iamata-demo-") as folder:
        show(run_demo(Path(folder) / "home", records=records, tell=say))
