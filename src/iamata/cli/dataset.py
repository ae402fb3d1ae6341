"""`iamata dataset`: a custodian's table for a study, of patients who agreed and of nobody else."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import open_new
from iamata.cli.learning import StudyArgument, describe_dataset, spell_overdue, tell_time
from iamata.cli.options import HomeOption
from iamata.cli.output import make_progress, note, show, spell_table
from iamata.cli.parties import need, read_id
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, open_place
from iamata.consent.condition_wording import state_conditions
from iamata.consent.data_use import Conditions, match_use
from iamata.learning.protocols import PROTOCOL_BYTES_MAX, Protocol, read_protocol
from iamata.ledger.tables import DATASETS
from iamata.model.ids import DatasetId, MemberId, StudyId
from iamata.model.instants import compute_day, format_day
from iamata.model.reasons import Reason, require
from iamata.node.gathering import Gathered, build_at_node, build_from, read_conditions
from iamata.node.home import Home, open_home
from iamata.node.learning import end_interrupted
from iamata.node.places import Place, RemotePlace
from iamata.node.studying import fetch_protocol, read_file
from iamata.ports import LedgerView
from iamata.workflows.croissant import Described, gather, write_croissant
from iamata.workflows.lineages import get_dataset, get_study, list_datasets, trace
from iamata.workflows.withdrawals import Step, list_studies, look_after_all

REFUSED: str = "refused"

app = make_noun("Datasets: which of a custodian's patients a study may learn from.")

TableOption = Annotated[
    Path | None,
    typer.Option(
        "--table",
        metavar="FILE",
        help="The rows, at a home: .csv or .parquet; without one, the vault's records.",
    ),
]
ConditionsOption = Annotated[
    Path | None,
    typer.Option(
        "--conditions", metavar="FILE", help="What may be done with the data (DUO, JSON); else health."
    ),
]
JudgedOption = Annotated[
    bool,
    typer.Option("--judged", help="People here allow what the conditions' rules leave to people."),
]
ProtocolOption = Annotated[
    Path | None,
    typer.Option(
        "--protocol", metavar="FILE", help="At a home: the study's protocol, if it is not there yet."
    ),
]
PatientColumnOption = Annotated[
    str | None,
    typer.Option(
        "--patient-column", metavar="NAME", help="Whose a row is: Patient/…, its id, or the pseudonym."
    ),
]


@verb(app, "build")
def build(
    *,
    study: StudyArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: KeyOption = None,
    member: Annotated[
        str | None, typer.Option("--member", metavar="ID", help="At a home: whose dataset.")
    ] = None,
    table: TableOption = None,
    patient_column: PatientColumnOption = None,
    conditions: ConditionsOption = None,
    judged: JudgedOption = False,
    protocol: ProtocolOption = None,
) -> None:
    """Build a site's dataset out of a table or the vault, of patients whose consent covers the study."""
    chosen, said = read_id(study, StudyId), read_conditions(conditions, is_judged=judged)
    document = None if protocol is None else read_file(protocol, bytes_max=PROTOCOL_BYTES_MAX)
    gathered = None
    with open_place(home, node, wallet) as place:
        if isinstance(place, RemotePlace):
            is_bare = table is None and patient_column is None and document is None
            require(is_bare, Reason.INPUT_INVALID, "only a vault is read at a node")
            note("The node builds it on its own: after Ctrl-C, ask again to wait for it.")
            with make_progress() as progress:
                progress.add_task("building at the node", total=None, rate="")
                dataset = build_at_node(place, chosen, said)
        else:
            dataset, gathered = build_from(
                place,
                chosen,
                member=need(member, "--member: at a home, say whose dataset"),
                table=table,
                patient_column=patient_column,
                conditions=said,
                protocol=document,
            )
        row = describe_posted(place, dataset) | {"findings": list_findings(place, chosen, said)}
    show_built(row, gathered)


def show_built(row: dict[str, Any], gathered: Gathered | None) -> None:
    """Say what was built, and what the table had if there was one."""
    counts = {} if gathered is None else count_rows(gathered)
    said = f"Dataset {row['dataset']} of {row['custodian']} stands, in {row['leaves']} leaves."
    findings = [f"{one['verdict'].capitalize()}: {one['reason']}." for one in row["findings"]]
    show(row | counts, [said, *findings])
    if gathered is None:
        return
    note(f"{gathered.rows_read:,} rows of {len(gathered.rows):,} patients read.")
    if gathered.unknown_patients:
        note(f"Left out: {gathered.spell_unknown()}, in {gathered.unknown_rows:,} rows.")
    note(f"Left out, for no consent covers the study: {gathered.spell_unagreed()} of these patients.")


@verb(app, "list")
def list_(*, home: PlaceOption = None, node: NodeOption = None, wallet: KeyOption = None) -> None:
    """List every dataset, and on which its custodian owes its word."""
    with open_place(home, node, wallet) as place:
        view, found, at_ms = place.engine.snapshot(), trace(place.engine), tell_time(place)
        rows = [
            describe_dataset(name, entry, at_ms=at_ms)
            for study in found.studies
            for name, entry in list_datasets(view, found, study)
        ]
    table = [
        (row["dataset"], row["study"], row["custodian"], spell_overdue(row), row["confirm_until"])
        for row in rows
    ]
    header = ("dataset", "study", "custodian", "status", "to be confirmed until")
    show({"datasets": rows}, spell_table(header, table))


