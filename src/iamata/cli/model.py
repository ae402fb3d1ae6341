"""`iamata model`: what was learned, where it comes from, and where it stands today."""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import open_new
from iamata.cli.learning import ModelArgument, describe_model, spell_overdue, tell_time
from iamata.cli.options import PatientOption, PersonOption
from iamata.cli.output import note, show, spell_table
from iamata.cli.parties import need, read_asker, read_id, read_patient, spell_patient
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, open_place
from iamata.cli.verify import document_ledger, read_trusted, spell_ledger
from iamata.engines.embedded.engine import read_clock_ms
from iamata.learning.estimators.model_files import MODEL_BYTES_MAX
from iamata.learning.tables import Cell
from iamata.ledger.entries import ModelStatus
from iamata.model.ids import Digest, ModelId
from iamata.model.instants import Instant
from iamata.model.reasons import Reason, require
from iamata.node.model_checks import (
    Outside,
    apply_at_home,
    apply_at_node,
    check_handed_on,
    name_protocol,
    read_handed_on,
    verify_outside,
)
from iamata.node.model_checks import verify as verify_at
from iamata.node.places import RemotePlace
from iamata.node.studying import fetch_document, read_file
from iamata.node.verification import HomeReport
from iamata.ports import LedgerView
from iamata.workflows.lineages import get_model, get_study, list_models, trace
from iamata.workflows.model_cards import NOT_A_DEVICE, list_figures
from iamata.workflows.model_uses import Answer, Application, Origin, require_in_use
from iamata.workflows.model_verification import Statement

FACTOR_LOG_MAX: Final = 700.0
"""Of a larger number a float cannot hold the exponential."""
BESIDE: Final = (
    "The interval is what happened to patients with such scores: of them the model expects something else."
)
CUT: Final = "By its columns it would lie beyond the study's bounds for it, and was cut to them."

UNTRUSTED: Final = (
    "No --genesis was given: whoever made the export chose the network. Compare its name and app hash."
)

ExportOption = Annotated[
    Path | None,
    typer.Option("--export", metavar="FILE", help="Verify with this export alone: no home, and no node."),
]
GenesisOption = Annotated[
    Path | None, typer.Option("--genesis", metavar="FILE", help="A genesis that you trust.")
]

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
        typer.Option(
            "--card",
            metavar="FILE",
            help="Write its card to this new file (Markdown); beside it its figures, and the protocol.",
        ),
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
        study = get_study(view, entry.study)
        fetch = partial(fetch_document, place, owner=study.owner)
        documents = {} if file is None else {file: fetch(entry.content)}
        if card is not None:
            documents |= gather_card(card, fetch(entry.card), fetch)
            documents[card.with_name(name_protocol(chosen))] = fetch(study.protocol)
    write_all(documents)
    show(
        row,
        [
            f"Model {chosen} is {spell_overdue(row)}.",
            f"Study {row['study']}, run {row['run']}.",
            *([f"It took the place of {row['supersedes']}."] if row["supersedes"] else []),
            f"File (SHA-256) {row['file']}; card {row['card']}.",
        ],
    )


def gather_card(path: Path, card: bytes, fetch: Callable[[Digest], bytes]) -> dict[Path, bytes]:
    """Return a card and the figures that belong into the same folder, by where each is written to."""
    return {path: card} | {path.with_name(name): fetch(one) for name, one in list_figures(card).items()}


def write_all(documents: Mapping[Path, bytes]) -> None:
    """Write documents to new files: all of them, or none."""
    with contextlib.ExitStack() as files:
        for path, document in documents.items():
            new = files.enter_context(open_new(path))
            if new is not None:
                new.write(document.decode("utf-8"))


@verb(app, "verify")
def verify(
    *,
    model: ModelArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: KeyOption = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="What you have as its file; else what is here."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            "--card", metavar="FILE", help="What you have as its card, with all that was beside it."
        ),
    ] = None,
    export: ExportOption = None,
    genesis: GenesisOption = None,
) -> None:
    """Say of everything that a model rests on whether it is proven, opened or attested."""
    chosen = read_id(model, ModelId)
    handed = read_handed_on(card, chosen)
    raw = None if file is None else read_file(file, bytes_max=MODEL_BYTES_MAX)
    if export is not None:
        is_alone = home is None and node is None and wallet is None
        require(is_alone, Reason.INPUT_INVALID, "an export is verified without a home, node or wallet")
        outside = Outside(export, None if genesis is None else read_trusted(genesis))
        report, view, statements = verify_outside(outside, chosen, handed, file=raw, tell=note)
        at_ms = max(view.time_ms, read_clock_ms())
        show_statements(view, chosen, statements, handed, at_ms=at_ms, report=report)
        if genesis is None:
            note(UNTRUSTED)
        return
    require(genesis is None, Reason.INPUT_INVALID, "--genesis goes with --export")
    with open_place(home, node, wallet) as place:
        if isinstance(place, RemotePlace):
            note("Replaying the node's ledger from its genesis")
        statements = verify_at(place, chosen, file=raw)
        show_statements(place.engine.snapshot(), chosen, statements, handed, at_ms=tell_time(place))


