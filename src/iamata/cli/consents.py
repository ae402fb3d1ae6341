"""`iamata wallet grant` and its kin: a patient decides, after reading in plain words what is signed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from iamata.cli.commands import verb
from iamata.cli.memberships import spell_use
from iamata.cli.options import (
    AtOption,
    ConsentOption,
    CustodiansOption,
    EverywhereOption,
    WalletOption,
    YesOption,
)
from iamata.cli.outbox import NowOption, decide, document_outcomes, spell_outcomes, warn_of_haste
from iamata.cli.output import confirm, say, show
from iamata.cli.parties import choose_member, choose_members, read_id
from iamata.cli.places import NodeOption, PlaceOption, open_place
from iamata.cli.wording import (
    DAYS,
    ExceptOption,
    LabelsOption,
    PurposesOption,
    RecipientsOption,
    read_terms_file,
    write_denial,
    write_permit,
)
from iamata.consent.terms import Ruling
from iamata.consent.wording import describe
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import ConsentStatus, OwnerKind
from iamata.model.ids import ConsentId, MemberId
from iamata.model.instants import Day, compute_day, format_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node import custodial, wallets
from iamata.node.memberships import Departure, find_departure
from iamata.node.outbox import Outcome, settle
from iamata.node.places import Place
from iamata.node.words import read_day
from iamata.stores.wallets import load_wallet
from iamata.workflows.outbox import ConfirmAct, GrantAct

UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="DAY", help="The last day, YYYY-MM-DD; otherwise in a year."),
]
FromOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Take the terms from this FHIR Consent (IHE PCF)."),
]
ReplacesOption = Annotated[
    str | None, typer.Option("--replaces", metavar="ID", help="The consent that this one replaces.")
]
IN_A_DATASET: str = "If a study's dataset has your row"
IN_A_DATASET_OF_IT: str = f"{IN_A_DATASET}, and the study asks for anything that you deny now"


def add_to(app: typer.Typer) -> None:
    """Add the decisions to the wallet's commands."""
    verb(app, "grant")(grant)
    verb(app, "restrict")(restrict)
    verb(app, "lift")(lift)
    verb(app, "confirm")(confirm_consent)
    verb(app, "withdraw")(withdraw)


def grant(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    custodian: CustodiansOption = None,
    recipients: RecipientsOption = None,
    purposes: PurposesOption = None,
    labels: LabelsOption = None,
    except_labels: ExceptOption = None,
    until: UntilOption = None,
    source: FromOption = None,
    replaces: ReplacesOption = None,
    everywhere: EverywhereOption = False,
    now: NowOption = False,
    yes: YesOption = False,
) -> None:
    """Let somebody use your records. What you sign is said in plain words first."""
    until_day = None if until is None else read_day(until)
    if source is None:
        terms = write_permit(recipients, purposes, labels, except_labels, until_day=until_day)
    else:
        is_alone = not any((recipients, purposes, labels, except_labels))
        require(is_alone, Reason.INPUT_INVALID, "--from brings its own recipients, purposes and labels")
        terms = read_terms_file(source)
        require(terms.decision is Ruling.PERMIT, Reason.INPUT_INVALID, "a denial is no grant")
    last_day = until_day or terms.validity.last or Day(compute_day(read_clock_ms()) + DAYS)
    for line in describe(terms):
        say(line)
    confirm("Sign this?", is_agreed=yes)
    replaced = None if replaces is None else read_id(replaces, ConsentId)
    with open_place(home, node, wallet) as opened:
        members = choose_members(opened, load_wallet(wallet), custodian, is_everywhere=everywhere)
        granted = wallets.prepare_grants(
            opened, wallet, members=members, terms=terms, until_day=last_day, replaces=replaced
        )
        outcomes = decide(opened, wallet, granted, is_now=now)
    show_granted(granted, outcomes)


def show_granted(granted: Sequence[tuple[MemberId, GrantAct]], outcomes: list[Outcome]) -> None:
    """Say which consents bind, and which wait; raise the first refusal among them."""
    consents = {member: act.consent for member, act in granted}
    first, act = granted[0]
    show(
        {
            "consent": act.consent,
            "custodian": first,
            "until": format_day(act.last_day),
            "terms": describe(act.terms),
            "acts": document_outcomes(outcomes),
        },
        [
            *spell_outcomes(
                outcomes, lambda one: f"Signed: consent {consents[one.member]} binds {one.member}."
            ),
            "Undo it at any time with: iamata wallet withdraw",
        ],
    )
    settle(outcomes)


