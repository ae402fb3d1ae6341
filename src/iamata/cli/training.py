"""`iamata study train`: from the datasets that stand to a model on record, with progress on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from iamata.cli.commands import verb
from iamata.cli.learning import StudyArgument, describe_model, spell_overdue, tell_time
from iamata.cli.options import WalletOption
from iamata.cli.output import make_progress, show
from iamata.cli.parties import read_id
from iamata.cli.places import NodeOption, PlaceOption, open_place
from iamata.ledger.entries import OwnerKind, Run
from iamata.model.ids import MemberId, ModelId, PersonId, StudyId
from iamata.model.reasons import Reason, require
from iamata.node import learning
from iamata.node.home import Home
from iamata.node.identities import sign_as
from iamata.node.places import RemotePlace
from iamata.node.running_studies import train_at_node
from iamata.stores.wallets import load_wallet
from iamata.workflows.lineages import get_model, get_study
from iamata.workflows.run_rounds import Round


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
) -> None:
    """Train on the datasets that stand, by sums alone, and put the model on record."""
    chosen = read_id(study, StudyId)
    older = None if supersedes is None else read_id(supersedes, ModelId)
    rounds: dict[MemberId, int] = {}
    with open_place(home, node, wallet) as place, make_progress() as progress:
        if isinstance(place, RemotePlace):
            model = train_at_node(place, chosen, supersedes=older, tell=make_watcher(progress))
        else:
            model = train_at_home(place, wallet, chosen, older, make_teller(progress, rounds))
        view = place.engine.snapshot()
        row = describe_model(view, model, get_model(view, model), at_ms=tell_time(place))
    show(
        row | {"rounds": dict(sorted(rounds.items()))},
        [f"Model {model} is {spell_overdue(row)}.", f"Check it with: iamata model verify {model}"],
    )


def train_at_home(
    home: Home,
    wallet: Path,
    study: StudyId,
    supersedes: ModelId | None,
    tell: Callable[[MemberId, Round], None],
) -> ModelId:
    """Train at the home of the study's owner, for the researcher whose wallet it is."""
    owner, researcher = sign_as_researcher(home, wallet, study)
    return learning.train(home, study, owner=owner, researcher=researcher, supersedes=supersedes, tell=tell)


def sign_as_researcher(home: Home, wallet: Path, study: StudyId) -> tuple[MemberId, PersonId]:
    """Return a study's owner, and for whom a wallet speaks there, or refuse."""
    owner = get_study(home.engine.snapshot(), study).owner
    identity, _ = sign_as(home, load_wallet(wallet), owner)
    require(identity.kind is OwnerKind.PERSON, Reason.ROLE_MISSING, "a patient's wallet")
    return owner, PersonId(identity.id)


def make_watcher(progress: Progress, what: str = "training") -> Callable[[Run], None]:
    """Make what shows how many sites of a run at nodes have finished."""
    task = progress.add_task(what, total=None, rate="")

    def tell(run: Run) -> None:
        done, total = len(run.attestations), len(run.datasets)
        progress.update(task, total=total, completed=done, rate=f"{done} of {total} sites are done")

    return tell


def make_teller(progress: Progress, rounds: dict[MemberId, int]) -> Callable[[MemberId, Round], None]:
    """Make what shows, for each site, how far its rounds have come; threads of several sites call it."""
    tasks: dict[MemberId, Any] = {}

    def tell(site: MemberId, told: Round) -> None:
        rounds[site] = told.number
        if site not in tasks:
            tasks[site] = progress.add_task(site, total=None, rate="")
        rate = f"round {told.number}: {told.query}, {told.values:,} values"
        progress.update(tasks[site], completed=told.number, rate=rate)

    return tell