def show_statements(
    view: LedgerView,
    chosen: ModelId,
    found: Sequence[Statement],
    handed: Mapping[str, bytes],
    *,
    at_ms: int,
    report: HomeReport | None = None,
) -> None:
    """Say what was found out about a model, and by which ledger; refuse where anything is wrong."""
    row = describe_model(view, chosen, get_model(view, chosen), at_ms=Instant(at_ms))
    statements = [*found, *check_handed_on(view, chosen, handed)]
    wrong = [one for one in statements if not one.holds]
    show(
        row
        | {"statements": [msgspec.to_builtins(one) for one in statements], "holds": not wrong}
        | ({} if report is None else document_ledger(report)),
        [
            f"Model {chosen} is {spell_overdue(row)}.",
            *(f"{one.ground if one.holds else 'WRONG':>8}  {one.says}" for one in statements),
            *([] if report is None else spell_ledger(report)),
        ],
    )
    require(not wrong, Reason.FAULT_FOUND, "; ".join(one.says for one in wrong))


@verb(app, "apply")
def apply(
    *,
    model: ModelArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    member: Annotated[
        str | None, typer.Option("--member", metavar="ID", help="At a home: the member that acts.")
    ] = None,
    person: PersonOption,
    patient: PatientOption,
    row: Annotated[
        Path | None,
        typer.Option(
            "--row",
            metavar="FILE",
            help="The patient's row: .json, .csv or .parquet; without one, from the vault's records.",
        ),
    ] = None,
) -> None:
    """Ask a model about a patient whom you treat. The patient will see it; it is no medical device."""
    chosen = read_id(model, ModelId)
    with open_place(home, node, None if node is None else Path(person)) as place:
        entry = get_model(place.engine.snapshot(), chosen)
        require_in_use(entry)
        if isinstance(place, RemotePlace):
            named = spell_patient(place, patient, member=place.member)
            answer = apply_at_node(place, chosen, named, row)
        else:
            acting = need(member, "--member: at a home, say which one acts")
            wanted = Application(
                person=read_asker(place, person, member=acting),
                patient=read_patient(place, patient, member=acting),
                model=chosen,
            )
            answer = apply_at_home(place, wanted, row, member=acting)
        standing = describe_model(place.engine.snapshot(), chosen, entry, at_ms=tell_time(place))
    show_answer(standing, answer)


def show_answer(standing: dict[str, Any], answer: Answer) -> None:
    """Show what a model says, what that rests on, and what it is not."""
    outcome, prediction = answer.outcome, answer.prediction
    contributions = dict(sorted(prediction.contributions.items(), key=lambda one: -abs(one[1])))
    document = {
        "model": standing["model"],
        "status": standing["status"],
        "is_overdue": standing["is_overdue"],
        "outcome": outcome,
        "value": prediction.value,
        "low": prediction.low,
        "high": prediction.high,
        "contributions": contributions,
        "link": prediction.link,
        "is_cut": prediction.is_cut,
        "unlearned": prediction.unlearned,
        "inputs": answer.inputs,
        "notice": NOT_A_DEVICE,
    }
    is_factor = prediction.link == "log"
    table = [
        (name, spell_cell(answer.inputs.get(name)), spell_added(added, is_factor=is_factor))
        for name, added in contributions.items()
    ]
    lines = [
        f"{outcome}: {prediction.value:.3f} (95 %: {prediction.low:.3f} to {prediction.high:.3f})",
        *spell_table(("column", "value", "makes it" if is_factor else "adds"), table),
        *spell_reservations(answer),
    ]
    origin = answer.origin
    if origin is not None:
        document |= describe_origin(origin)
        first, last = document["outcome_from"], document["outcome_until"]
        lines.append(f"As of {document['index_day']}; the outcome counts from {first} to {last}.")
    show(document, [*lines, NOT_A_DEVICE])
    if origin is not None:
        note(f"Made of {origin.records} records; this view may be incomplete.")
        if origin.is_past:
            note("The days in which the outcome counts are over: ask again after the next index event.")
    warn_of_standing(standing)


def spell_reservations(answer: Answer) -> list[str]:
    """Say where what a model says of a patient is not quite what it seems."""
    said = answer.prediction
    unlearned = [
        f"{name} is {spell_cell(answer.inputs.get(name))}: of that the model learned nothing; "
        f"it takes it for {taken}."
        for name, taken in said.unlearned.items()
    ]
    beside = [] if said.low <= said.value <= said.high else [BESIDE]
    return [*unlearned, *([CUT] if said.is_cut else []), *beside]


def warn_of_standing(standing: dict[str, Any]) -> None:
    """Say where a model is not quite what it was."""
    if standing["status"] == ModelStatus.STALE:
        note("This model is stale: patients whom it learned from have left since. Ask for the next one.")
    if standing["is_overdue"]:
        note("This model is overdue: a custodian owes its word on a dataset that it learned from.")


def describe_origin(origin: Origin) -> dict[str, Any]:
    """Describe what a row was made of."""
    first, last = origin.outcome_days
    return {
        "index_day": origin.index_day.isoformat(),
        "outcome_from": first.isoformat(),
        "outcome_until": last.isoformat(),
        "records": origin.records,
        "may_be_incomplete": True,
    }


def spell_added(added: float, *, is_factor: bool) -> str:
    """Spell what a column adds; where that is to a logarithm, how many times as much the value becomes."""
    return f"{math.exp(min(added, FACTOR_LOG_MAX)):.3f} times" if is_factor else f"{added:+.3f}"


def spell_cell(cell: Cell) -> str:
    """Spell a value as a person reads it."""
    match cell:
        case None | "":
            return "missing"
        case float():
            return f"{cell:g}"
        case _:
            return str(cell)