def restrict(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    consent: ConsentOption = None,
    recipients: RecipientsOption = None,
    purposes: PurposesOption = None,
    labels: LabelsOption = None,
    yes: YesOption = False,
) -> None:
    """Narrow a consent: deny what it permits to somebody, for something, or of something."""
    terms = write_denial(recipients, purposes, labels)
    words = describe(terms)
    for line in words:
        say(line)
    confirm("Sign this? You can undo it only with a new grant.", is_agreed=yes)
    with open_place(home, node, wallet) as opened:
        chosen = choose_consent(opened, wallet, consent)
        linked = wallets.restrict(opened, wallet, consent=chosen, terms=terms)
        departure = ask_departure(opened, chosen)
    said = f"Consent {chosen} is narrower from this moment on."
    show(
        {"consent": chosen, "terms": words} | describe_departure(departure),
        [said, *spell_departure(departure, IN_A_DATASET_OF_IT), *warn_of_haste(linked)],
    )


def lift(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    consent: ConsentOption = None,
    now: NowOption = False,
) -> None:
    """Undo what the custodian has narrowed on your behalf; what you narrowed yourself needs a new grant."""
    with open_place(home, node, wallet) as opened:
        chosen = choose_consent(opened, wallet, consent)
        member, act = wallets.prepare_lift(opened, wallet, consent=chosen)
        outcomes = decide(opened, wallet, [(member, act)], is_now=now)
    lifted = len(act.restrictions)
    said = f"Consent {chosen} says again what you signed; restrictions lifted: {lifted}."
    show(
        {"consent": chosen, "lifted": lifted, "acts": document_outcomes(outcomes)},
        spell_outcomes(outcomes, lambda _: said),
    )


def confirm_consent(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    custodian: AtOption = None,
    now: NowOption = False,
    yes: YesOption = False,
) -> None:
    """Stand by what the custodian signed for you before you had a key; the rest will lapse."""
    with open_place(home, node, wallet) as opened:
        member = choose_member(opened, load_wallet(wallet), custodian, kind=OwnerKind.PATIENT)
        unconfirmed = custodial.list_unconfirmed(opened, wallet, member=member)
        require(bool(unconfirmed), Reason.CONSENT_NOT_CUSTODIAL, "nothing waits for you")
        outcomes = []
        for kept in unconfirmed:
            for line in describe(kept.terms):
                say(line)
            confirm("Make this consent your own?", is_agreed=yes)
            outcomes += decide(opened, wallet, [(member, ConfirmAct(kept=kept))], is_now=now)
    names = {outcome.waiting.id: kept.consent for outcome, kept in zip(outcomes, unconfirmed, strict=True)}
    show(
        {"confirmed": list(names.values()), "acts": document_outcomes(outcomes)},
        spell_outcomes(outcomes, lambda one: f"Consent {names[one.id]} is your own now."),
    )


def withdraw(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    consent: ConsentOption = None,
) -> None:
    """End a consent. It takes effect at once, and nobody can refuse it."""
    with open_place(home, node, wallet) as opened:
        chosen = choose_consent(opened, wallet, consent)
        linked = wallets.withdraw(opened, wallet, consent=chosen)
        departure = ask_departure(opened, chosen)
    said = f"Consent {chosen} is withdrawn: nobody is shown anything on it from now on."
    show(
        {"consent": chosen} | describe_departure(departure),
        [said, *spell_departure(departure, IN_A_DATASET), *warn_of_haste(linked)],
    )


def ask_departure(place: Place, consent: ConsentId) -> Departure | None:
    """Find how a row leaves its custodian's datasets; nothing here undoes the decision."""
    try:
        return find_departure(place, consent)
    except Refused:
        return None


def describe_departure(departure: Departure | None) -> dict[str, Any]:
    """Describe by which day a row is out of its custodian's datasets, if in one."""
    return {
        "leaves_datasets_by": format_day(compute_day(departure.until_ms)) if departure else "",
        "is_row_used": departure is not None and departure.is_used,
    }


def spell_departure(departure: Departure | None, condition: str) -> list[str]:
    """Say what becomes of a row that a study learns from, and on which condition."""
    if departure is None:
        return []
    until = format_day(compute_day(departure.until_ms))
    together = f"{condition} (iamata wallet studies), you leave together with others"
    return [f"{together}, by {until} at the latest; {spell_use(is_used=departure.is_used)}"]


def choose_consent(place: Place, wallet: Path, text: str | None) -> ConsentId:
    """Return the consent that a command names, or the wallet's only one that is in force."""
    if text is not None:
        return read_id(text, ConsentId)
    active = [
        kept.consent
        for kept, entry in wallets.list_consents(place, wallet)
        if entry.status is ConsentStatus.ACTIVE
    ]
    require(bool(active), Reason.UNKNOWN_CONSENT, "this wallet has no consent in force")
    require(len(active) == 1, Reason.INPUT_INVALID, f"say which with --consent: {', '.join(active)}")
    return active[0]
