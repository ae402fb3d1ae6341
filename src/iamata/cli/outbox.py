"""`iamata wallet outbox` and `send`: what waits for its time, and how every act says what became of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from iamata.cli.commands import verb
from iamata.cli.options import WalletOption
from iamata.cli.output import note, show
from iamata.cli.parties import read_id
from iamata.cli.places import NodeOption, PlaceOption, open_place
from iamata.model.ids import MemberId
from iamata.model.instants import format_instant
from iamata.model.reasons import Reason
from iamata.node import outbox as outboxes
from iamata.node.outbox import Outcome
from iamata.node.places import Place
from iamata.stores.outboxes import load_outbox
from iamata.stores.wallets import load_wallet
from iamata.wire.sentences import get_sentence
from iamata.workflows.outbox import (
    Act,
    ActId,
    AddDeviceAct,
    ConfirmAct,
    EnrolAct,
    GrantAct,
    Waiting,
    list_due,
    list_siblings,
)

NowOption = Annotated[
    bool,
    typer.Option("--now", help="Do not wait, though your pseudonyms may then be told to be one patient's."),
]

WHY_IT_WAITS: Final = (
    "It waits so that the ledger does not show that your pseudonyms at several custodians are one patient."
)
HOW_IT_GOES: Final = (
    "`iamata wallet send` sends what is due, best from cron every minute; "
    "`iamata wallet outbox` lists what waits."
)


def add_to(app: typer.Typer) -> None:
    """Add the commands about the outbox to the wallet's."""
    verb(app, "outbox")(list_outbox)
    verb(app, "send")(send)


def list_outbox(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    cancel: Annotated[
        list[str] | None,
        typer.Option("--cancel", metavar="ID", help="Call this off; may be repeated."),
    ] = None,
) -> None:
    """List what you have decided and what waits for its time; call off what you no longer want."""
    load_wallet(wallet)
    chosen = [read_id(text, ActId) for text in cancel or ()]
    called_off = []
    if chosen:
        with open_place(home, node, wallet) as opened:
            called_off = [outboxes.call_off(opened, wallet, act) for act in chosen]
    waiting = load_outbox(wallet).waiting
    show(
        {
            "waiting": [document_waiting(one) for one in waiting],
            "called_off": [document_waiting(one) for one in called_off],
        },
        [
            *(f"Called off: {spell_act(one.act)} at {one.member}." for one in called_off),
            *(spell_waiting(one) for one in waiting),
            *([] if waiting else ["Nothing waits."]),
        ],
    )


def send(*, home: PlaceOption = None, node: NodeOption = None, wallet: WalletOption) -> None:
    """Send what is due. Run it as often as you like: nothing is sent twice, and nothing is lost."""
    load_wallet(wallet)
    with open_place(home, node, wallet) as opened:
        outcomes = outboxes.send_due(opened, wallet)
        network, now_ms = opened.engine.network, opened.clock()
    box = load_outbox(wallet)
    later = [one for one in box.waiting if one.network == network and not one.refused]
    left = f"Waiting: {len(later)}"
    if later and not list_due(box, network=network, now_ms=now_ms):
        left += f"; the next goes {spell_time(min(one.due_ms for one in later))}"
    show(
        {"acts": document_outcomes(outcomes), "waiting": len(later)},
        [*map(spell_sent, outcomes), f"{left}."],
    )
    outboxes.settle(outcomes)


def decide(
    place: Place,
    wallet: Path,
    decided: Sequence[tuple[MemberId, Act]],
    *,
    is_now: bool,
) -> list[Outcome]:
    """Take in what was decided, and warn of what it does not reach or gives away.

    Where all of it is refused, the refusal is raised; where a part is, the caller says which.
    """
    members, box = tuple(dict.fromkeys(member for member, _ in decided)), load_outbox(wallet)
    for one in box.waiting:
        if isinstance(one.act, EnrolAct) and not isinstance(decided[0][1], EnrolAct):
            note(f"Your key for {one.member} waits in the outbox: this does not reach {one.member}.")
    linked = list_siblings(box, members, now_ms=place.clock())
    if is_now and linked:
        note(warn_of_linking("You asked not to wait", linked))
    outcomes = outboxes.decide(place, wallet, decided, is_now=is_now)
    if all(one.refused for one in outcomes):
        outboxes.settle(outcomes)
    return outcomes


