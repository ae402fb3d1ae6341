"""`iamata emergency`: break the glass, and answer for it."""

from pathlib import Path
from typing import Annotated, Final

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import open_new, read_text
from iamata.cli.options import CustodianOption, ForOption, WalletOption
from iamata.cli.output import ask, show, spell_table
from iamata.cli.parties import choose_member, read_id
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, open_place
from iamata.engines.embedded.engine import read_clock_ms
from iamata.fhir.demographics import spell_demographics
from iamata.ledger.entries import OwnerKind, ReviewOutcome
from iamata.ledger.events import EmergencyDeclared, EmergencyPostedLate
from iamata.ledger.tables import EMERGENCIES
from iamata.model.ids import AccessId, PatientId, PersonId
from iamata.model.instants import MS_PER_MINUTE, Instant, format_instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node.identities import sign_as
from iamata.node.places import Place
from iamata.node.words import read_day, read_member
from iamata.stores.wallets import load_wallet
from iamata.workflows import emergencies
from iamata.workflows.author import NO_FINALITY, Author
from iamata.workflows.wallets import Identity

SEARCH_MINUTES: int = 5
GLASS_MINUTES: int = 60
GLASS_MINUTES_MAX: int = 24 * 60

LATE: Final = (
    "The ledger does not know it yet. The custodian tries to tell it, and else releases on your signature;",
    "it posts what left, marked late, as soon as the ledger answers. You answer for it as for any other.",
)
INSTEAD: Final = (
    "if a life cannot wait, declare it with --without-ledger --to FILE; if this one becomes final after "
    "all, both are reviewed"
)

app = make_noun("Breaking the glass, in the open.")

ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--reason", metavar="TEXT", help="Why, in 12 letters or more, or @FILE; asked for if left out."
    ),
]

FamilyOption = Annotated[
    str | None, typer.Option("--family", metavar="NAME", help="The family name, exactly; or you are asked.")
]
GivenOption = Annotated[
    str | None, typer.Option("--given", metavar="NAME", help="The first given name; or you are asked.")
]
BornOption = Annotated[
    str | None,
    typer.Option("--born", metavar="DAY", help="The day of birth, YYYY-MM-DD; or you are asked."),
]


MinutesOption = Annotated[
    int, typer.Option("--minutes", metavar="MINUTES", min=1, max=GLASS_MINUTES_MAX, help="How long.")
]
WithoutOption = Annotated[
    bool,
    typer.Option("--without-ledger", help="The ledger does not answer: sign, and let it be told later."),
]
DeclarationOption = Annotated[
    Path | None,
    typer.Option("--to", metavar="FILE", help="Without the ledger: write what you sign to this new file."),
]


@verb(app, "declare")
def declare(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    custodian: CustodianOption,
    family: FamilyOption = None,
    given: GivenOption = None,
    born: BornOption = None,
    reason: ReasonOption = None,
    member: ForOption = None,
    minutes: MinutesOption = GLASS_MINUTES,
    without_ledger: WithoutOption = False,
    to: DeclarationOption = None,
) -> None:
    """Find one patient by exact name and day of birth, and break the glass with your own signature."""
    require(
        (to is not None) == without_ledger, Reason.INPUT_INVALID, "--without-ledger and --to go together"
    )
    spelled = (
        ask("Family name", family, option="--family"),
        ask("First given name", given, option="--given"),
        ask("Day of birth", born, option="--born"),
    )
    why = read_reason(reason)
    read_day(spelled[2])
    with open_place(home, node, wallet) as opened, open_new(to) as file:
        held = load_wallet(wallet)
        chosen = choose_member(opened, held, member, kind=OwnerKind.PERSON)
        identity, author = sign_as(opened, held, chosen)
        patient = search(opened, author, identity.id, custodian=custodian, spelled=spelled, reason=why)
        span_ms = minutes * MS_PER_MINUTE
        if file is None:
            declared = declare_on_ledger(author, patient, reason=why, span_ms=span_ms)
        else:
            declared = emergencies.declare_late(
                author, custodian=read_member(custodian), patient=patient, reason=why, duration_ms=span_ms
            )
            file.write(f"{declared.declaration}\n")
    show_declared(declared, identity, custodian=custodian, minutes=minutes, wallet=wallet, to=to)


