"""`iamata study`: ask to learn from consented records, review it, train, and see where it stands."""

from pathlib import Path
from typing import Annotated, Any

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import read_text
from iamata.cli.learning import (
    StudyArgument,
    describe_dataset,
    describe_model,
    describe_run,
    describe_study,
    spell_collusion,
    spell_overdue,
    spell_standing,
    tell_time,
)
from iamata.cli.options import ForOption, WalletOption, YesOption
from iamata.cli.output import confirm, note, say, show, spell_table
from iamata.cli.parties import choose_member, read_id
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, get_home, open_place
from iamata.learning.methods import spell_settings
from iamata.learning.protocols import PROTOCOL_BYTES_MAX, read_protocol
from iamata.ledger.entries import EhdsPurpose, OwnerKind
from iamata.model.ids import MemberId, StudyId, encode_digest
from iamata.model.reasons import Reason, Refused, require
from iamata.node.home import Home
from iamata.node.identities import sign_as
from iamata.node.places import Place, RemotePlace
from iamata.node.researching import BUDGET_MAX, PROHIBITED, write_proposal
from iamata.node.researching import propose as propose_at
from iamata.node.studying import fetch_protocol, keep_grounds, read_file
from iamata.node.words import read_member
from iamata.stores.wallets import load_wallet
from iamata.workflows import studies
from iamata.workflows.author import Author
from iamata.workflows.lineages import get_study, list_datasets, list_models, list_runs, trace
from iamata.workflows.questions import list_answers

app = make_noun("Studies: what is to be learned from consented records, and what came of it.")

GroundsOption = Annotated[
    str,
    typer.Option(
        "--grounds", metavar="TEXT", help="Why; @FILE, or - for the input. Only its hash is told."
    ),
]
BudgetOption = Annotated[
    float,
    typer.Option(
        "--budget", min=0, max=BUDGET_MAX, help="The privacy (ε) that runs may spend; 0: exact sums."
    ),
]


@verb(app, "propose")
def propose(
    *,
    protocol: Annotated[Path, typer.Argument(help="The protocol: a file of JSON.")],
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    sites: Annotated[str, typer.Option("--sites", metavar="IDS", help="Custodians, as a,b,c.")],
    purpose: Annotated[EhdsPurpose, typer.Option("--purpose", help="What for (EHDS, article 53).")],
    uses: Annotated[list[str], typer.Option("--use", metavar="CODE", help="DUO codes: DUO:0000006, …")],
    until: Annotated[
        str, typer.Option("--until", metavar="DAY", help="The permit's last day, YYYY-MM-DD.")
    ],
    budget: BudgetOption = 0.0,
    member: ForOption = None,
    yes: YesOption = False,
) -> None:
    """Put a study before the reviewers of other members, as a researcher."""
    proposal = write_proposal(
        sites=sites.split(","), purpose=purpose, uses=uses, until=until, budget=budget
    )
    document = read_file(protocol, bytes_max=PROTOCOL_BYTES_MAX)
    studies.check_protocol(document, proposal)
    say(PROHIBITED)
    confirm("Declare that none of these five is meant, and propose the study?", is_agreed=yes)
    with open_place(home, node, wallet) as place:
        owner = None if member is None else read_member(member)
        study = propose_at(place, wallet, document, proposal, member=owner)
        row = describe_standing(place, study)
    show(
        row,
        [
            f"Study {study} is {row['status']}.",
            f"Reviewers of two members other than {row['owner']} decide: iamata study review {study} …",
        ],
    )


@verb(app, "list")
def list_(*, home: PlaceOption = None, node: NodeOption = None, wallet: KeyOption = None) -> None:
    """List every study, and where it stands."""
    with open_place(home, node, wallet) as place:
        rows = [describe_standing(place, one) for one in trace(place.engine).studies]
    table = [
        (row["study"], row["owner"], spell_standing(row), row["purpose"], row["until"]) for row in rows
    ]
    show({"studies": rows}, spell_table(("study", "owner", "status", "purpose", "until"), table))


@verb(app, "show")
def show_(
    *,
    study: StudyArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: KeyOption = None,
    protocol: Annotated[bool, typer.Option("--protocol", help="Print the protocol itself.")] = False,
) -> None:
    """Show a study: who reviewed it, its sites' datasets, its runs and its models."""
    chosen = read_id(study, StudyId)
    with open_place(home, node, wallet) as place:
        row = describe_whole(place, chosen) | describe_protocol(place, chosen)
        document = fetch_protocol(place, chosen) if protocol else None
    if document is not None:
        text = document.decode("utf-8")
        show(row | {"protocol": text}, text.splitlines())
        return
    show(row, spell_whole(row))


@verb(app, "review")
def review(
    *,
    study: StudyArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    approve: Annotated[bool, typer.Option("--approve/--reject", help="Your judgement.")],
    grounds: GroundsOption,
    member: ForOption = None,
) -> None:
    """Judge a study, as a reviewer: its protocol, and the code that is installed here."""
    chosen, why = read_id(study, StudyId), read_grounds(grounds)
    with open_place(home, node, wallet) as place:
        reviewer, author = sign_for_person(place, wallet, member)
        if approve:
            check_whole(place, chosen)
        salt = studies.review_study(author, chosen, is_approval=approve, grounds=why)
        keep_salt(place, reviewer, salt, why)
        row = describe_standing(place, chosen)
    show(row | {"salt": encode_digest(salt)}, [spell_reviews(row)])