@verb(app, "show")
def show_(
    *,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The dataset, by its id.")],
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: KeyOption = None,
    croissant: Annotated[
        Path | None,
        typer.Option(
            "--croissant",
            metavar="FILE",
            help="Describe it for machines in this new file: columns, permit, proofs, no row (JSON-LD).",
        ),
    ] = None,
) -> None:
    """Show where a dataset stands, what the ledger holds it to, and, at its custodian's, its conditions."""
    chosen = read_id(dataset, DatasetId)
    with open_place(home, node, wallet) as place:
        view = place.engine.snapshot()
        entry = get_dataset(view, chosen)
        row = describe_dataset(chosen, entry, at_ms=tell_time(place))
        is_here = place.has_desk(entry.custodian)
        conditions = place.get_desk(entry.custodian).show_conditions(chosen) if is_here else None
        if croissant is not None:
            described = gather(place.engine, view, chosen, conditions=conditions)
            describe_in(croissant, read_protocol(fetch_protocol(place, entry.study)), described)
    show(
        row
        | {"members": entry.members, "consents": entry.consents, "replaces": entry.replaces or ""}
        | {"conditions": None if conditions is None else msgspec.to_builtins(conditions)},
        [
            f"Dataset {chosen} of {row['custodian']} is {spell_overdue(row)}.",
            f"Study {row['study']}; to be confirmed until {row['confirm_until']}.",
            *spell_conditions(conditions, is_here=is_here),
            f"Members (root) {entry.members}, in {entry.leaves:,} leaves with dummies among them.",
            f"Consents (commitment) {entry.consents}, asked after block {entry.height:,}.",
            *([f"It took the place of {entry.replaces}."] if entry.replaces else []),
        ],
    )


def describe_in(file: Path, protocol: Protocol, described: Described) -> None:
    """Write a dataset's description into a new file."""
    with open_new(file) as new:
        if new is not None:
            new.write(write_croissant(protocol, described).decode("utf-8"))


@verb(app, "look-after")
def look_after(
    *,
    home: HomeOption,
    member: Annotated[
        str | None,
        typer.Option("--member", metavar="ID", help="Whose datasets; otherwise all served here."),
    ] = None,
) -> None:
    """Do what withdrawals ask of this home's datasets: replace, retire, or confirm them.

    Runs that this home was at when it was closed, and cannot go on with, are marked as failed.
    """
    with open_home(home) as opened:
        end_interrupted(opened)
        members = sorted(opened.offices) if member is None else [opened.get_office(member).member]
        rows = [row for one in members for row in look_after_member(opened, one)]
    table = [(row["custodian"], row["study"], spell_step(row)) for row in rows]
    show({"steps": rows}, spell_table(("custodian", "study", "what was done"), table))


def look_after_member(home: Home, member: MemberId) -> list[dict[str, Any]]:
    """Look after a member's datasets, and say what was done for each study."""
    office = home.get_office(member)
    done = look_after_all(office)
    view = office.take_view()
    return [
        {
            "custodian": member,
            "study": study,
            "step": one.step if (one := done.get(study)) else REFUSED,
            "until": find_until(view, member, study) if one and one.step is Step.WAITING else "",
            "objection": one.objection if one else "",
        }
        for study in list_studies(office, view)
    ]


def spell_conditions(conditions: Conditions | None, *, is_here: bool) -> list[str]:
    """Say what may be done with a dataset's data, each condition in a line."""
    if conditions is None:
        was_kept = "was not kept when it was built: the purpose was matched then, and is not again"
        return [f"What may be done with its data {was_kept if is_here else 'is known at its custodian'}."]
    judged = " People there have judged what the rules leave to people." if conditions.is_judged else ""
    return [
        f"What may be done with its data, matched at every use:{judged}",
        *(f"  {one.spell()}" for one in state_conditions(conditions)),
    ]


def list_findings(
    place: Home | RemotePlace, study: StudyId, conditions: Conditions
) -> list[dict[str, str]]:
    """List what each rule says of a study's purpose under a custodian's conditions."""
    purpose = read_protocol(fetch_protocol(place, study)).purpose
    findings = match_use(conditions, purpose).findings
    return [{"verdict": one.verdict.value, "reason": one.reason} for one in findings]


def find_until(view: LedgerView, member: MemberId, study: StudyId) -> str:
    """Find the day by which those who wait to leave a member's dataset are out of it."""
    found = [DATASETS.find(view, one) for one in get_study(view, study).datasets]
    return next(
        (format_day(compute_day(one.confirm_until_ms)) for one in found if one and one.custodian == member),
        "",
    )


def spell_step(row: dict[str, Any]) -> str:
    """Say what was done about a dataset, until when those who left it wait, and what forbids its use."""
    until = f", until {row['until']}" if row["until"] else ""
    objection = f"; not to be used: {row['objection']}" if row["objection"] else ""
    return f"{row['step']}{until}{objection}"


def describe_posted(place: Place, dataset: DatasetId) -> dict[str, Any]:
    """Describe a dataset that was just posted."""
    entry = DATASETS.find(place.engine.snapshot(), dataset)
    return {} if entry is None else describe_dataset(dataset, entry, at_ms=tell_time(place))


def count_rows(gathered: Gathered) -> dict[str, int]:
    """Say what a table had, and what was left out of it; those who did not agree in tens, rounded down."""
    return {
        "rows_read": gathered.rows_read,
        "patients_read": len(gathered.rows),
        "unknown_patients": gathered.unknown_patients,
        "unknown_rows": gathered.unknown_rows,
        "unagreed_patients": gathered.unagreed_patients,
    }
