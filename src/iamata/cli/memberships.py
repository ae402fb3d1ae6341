"""`iamata wallet studies`: which studies learn from a patient, and which models did."""

from typing import Any

import typer

from iamata.cli.commands import verb
from iamata.cli.options import WalletOption
from iamata.cli.output import show, spell_table
from iamata.cli.places import NodeOption, PlaceOption, open_place
from iamata.ledger.entries import DatasetStatus
from iamata.model.instants import compute_day, format_day
from iamata.node.memberships import Leaving, Membership, list_memberships

HEADER: tuple[str, ...] = ("study", "for", "custodian", "dataset", "you are", "what came of it")

BECAUSE: dict[str, str] = {
    Leaving.WITHDRAWN: "You have withdrawn your consent, and leave",
    Leaving.REPLACED: "You have put another consent in the place of this one, and leave",
    Leaving.ENDED: "Your consent has ended, and you leave",
    Leaving.NARROWED: "Your consent was narrowed: if by anything that the study asks for, you leave",
}
OVER: str = "You were in dataset {dataset}, which was {status}: no run uses your row there any more."


def add_to(app: typer.Typer) -> None:
    """Add what a patient can ask about studies to the wallet's commands."""
    verb(app, "studies")(list_studies)


def list_studies(*, home: PlaceOption = None, node: NodeOption = None, wallet: WalletOption) -> None:
    """Say in which studies' datasets you are, by proofs checked here, and which models learned there."""
    with open_place(home, node, wallet) as place:
        found = list(list_memberships(place, wallet))
    rows = [describe_membership(one) for one in found]
    table = [
        (
            *(row["study"], row["purpose"], row["custodian"], row["dataset"]),
            *(spell_dataset(row), spell_models(row)),
        )
        for row in rows
    ]
    show(
        {"datasets": rows},
        [
            *spell_table(HEADER, table),
            *(spell_leaving(row) for row in rows if row["leaves_by"]),
            *(OVER.format(**row) for row in rows if row["is_in"] and not is_standing(row)),
            f"You are in {sum(is_standing(row) for row in rows)} of {len(found)}.",
            f"The ledger proves {sum(one.is_proven for one in found)} of these answers.",
        ],
    )


def describe_membership(one: Membership) -> dict[str, Any]:
    """Describe whether somebody is in a dataset."""
    return {
        "study": one.entry.study,
        "purpose": one.purpose,
        "custodian": one.entry.custodian,
        "dataset": one.dataset,
        "status": one.entry.status,
        "is_in": one.is_in,
        "leaves_by": format_day(compute_day(one.entry.confirm_until_ms)) if one.leaving else "",
        "leaves_because": str(one.leaving or ""),
        "is_used": one.is_used,
        "is_proven": one.is_proven,
        "models": [{"model": name, "status": entry.status} for name, entry in one.models],
        "answers": list(one.answers),
    }


def is_standing(row: dict[str, Any]) -> bool:
    """Tell whether somebody is in a dataset that runs may use."""
    return bool(row["is_in"]) and row["status"] == DatasetStatus.ACTIVE


def spell_leaving(row: dict[str, Any]) -> str:
    """Say why and when somebody is out of a dataset."""
    return (
        f"{BECAUSE[row['leaves_because']]} dataset {row['dataset']} together with others, "
        f"by {row['leaves_by']} at the latest; {spell_use(is_used=row['is_used'])}"
    )


def spell_use(*, is_used: bool) -> str:
    """Say whether runs use the row of somebody who has not left a dataset yet."""
    if is_used:
        return "runs until then still use your row."
    return "no run uses your row any more, for the study has no permit."


def spell_dataset(row: dict[str, Any]) -> str:
    """Say whether somebody is in a dataset, and where that stands."""
    place = "in" if row["is_in"] else "not in"
    return f"{place if row['is_proven'] else 'unknown'} ({row['status']})"


def spell_models(row: dict[str, Any]) -> str:
    """Say what learned from a dataset."""
    models = [f"{one['model']} ({one['status']})" for one in row["models"]]
    counted = [f"answers to {len(row['answers'])} questions"] if row["answers"] else []
    return ", ".join([*models, *counted]) or "none"