@verb(app, "revoke")
def revoke(
    *,
    study: StudyArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: KeyOption = None,
    grounds: GroundsOption,
    member: ForOption = None,
) -> None:
    """End a permit: a reviewer with --wallet, or the owner's own node with --member."""
    chosen, why = read_id(study, StudyId), read_grounds(grounds)
    with open_place(home, node, wallet) as place:
        if wallet is None:
            revoker, author = sign_for_member(get_home(place, "revoking without --wallet"), member)
        else:
            revoker, author = sign_for_person(place, wallet, member)
        salt = studies.revoke_permit(author, chosen, grounds=why)
        keep_salt(place, revoker, salt, why)
        row = describe_standing(place, chosen)
    show(
        row | {"salt": encode_digest(salt)}, [f"Study {chosen} is {row['status']}: no run begins any more."]
    )


def check_whole(place: Home | RemotePlace, study: StudyId) -> None:
    """Hold a study's uses against its protocol before one approves of it; say so where it is not here."""
    try:
        document = fetch_protocol(place, study)
    except Refused as refused:
        if refused.reason not in {Reason.NOT_FOUND, Reason.NODE_UNREACHABLE}:
            raise
        note("The protocol cannot be had here now, so its purpose was not held against the study's uses.")
        return
    studies.check_study(get_study(place.engine.snapshot(), study), document)


def describe_standing(place: Place, study_id: StudyId) -> dict[str, Any]:
    """Describe where a study stands now."""
    return describe_study(study_id, get_study(place.engine.snapshot(), study_id), at_ms=tell_time(place))


def describe_protocol(place: Home | RemotePlace, study_id: StudyId) -> dict[str, str]:
    """Describe what is to be learned, and how; with nothing where nobody has the protocol now."""
    try:
        protocol = read_protocol(fetch_protocol(place, study_id))
    except Refused:
        return {"title": "", "question": "", "method": ""}
    return {
        "title": protocol.title,
        "question": protocol.question,
        "method": spell_settings(protocol.estimator),
    }


def describe_whole(place: Place, study_id: StudyId) -> dict[str, Any]:
    """Describe a study with all that hangs on it."""
    view, at_ms, found = place.engine.snapshot(), tell_time(place), trace(place.engine)
    return describe_standing(place, study_id) | {
        "datasets": [
            describe_dataset(name, entry, at_ms=at_ms)
            for name, entry in list_datasets(view, found, study_id)
        ],
        "runs": [
            describe_run(view, found, name, entry, at_ms=at_ms)
            for name, entry in list_runs(view, found, study_id)
        ],
        "answers": list(list_answers(view, found, study_id)),
        "models": [
            describe_model(view, name, entry, at_ms=at_ms)
            for name, entry in list_models(view, found, study_id)
        ],
    }


def spell_whole(row: dict[str, Any]) -> list[str]:
    """Say where a study stands, for people."""
    datasets = [(one["custodian"], one["dataset"], spell_overdue(one)) for one in row["datasets"]]
    runs = [(one["run"], spell_run(one), ", ".join(one["attested_by"])) for one in row["runs"]]
    models = [(one["model"], spell_overdue(one), one["run"]) for one in row["models"]]
    return [
        *([f"{row['title']}: {row['question']}", f"Method: {row['method']}."] if row["title"] else []),
        spell_reviews(row),
        f"Owner {row['owner']}; purpose {row['purpose']} ({', '.join(row['uses'])}); until {row['until']}.",
        f"Sites: {', '.join(row['sites'])}. {spell_collusion(row)}",
        f"To be reviewed until {row['review_until']}; code (SHA-256) {row['code']}.",
        f"Privacy (ε): {row['spent']:g} of {row['budget']:g} spent." if row["budget"] else "Exact sums.",
        *(["", *spell_table(("site", "dataset", "status"), datasets)] if datasets else []),
        *(["", *spell_table(("run", "status", "attested by"), runs)] if runs else []),
        *(["", *spell_table(("model", "status", "run"), models)] if models else []),
        *(["", f"Questions answered: {len(row['answers'])}."] if row["answers"] else []),
    ]


def spell_run(row: dict[str, Any]) -> str:
    """Say what became of a run."""
    if row["is_over_time"]:
        return "never finished"
    return f"{row['status']}: {row['reason']}" if row["reason"] else str(row["status"])


def spell_reviews(row: dict[str, Any]) -> str:
    """Say what the reviewers said."""
    approvals, rejections = ", ".join(row["approvals"]), ", ".join(row["rejections"])
    status = spell_standing(row)
    return f"Study {row['study']} is {status}; for: {approvals or '-'}; against: {rejections or '-'}."


def read_grounds(text: str) -> str:
    """Read why somebody judges so."""
    grounds = read_text(text)
    require(bool(grounds), Reason.INPUT_INVALID, "--grounds is empty")
    return grounds


def keep_salt(place: Place, member: MemberId, salt: bytes, grounds: str) -> None:
    """Keep what opens the grounds at a home that serves the reviewer's member."""
    if isinstance(place, Home):
        keep_grounds(place, member, salt, grounds)


def sign_for_person(place: Place, wallet: Path, member: str | None) -> tuple[MemberId, Author]:
    """Return for which member a wallet's person acts, and the author that signs."""
    held = load_wallet(wallet)
    chosen = choose_member(place, held, member, kind=OwnerKind.PERSON)
    return chosen, sign_as(place, held, chosen)[1]


def sign_for_member(home: Home, member: str | None) -> tuple[MemberId, Author]:
    """Return the author that signs as a member's node."""
    if member is None:
        raise Refused(Reason.INPUT_INVALID, "say who revokes: --wallet, or the owner with --member")
    office = home.get_office(member)
    return office.member, office.author
