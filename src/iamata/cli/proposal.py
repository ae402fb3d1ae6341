"""`iamata proposal`: what the members decide together, each by an administrator's own signature."""

import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import ForOption, WalletOption
from iamata.cli.output import show, spell_table
from iamata.cli.parties import choose_member, read_id
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, open_place
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import OwnerKind
from iamata.ledger.events import ProposalOpened
from iamata.ledger.rules import NEWEST, RULES
from iamata.ledger.tables import PROPOSALS
from iamata.ledger.transactions.proposals import (
    Action,
    AdmitMember,
    CastVote,
    OpenProposal,
    ReinstateMember,
    RestorePrivilege,
    SetValidator,
    SuspendMember,
    UpgradeRules,
)
from iamata.model.ids import DIGEST_PATTERN, KeyId, PersonId, ProposalId
from iamata.model.instants import Day, compute_day, format_day
from iamata.model.reasons import Reason, require
from iamata.node.identities import sign_as
from iamata.node.places import Place
from iamata.node.words import read_member
from iamata.stores.wallets import load_wallet
from iamata.workflows.author import Author

DAYS: int = 14
DAYS_MAX: int = 366
DIGITS_MAX: int = 15

app = make_noun("What the members decide together.")


AdmitOption = Annotated[str | None, typer.Option("--admit", metavar="ID", help="Admit who has applied.")]
SuspendOption = Annotated[str | None, typer.Option("--suspend", metavar="ID", help="Suspend a member.")]
ReinstateOption = Annotated[
    str | None, typer.Option("--reinstate", metavar="ID", help="Reinstate a suspended member.")
]
RestoreOption = Annotated[
    str | None, typer.Option("--restore", metavar="ID", help="Let a person break the glass again.")
]
ValidatorOption = Annotated[
    str | None,
    typer.Option(
        "--validator",
        metavar="ID:KEY:WEIGHT",
        help="Let a member order blocks with this key and weight, or with weight 0 no more.",
    ),
]
UpgradeOption = Annotated[
    str | None,
    typer.Option("--upgrade", metavar="VERSION:HEIGHT", help="Let other rules hold from a block on."),
]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=DAYS_MAX, help="For how long it is open.")]


@verb(app, "open")
def open_(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    member: ForOption = None,
    admit: AdmitOption = None,
    suspend: SuspendOption = None,
    reinstate: ReinstateOption = None,
    restore: RestoreOption = None,
    validator: ValidatorOption = None,
    upgrade: UpgradeOption = None,
    days: DaysOption = DAYS,
) -> None:
    """Ask the members to decide; opening counts as your member's approval."""
    wanted = {
        "admit": admit,
        "suspend": suspend,
        "reinstate": reinstate,
        "restore": restore,
        "validator": validator,
        "upgrade": upgrade,
    }
    kind, subject = choose_one(wanted)
    with open_place(home, node, wallet) as opened:
        author = sign_for(opened, wallet, member)
        proposal = ProposalId(author.make_id())
        until_day = Day(compute_day(read_clock_ms()) + days)
        author.submit(
            OpenProposal, proposal=proposal, action=read_action(kind, subject), until_day=until_day
        )
        row = describe_proposal(opened, proposal)
    show(
        row,
        [
            f"Proposal {proposal}: {spell_state(row)}.",
            "Others vote with: iamata proposal vote --proposal …",
        ],
    )


@verb(app, "vote")
def vote(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    proposal: Annotated[str, typer.Option("--proposal", metavar="ID", help="The proposal.")],
    approve: Annotated[bool, typer.Option("--approve/--reject", help="Your member's vote.")],
    member: ForOption = None,
) -> None:
    """Vote on behalf of your member; the vote that decides carries the proposal out."""
    chosen = read_id(proposal, ProposalId)
    with open_place(home, node, wallet) as opened:
        action = describe_proposal(opened, chosen).get("action", {})
        if approve and "version" in action:
            check_rules_known(action["version"])
        sign_for(opened, wallet, member).submit(CastVote, proposal=chosen, is_approval=approve)
        row = describe_proposal(opened, chosen)
    show(row, [f"Proposal {proposal}: {spell_state(row)}."])


