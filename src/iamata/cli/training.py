"""`iamata study train`: from the datasets that stand to a model on record, with progress on the way."""

from typing import Annotated, Any

import typer
from rich.progress import Progress

from iamata.cli.commands import verb
from iamata.cli.learning import (
    StudyArgument,
    WithoutOption,
    describe_model,
    saying_what_stops,
    spell_overdue,
    tell_time,
)
from iamata.cli.options import WalletOption
from iamata.cli.output import make_progress, show
from iamata.cli.parties import read_id
from iamata.cli.places import NodeOption, PlaceOption, open_place
from iamata.model.ids import MemberId, ModelId, StudyId
from iamata.node import researching
from iamata.node.steps import Step, Tell, spell_round
from iamata.workflows.lineages import get_model, list_model_sites


def add_to(app: typer.Typer) -> None:
    """Add training to the commands of studies."""
    verb(app, "train")(train)


def train(
    *,
    study: StudyArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    supersedes: Annotated[
        str | None, typer.Option("--supersedes", metavar="MODEL", help="The model whose place it takes.")
    ] = None,
    without: WithoutOption = None,
) -> None:
    """Train on the datasets that stand, by sums alone, and put the model on record."""
    chosen = read_id(study, StudyId)
    older = None if supersedes is None else read_id(supersedes, ModelId)
    rounds: dict[MemberId, int] = {}
    with open_place(home, node, wallet) as place, make_progress() as progress:
        with saying_what_stops(place):
            model = researching.train(
                place,
                wallet,
                chosen,
                supersedes=older,
                without=without or (),
                tell=make_teller(progress, rounds),
            )
        view = place.engine.snapshot()
        entry = get_model(view, model)
        row = describe_model(view, model, entry, at_ms=tell_time(place))
        sites = list_model_sites(view, entry)
    show(
        row | {"rounds": dict(sorted(rounds.items())), "sites": sites},
        [
            f"Model {model} is {spell_overdue(row)}, learned at {', '.join(sites)}.",
            f"Check it with: iamata model verify {model}",
        ],
    )


def make_teller(progress: Progress, rounds: dict[MemberId, int]) -> Tell:
    """Make what shows how far each site of a run has come, and notes in which round it is."""
    tasks: dict[MemberId, Any] = {}

    def tell(step: Step) -> None:
        if step.site not in tasks:
            tasks[step.site] = progress.add_task(step.site, total=None, rate="")
        if step.round is not None:
            if step.round.query:  # a node is asked now and then, and so need not have told the last one
                rounds[step.site] = step.round.number
            rate = spell_round(step.round)
            progress.update(tasks[step.site], completed=step.round.number, rate=rate)
        if step.is_done:
            progress.update(tasks[step.site], total=1, completed=1, rate="done")

    return tell