def show_declared(
    declared: emergencies.Declared,
    identity: Identity,
    *,
    custodian: str,
    minutes: int,
    wallet: Path,
    to: Path | None,
) -> None:
    """Say what holds now, who will judge it, and how to read."""
    pointer = f"--emergency {declared.emergency}" if to is None else f"--declaration @{to}"
    show(
        {"emergency": declared.emergency, "person": identity.id, "minutes": minutes}
        | ({} if to is None else {"file": str(to)}),
        [
            f"Emergency {declared.emergency} holds for {minutes} minutes; {custodian} will review it.",
            *(LATE if to is not None else ()),
            f"Read with: iamata access ask --member {identity.member} --person {wallet} {pointer}",
        ],
    )


def declare_on_ledger(
    author: Author, patient: PatientId, *, reason: str, span_ms: int
) -> emergencies.Declared:
    """Declare in the open; where the ledger gives no finality, say what there is instead."""
    try:
        return emergencies.declare(author, patient=patient, reason=reason, duration_ms=span_ms)
    except Refused as refused:
        if refused.reason in NO_FINALITY:
            raise Refused(refused.reason, f"{refused.detail}; {INSTEAD}".removeprefix("; ")) from refused
        raise


@verb(app, "list")
def list_(*, home: PlaceOption = None, node: NodeOption = None, wallet: KeyOption = None) -> None:
    """List the emergencies that were declared, and what their reviews found."""
    with open_place(home, node, wallet) as opened:
        rows = list_emergencies(opened)
    table = [tuple(map(str, row.values())) for row in rows]
    columns = ("emergency", "declared by", "custodian", "ends", "declared", "review")
    show({"emergencies": rows}, spell_table(columns, table))


@verb(app, "review")
def review(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    emergency: Annotated[str, typer.Option("--emergency", metavar="ID", help="The emergency.")],
    outcome: Annotated[str, typer.Option("--outcome", metavar="OUTCOME", help="justified or unjustified")],
    reason: ReasonOption = None,
    member: ForOption = None,
) -> None:
    """Judge a broken glass; never one of your own member's."""
    is_outcome = outcome in list(ReviewOutcome)
    require(is_outcome, Reason.INPUT_INVALID, f"an outcome is one of {', '.join(ReviewOutcome)}")
    why = read_reason(reason)
    with open_place(home, node, wallet) as opened:
        held = load_wallet(wallet)
        chosen = choose_member(opened, held, member, kind=OwnerKind.PERSON)
        _, author = sign_as(opened, held, chosen)
        emergencies.review(author, read_id(emergency, AccessId), ReviewOutcome(outcome), reason=why)
    show({"emergency": emergency, "outcome": outcome}, [f"Emergency {emergency} was found {outcome}."])


def read_reason(given: str | None) -> str:
    """Return the reason that was given, lies in a file, or is asked for."""
    return read_text(ask("Reason", given, option="--reason"))


def search(
    place: Place, author: Author, person: str, *, custodian: str, spelled: tuple[str, str, str], reason: str
) -> PatientId:
    """Ask a custodian for one patient by name and day of birth; it is journalled there."""
    keeper = read_member(custodian)
    signed = author.state(
        emergencies.EmergencySearch,
        custodian=keeper,
        person=PersonId(person),
        demographics=spell_demographics(*spelled),
        reason=reason,
        expires_ms=Instant(read_clock_ms() + SEARCH_MINUTES * MS_PER_MINUTE),
    )
    return place.find_in_emergency(keeper, signed.text)


def list_emergencies(place: Place) -> list[dict[str, str]]:
    """Read the emergencies from the log and the state."""
    view = place.engine.snapshot()
    declared = [
        leaf.event.emergency
        for _, leaf in place.engine.events(0)
        if isinstance(leaf.event, EmergencyDeclared | EmergencyPostedLate)
    ]
    return [
        {
            "emergency": emergency,
            "member": entry.member,
            "custodian": entry.custodian,
            "until": format_instant(entry.until_ms),
            "declared": "on the ledger" if entry.declared_ms is None else "late",
            "review": str(entry.outcome or f"due by {format_instant(entry.review_until_ms)}"),
        }
        for emergency in dict.fromkeys(declared)
        if (entry := EMERGENCIES.find(view, emergency)) is not None
    ]
