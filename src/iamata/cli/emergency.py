"""`iamata emergency`: break the glass, and answer for it."""

from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import CustodianOption, HomeOption, WalletOption
from iamata.cli.output import show
from iamata.engines.embedded.engine import read_clock_ms
from iamata.fhir.demographics import spell_demographics
from iamata.ledger.entries import ReviewOutcome
from iamata.model.ids import AccessId, MemberId, PersonId
from iamata.model.instants import MS_PER_MINUTE, Instant
from iamata.model.reasons import Reason, Refused
from iamata.node import wallets
from iamata.node.home import open_home
from iamata.stores.wallets import load_wallet
from iamata.workflows import emergencies

SEARCH_MINUTES: int = 5
GLASS_MINUTES: int = 60
GLASS_MINUTES_MAX: int = 24 * 60

app = make_noun("Breaking the glass, in the open.")

ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in a sentence; the patient will read it.")]


@verb(app, "declare")
def declare(  # noqa: PLR0913  who, whom, why
    home: HomeOption,
    wallet: WalletOption,
    member: Annotated[str, typer.Option("--member", help="The member for which the person acts.")],
    custodian: CustodianOption,
    family: Annotated[str, typer.Option("--family", help="The patient's family name, exactly.")],
    given: Annotated[str, typer.Option("--given", help="The patient's first given name, exactly.")],
    born: Annotated[str, typer.Option("--born", help="The patient's day of birth, YYYY-MM-DD.")],
    reason: ReasonOption,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=GLASS_MINUTES_MAX)] = GLASS_MINUTES,
) -> None:
    """Find one patient by exact name and day of birth, and break the glass with your own signature."""
    with open_home(home) as opened:
        identity, author = wallets.sign_as(opened, load_wallet(wallet), member)
        search = author.state(
            emergencies.EmergencySearch,
            custodian=MemberId(custodian),
            person=PersonId(identity.id),
            demographics=spell_demographics(family, given, born),
            reason=reason,
            expires_ms=Instant(read_clock_ms() + SEARCH_MINUTES * MS_PER_MINUTE),
        )
        patient = emergencies.find_in_emergency(opened.get_office(custodian), search.text)
        declared = emergencies.declare(
            author, patient=patient, reason=reason, duration_ms=minutes * MS_PER_MINUTE
        )
    show(
        {"emergency": declared.emergency, "person": identity.id, "minutes": minutes},
        [
            f"Emergency {declared.emergency} is declared for {minutes} minutes. The patient is told; it will be reviewed.",
            f"Read with: iamata access ask --purpose BTG --emergency {declared.emergency} --person {identity.id} …",
        ],
    )


@verb(app, "review")
def review(
    home: HomeOption,
    wallet: WalletOption,
    member: Annotated[str, typer.Option("--member", help="The member for which the reviewer acts.")],
    emergency: Annotated[str, typer.Option("--emergency", help="The emergency, by id.")],
    outcome: Annotated[str, typer.Option("--outcome", help="justified or unjustified")],
    reason: ReasonOption,
) -> None:
    """Judge a broken glass; never one of your own member's."""
    if outcome not in list(ReviewOutcome):
        raise Refused(Reason.INPUT_INVALID, f"an outcome is one of {', '.join(ReviewOutcome)}")
    with open_home(home) as opened:
        _, author = wallets.sign_as(opened, load_wallet(wallet), member)
        emergencies.review(author, AccessId(emergency), ReviewOutcome(outcome), reason=reason)
    show({"emergency": emergency, "outcome": outcome}, [f"Emergency {emergency} was found {outcome}."])
