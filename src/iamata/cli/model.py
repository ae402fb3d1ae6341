"""`iamata model`: what was learned, where it comes from, and where it stands today."""

from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import open_new
from iamata.cli.learning import ModelArgument, describe_model, spell_overdue, tell_time
from iamata.cli.output import show, spell_table
from iamata.cli.parties import read_id
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, get_home, open_place
from iamata.model.ids import ModelId
from iamata.node.studying import find_document
from iamata.workflows.lineages import get_model, list_models, trace

app = make_noun("Models: what was learned, from what, and where it stands.")


@verb(app, "list")
def list_(*, home: PlaceOption = None, node: NodeOption = None, wallet: KeyOption = None) -> None:
    """List every model, and where it stands."""
    with open_place(home, node, wallet) as place:
        view, at_ms = place.engine.snapshot(), tell_time(place)
        rows = [
            describe_model(view, name, entry, at_ms=at_ms)
            for name, entry in list_models(view, trace(place.engine))
        ]
    table = [(row["model"], row["study"], spell_overdue(row), row["supersedes"]) for row in rows]
    show({"models": rows}, spell_table(("model", "study", "status", "supersedes"), table))


@verb(app, "show")
def show_(
    *,
    model: ModelArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: KeyOption = None,
    card: Annotated[
        Path | None,
        typer.Option("--card", metavar="FILE", help="Write its card to this new file (Markdown)."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Write the model to this new file (JSON).")
    ] = None,
) -> None:
    """Show where a model comes from and where it stands; write its card or its file."""
    chosen = read_id(model, ModelId)
    with open_place(home, node, wallet) as place:
        view = place.engine.snapshot()
        entry = get_model(view, chosen)
        row = describe_model(view, chosen, entry, at_ms=tell_time(place))
        for path, digest in ((card, entry.card), (file, entry.content)):
            if path is not None:
                document = find_document(get_home(place, "writing a document"), digest)
                with open_new(path) as new:
                    if new is not None:
                        new.write(document.decode("utf-8"))
    show(
        row,
        [
            f"Model {chosen} is {spell_overdue(row)}.",
            f"Study {row['study']}, run {row['run']}.",
            *([f"It took the place of {row['supersedes']}."] if row["supersedes"] else []),
            f"File (SHA-256) {row['file']}; card {row['card']}.",
        ],
    )
