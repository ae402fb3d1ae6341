"""`iamata verify`: check a home, or an export, offline and from the genesis on."""

from pathlib import Path
from typing import Annotated, Any

import typer

from iamata.cli.commands import verb
from iamata.cli.output import note, show
from iamata.ledger.genesis import GENESIS_BYTES_MAX, Genesis, compute_network_id, read_genesis
from iamata.model.reasons import Reason, Refused
from iamata.node.home import load_genesis
from iamata.node.verification import HomeReport, verify_export, verify_home

_AMISS = (Reason.HOME_IN_USE, Reason.HOME_NOT_FOUND, Reason.FILE_NOT_FOUND, Reason.INPUT_INVALID)
"""Refusals that say that nothing was verified, not that something is wrong."""

_LEDGER = {
    "blocks": "blocks, each with its header's signature and hashes",
    "transactions": "transactions, each with every signature",
    "refused": "of them refused, as the rules say",
}
_MEMBERS = {
    "records": "records, opened and checked against their commitments",
    "record_anchors": "anchors of records",
    "data_keys": "data keys",
    "openings": "openings",
    "consents_opened": "consents, whose terms were opened",
    "journal_entries": "journal entries, in one chain at each member",
    "read_anchors": "anchors of the journal",
    "disclosures": "disclosures, each on the ledger and in the journal",
    "disclosures_decided_again": "of them decided again from their consent",
    "erased_patients": "erased patients, whose keys are gone",
}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    verb(app, "verify")(verify)


def verify(
    path: Annotated[Path, typer.Argument(help="A home, or a file that `iamata ledger export` wrote.")],
    genesis: Annotated[
        Path | None, typer.Option("--genesis", metavar="FILE", help="A genesis that you trust.")
    ] = None,
) -> None:
    """Check everything offline, from the genesis on: exit 0, or name the first fault and exit 1."""
    try:
        trusted = None if genesis is None else read_trusted(genesis)
        report = verify_path(path, trusted)
    except Refused as refused:
        if refused.reason in _AMISS:
            raise
        raise Refused(Reason.FAULT_FOUND, refused.detail or refused.reason.name) from refused
    facts = document_report(report)
    names = _LEDGER | (_MEMBERS if report.members else {})
    show(
        facts,
        [
            *(f"  {facts['checked'][field]:>9,}  {name}" for field, name in names.items()),
            *(f"  Late disclosure {access} is still to be posted" for access in facts["late_pending"]),
            f"Network {facts['network']} at height {facts['height']:,}",
            f"App hash {facts['app_hash']}",
            "Everything above was checked, and nothing is wrong.",
            "Whoever has this app hash at this height has the same ledger.",
            "One signer ordered it: whether it ordered fairly and showed all the same, no replay can tell.",
        ],
    )


def verify_path(path: Path, trusted: Genesis | None) -> HomeReport:
    """Check a home or an export; a trusted genesis must be the one that is found there."""
    if not path.is_dir():
        return verify_export(path, genesis=trusted, tell=note)
    if trusted is not None and trusted != load_genesis(path):
        raise Refused(Reason.FAULT_FOUND, "the home is of another network")
    return verify_home(path, tell=note)


def read_trusted(path: Path) -> Genesis:
    """Read a genesis file."""
    try:
        with path.open("rb") as file:
            return read_genesis(file.read(GENESIS_BYTES_MAX + 1))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error


def document_report(report: HomeReport) -> dict[str, Any]:
    """Sum up what was checked, for machines."""
    checked = {field: getattr(report.ledger, field) for field in _LEDGER}
    checked |= {field: sum(getattr(one, field) for one in report.members) for field in _MEMBERS}
    return {
        "network": compute_network_id(report.genesis),
        "height": report.ledger.blocks,
        "app_hash": report.ledger.app_hash,
        "is_by_one_signer": True,
        "checked": checked,
        "late_pending": [access for one in report.members for access in one.late_pending],
    }