def spell_outcomes(outcomes: Sequence[Outcome], say_sent: Callable[[Waiting], str]) -> list[str]:
    """Say of each act whether it was sent or waits, and once why and how it goes."""
    lines = [say_sent(one.waiting) if one.is_sent else spell_unsent(one) for one in outcomes]
    waits = [one for one in outcomes if not one.is_sent and one.refused is None]
    is_spread = any(not one.is_elsewhere for one in waits)
    return [*lines, *([WHY_IT_WAITS] if is_spread else []), *([HOW_IT_GOES] if waits else [])]


def spell_unsent(outcome: Outcome) -> str:
    """Say until when an act waits, or why it was refused."""
    one = outcome.waiting
    if outcome.refused is not None:
        return f"Refused at {one.member}: {spell_act(one.act)}. {get_sentence(outcome.refused.reason)}"
    here = (
        " It goes at that custodian's own home or node, and not from here." if outcome.is_elsewhere else ""
    )
    return f"Not sent yet: {spell_act(one.act)} goes to {one.member} {spell_time(one.due_ms)}.{here}"


def spell_sent(outcome: Outcome) -> str:
    """Say what `send` did with an act."""
    one = outcome.waiting
    if outcome.is_sent:
        return f"Sent to {one.member}: {spell_act(one.act)}."
    if outcome.refused is not None or outcome.is_elsewhere:
        return spell_unsent(outcome)
    return f"Put off, as something went elsewhere just now: {spell_unsent(outcome)}"


def spell_waiting(one: Waiting) -> str:
    """Say what waits, and until when."""
    what = f"{one.id}  {spell_act(one.act)} at {one.member}"
    if one.refused:
        return f"{what}: refused, and not sent again. {get_sentence(Reason(one.refused))}"
    return f"{what}: goes {spell_time(one.due_ms)}"


def spell_act(act: Act) -> str:
    """Name what an act does."""
    if isinstance(act, GrantAct):
        return f"consent {act.consent}"
    if isinstance(act, EnrolAct):
        return f"your own key as {act.identity.id}"
    if isinstance(act, AddDeviceAct):
        return f"a key for the device {act.folder}"
    if isinstance(act, ConfirmAct):
        return f"your word for consent {act.kept.consent}"
    return f"the lifting of what narrows consent {act.consent}"


def spell_time(due_ms: int) -> str:
    """Write when, to the minute."""
    day, _, time = format_instant(due_ms).partition("T")
    return f"on {day} at {time[:5]} UTC"


def warn_of_linking(why: str, linked: Sequence[MemberId]) -> str:
    """Say what an instant gives away."""
    return (
        f"{why}: whoever holds the ledger sees what happened at {', '.join(linked)} at about one time, "
        "and may take your pseudonyms there for one patient. This cannot be taken back."
    )


def warn_of_haste(linked: Sequence[MemberId]) -> list[str]:
    """Say what it gives away that what protects never waits, where it gives something away."""
    return [warn_of_linking("It went at once, as what protects you must", linked)] if linked else []


def document_outcomes(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    """Describe what became of acts, for machines."""
    return [
        document_waiting(one.waiting)
        | {
            "is_sent": one.is_sent,
            "is_elsewhere": one.is_elsewhere,
            "refused": "" if one.refused is None else one.refused.reason.name,
        }
        for one in outcomes
    ]


def document_waiting(one: Waiting) -> dict[str, object]:
    """Describe what waits, for machines."""
    return {
        "act": one.id,
        "custodian": one.member,
        "due": format_instant(one.due_ms),
        "what": spell_act(one.act),
        "refused": Reason(one.refused).name if one.refused else "",
    }