@verb(app, "list")
def list_(*, home: PlaceOption = None, node: NodeOption = None, wallet: KeyOption = None) -> None:
    """List the proposals that were opened, and where they stand."""
    with open_place(home, node, wallet) as opened:
        rows = [
            describe_proposal(opened, leaf.event.proposal)
            for _, leaf in opened.engine.events(0)
            if isinstance(leaf.event, ProposalOpened)
        ]
    table = [
        (
            row["proposal"],
            row["action"]["type"],
            str([*row["action"].values()][-1]),
            row["until"],
            spell_state(row),
        )
        for row in rows
    ]
    show({"proposals": rows}, spell_table(("proposal", "what", "whom", "until", "votes"), table))


def choose_one(wanted: dict[str, str | None]) -> tuple[str, str]:
    """Return the one thing that was asked for, or say what could be."""
    said = [(kind, subject) for kind, subject in wanted.items() if subject is not None]
    names = ", ".join(f"--{kind}" for kind in wanted)
    require(len(said) == 1, Reason.INPUT_INVALID, f"say one of {names}")
    return said[0]


def sign_for(place: Place, wallet: Path, member: str | None) -> Author:
    """Return the author that signs for a wallet's person."""
    held = load_wallet(wallet)
    chosen = choose_member(place, held, member, kind=OwnerKind.PERSON)
    return sign_as(place, held, chosen)[1]


def read_action(kind: str, subject: str) -> Action:
    """Put an option into the ledger's words."""
    if kind == "restore":
        return RestorePrivilege(person=read_id(subject, PersonId))
    if kind == "validator":
        return read_validator(subject)
    if kind == "upgrade":
        version, _, height = subject.partition(":")
        number = read_number(version)
        check_rules_known(number)
        return UpgradeRules(version=number, height=read_number(height))
    member = read_member(subject)
    if kind == "admit":
        return AdmitMember(member=member)
    return SuspendMember(member=member) if kind == "suspend" else ReinstateMember(member=member)


def check_rules_known(version: int) -> None:
    """Refuse to ask for rules that this program lacks: from then on it could not even read the ledger.

    What the members agreed on cannot be taken back, so a slip of a finger would end the network.
    """
    known = f"this program knows rules up to {NEWEST}: decide with the newer one"
    require(version in RULES, Reason.RULES_UNKNOWN, known)


def read_validator(subject: str) -> SetValidator:
    """Read id:key:weight."""
    member, _, rest = subject.partition(":")
    key, _, weight = rest.partition(":")
    return SetValidator(member=read_member(member), key=read_key(key), power=read_number(weight))


def read_key(text: str) -> KeyId:
    """Read a key's id."""
    is_key = re.match(DIGEST_PATTERN, text) is not None
    require(is_key, Reason.INPUT_INVALID, f"{text!a} is no key: 43 characters")
    return KeyId(text)


def read_number(text: str) -> int:
    """Read a number without a sign."""
    is_number = text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX
    require(is_number, Reason.INPUT_INVALID, f"{text!a} is no number")
    return int(text)


def describe_proposal(place: Place, proposal: ProposalId) -> dict[str, Any]:
    """Describe where a proposal stands."""
    tally = PROPOSALS.find(place.engine.snapshot(), proposal)
    if tally is None:
        return {"proposal": proposal}
    return {
        "proposal": proposal,
        "action": msgspec.json.decode(tally.action),
        "until": format_day(tally.until_day),
        "approvals": list(tally.approvals),
        "rejections": list(tally.rejections),
        "is_closed": tally.is_closed,
    }


def spell_state(row: dict[str, Any]) -> str:
    """Say where a proposal stands."""
    state = "decided" if row["is_closed"] else "open"
    return f"{state}, {len(row['approvals'])} for, {len(row['rejections'])} against"
