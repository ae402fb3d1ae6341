"""`iamata verify`: check a home, or an export, offline and from the genesis on."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from iamata.cli.commands import verb
from iamata.cli.output import note, show, spell_table
from iamata.engines.embedded.engine import read_clock_ms
from iamata.engines.keeping.beginning import has_beginning
from iamata.ledger.genesis import GENESIS_BYTES_MAX, Genesis, compute_network_id, read_genesis
from iamata.ledger.light.verifying import TRUST_MS, is_fresh
from iamata.model.instants import MS_PER_DAY, format_instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node.configuration import NODE_FILE
from iamata.node.home import GENESIS_FILE, LEDGER_FOLDER, load_genesis
from iamata.node.lineage import list_geneses, list_proven, read_lineage
from iamata.node.running import list_homes
from iamata.node.verification import HomeReport, naming_place, verify_export, verify_home
from iamata.workflows.vouching import VoteReport

_AMISS = (Reason.HOME_IN_USE, Reason.HOME_NOT_FOUND, Reason.FILE_NOT_FOUND, Reason.INPUT_INVALID)
"""Refusals that say that nothing was verified, not that something is wrong."""

_LEDGER = {
    "blocks": "blocks, each with its header and hashes",
    "transactions": "transactions, each with every signature",
    "refused": "of them refused, as the rules say",
}
ONE_SIGNER = "One signer ordered it: whether it ordered fairly and showed all the same, no replay can tell."
_VOTES = {
    "headers": "headers of CometBFT, each with its validators and what it says of its block",
    "votes": "validators' votes, each with its signature",
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
    path: Annotated[
        Path, typer.Argument(help="A home, a folder of homes, or a file that `iamata ledger export` wrote.")
    ],
    genesis: Annotated[
        Path | None, typer.Option("--genesis", metavar="FILE", help="A genesis that you trust.")
    ] = None,
) -> None:
    """Check everything offline, from the genesis on: exit 0, or name the first fault and exit 1."""
    with naming_faults():
        trusted = None if genesis is None else read_trusted(genesis)
        if is_network(path):
            show_network(verify_network(list_homes(path), trusted))
            return
        report = verify_path(path, trusted)
    facts = document_report(report)
    names = _LEDGER | (_VOTES if report.votes else {}) | (_MEMBERS if report.members else {})
    show(
        facts,
        [
            *(f"  {facts['checked'][field]:>9,}  {name}" for field, name in names.items()),
            *describe_beginning(report),
            *(f"  Late disclosure {access} is still to be posted" for access in facts["late_pending"]),
            *spell_ledger(report),
            *describe_predecessor(report.genesis),
            "Everything above was checked, and nothing is wrong.",
            "Whoever has this app hash at this height has the same ledger.",
            *describe_order(report.votes, now_ms=read_clock_ms()),
        ],
    )


def describe_beginning(report: HomeReport) -> list[str]:
    """Say what was not run where the ledger began with a snapshot, and on what that rests."""
    height = report.ledger.begun_at
    if not height:
        return []
    return [
        f"The ledger began with a snapshot of block {height:,}: what came before was not run here.",
        "The snapshot comes to the app hash that the next header names, and its blocks are those that",
        "their own headers name; these follow from the genesis by validators' votes.",
    ]


def describe_order(votes: VoteReport | None, *, now_ms: int) -> list[str]:
    """Say in words who ordered the ledger, and how far that can be trusted."""
    if votes is None:
        return [ONE_SIGNER]
    lines = [
        f"{votes.validators} validators order it. Each block has the votes of over two thirds by weight,",
        f"so {votes.faulty_max} of them may fail or cheat, and the others still agree on one ledger.",
    ]
    if votes.unvouched:
        lines.append(
            f"The last {votes.unvouched:,} blocks have no votes here yet: only this node says them."
        )
    elif not votes.is_result_vouched:
        lines.append("What the last block came to is named by the next header, which is not here yet.")
    age_days, period_days = (now_ms - votes.time_ms) // MS_PER_DAY, TRUST_MS // MS_PER_DAY
    if is_fresh(votes.time_ms, now_ms=now_ms):
        return [*lines, f"The newest votes are within the trust period of {period_days} days."]
    return [
        *lines,
        f"The newest votes are {age_days} days old, longer than the trust period of {period_days} days:",
        "keys stolen since could have voted for another end. Compare the app hash with what a member says.",
    ]


def describe_predecessor(genesis: Genesis) -> list[str]:
    """Say which network goes on as this one."""
    before = genesis.continues
    if before is None:
        return []
    return [f"It goes on from network {before.network} at height {before.height:,}, as its members agreed."]


@contextlib.contextmanager
def naming_faults() -> Iterator[None]:
    """Let whatever was refused be a fault, but for what says that nothing was verified."""
    try:
        yield
    except Refused as refused:
        if refused.reason in _AMISS:
            raise
        raise Refused(Reason.FAULT_FOUND, refused.detail or refused.reason.name) from refused


def is_network(path: Path) -> bool:
    """Tell whether a folder holds several homes and is none itself."""
    return path.is_dir() and not (path / GENESIS_FILE).exists() and any(path.glob(f"*/{NODE_FILE}"))


def verify_network(homes: Sequence[Path], trusted: Genesis | None) -> dict[str, HomeReport]:
    """Check every home in a folder: each by itself, and that none has another ledger than the longest."""
    reports: dict[str, HomeReport] = {}
    for home in homes:
        note(f"Checking {home.name}")
        with naming_place(home.name):
            reports[home.name] = verify_path(home, trusted)
    # The longest that goes back furthest: of what came before a snapshot it could say nothing.
    longest = max(reports.values(), key=lambda one: (one.ledger.blocks, -one.ledger.begun_at))
    for name, report in reports.items():
        known = longest.ledger.app_hashes.get(report.ledger.blocks, report.ledger.app_hash)
        is_same = report.ledger.app_hash == known
        where = f"{name}: at height {report.ledger.blocks} it has another ledger than the longest"
        require(is_same, Reason.FAULT_FOUND, where)
    return reports


def show_network(reports: Mapping[str, HomeReport]) -> None:
    """Say what was checked in each home."""
    facts = {name: document_report(report) for name, report in reports.items()}
    rows = [
        (name, f"{one['height']:,}", one["app_hash"], f"{one['checked']['records']:,}")
        for name, one in facts.items()
    ]
    first = next(iter(reports.values()))
    show(
        {"homes": facts},
        [
            *spell_table(("home", "height", "app hash", "records"), rows),
            "Every home was checked, nothing is wrong, and all have the same ledger.",
            *describe_order(first.votes, now_ms=read_clock_ms()),
        ],
    )


def verify_path(path: Path, trusted: Genesis | None) -> HomeReport:
    """Check a home or an export; a trusted genesis must be the one that is found there."""
    if not path.is_dir():
        return verify_export(path, genesis=trusted, tell=note)
    if trusted is not None and trusted not in list_trusted(path):
        raise Refused(Reason.FAULT_FOUND, "the home is of another network")
    return verify_home(path, tell=note)


def list_trusted(path: Path) -> tuple[Genesis, ...]:
    """List the genesis of a home and of each network before: who trusts one trusts how it went on.

    Beside a snapshot, only those after which it is proven that their members agreed: no block shows it.
    """
    genesis = load_genesis(path)
    lineage = read_lineage(path, genesis)
    before = list_proven(lineage) if has_beginning(path / LEDGER_FOLDER) else list_geneses(lineage)
    return (*before, genesis)


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
    checked["blocks"] -= report.ledger.begun_at
    if report.votes is not None:
        checked |= {field: getattr(report.votes, field) for field in _VOTES}
    checked |= {field: sum(getattr(one, field) for one in report.members) for field in _MEMBERS}
    return (
        document_ledger(report)
        | {
            "is_by_one_signer": report.votes is None,
            "checked": checked,
            "late_pending": [access for one in report.members for access in one.late_pending],
        }
        | document_beginning(report)
        | document_votes(report.votes)
        | document_predecessor(report.genesis)
    )


def document_ledger(report: HomeReport) -> dict[str, Any]:
    """Say which ledger was checked, and up to where, for machines."""
    return {
        "network": compute_network_id(report.genesis),
        "height": report.ledger.blocks,
        "app_hash": report.ledger.app_hash,
    }


def spell_ledger(report: HomeReport) -> list[str]:
    """Say which ledger was checked, and up to where: whoever has the same has this one."""
    facts = document_ledger(report)
    return [
        f"Network {facts['network']} at height {facts['height']:,}",
        f"App hash {facts['app_hash']}",
    ]


def document_beginning(report: HomeReport) -> dict[str, Any]:
    """Say at which height the ledger began, for machines; nothing where that is its genesis."""
    return {"begun_at": report.ledger.begun_at} if report.ledger.begun_at else {}


def document_predecessor(genesis: Genesis) -> dict[str, Any]:
    """Say which network goes on as this one, for machines."""
    before = genesis.continues
    return {} if before is None else {"continues": {"network": before.network, "height": before.height}}


def document_votes(votes: VoteReport | None) -> dict[str, Any]:
    """Say who ordered the ledger, for machines."""
    if votes is None:
        return {}
    return {
        "validators": votes.validators,
        "faulty_max": votes.faulty_max,
        "unvouched_blocks": votes.unvouched,
        "newest_vote": format_instant(votes.time_ms),
    }
