"""`iamata wallet`: the patient's side. Keys, share codes, and the joined list of who looked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import open_new, read_text
from iamata.cli.learning import tell_time
from iamata.cli.options import AtOption, WalletOption
from iamata.cli.outbox import NowOption, decide, document_outcomes, spell_outcomes
from iamata.cli.output import show
from iamata.cli.parties import choose_member, get_member, read_patient
from iamata.cli.places import NodeOption, PlaceOption, get_home, open_place
from iamata.cli.uses import describe_uses, spell_used
from iamata.cli.wording import spell_fhir
from iamata.consent.purposes import PLAIN_WORDS
from iamata.consent.wording import describe
from iamata.ledger.entries import Consent, ConsentStatus, OwnerKind
from iamata.model.ids import PatientId
from iamata.model.instants import MS_PER_SECOND, Day, compute_day, format_day, format_instant
from iamata.model.reasons import Reason, Refused, require
from iamata.node import wallets
from iamata.node.following import follow_at_node, follow_in_home
from iamata.node.identities import open_or_create
from iamata.node.outbox import Outcome
from iamata.stores.private_files import hold_folder
from iamata.stores.wallets import create_wallet, load_wallet
from iamata.workflows.accesses import CheckedAccess
from iamata.workflows.enrolments import read_enrolment_code
from iamata.workflows.outbox import EnrolAct
from iamata.workflows.share_codes import shorten
from iamata.workflows.wallets import Identity, KeptTerms, find_identity

SHARE_MINUTES: int = 60
SHARE_MINUTES_MAX: int = 7 * 24 * 60

FhirOption = Annotated[
    bool, typer.Option("--fhir", help="Print the active consents as FHIR Consents, one a line.")
]

app = make_noun("A patient's keys and decisions.")


@verb(app, "create")
def create(wallet: WalletOption) -> None:
    """Make an empty wallet. Enrolling makes one too."""
    create_wallet(wallet)
    show({"wallet": str(wallet)}, [f"Made a wallet in {wallet}; only you can read it. Keep a copy."])


@verb(app, "follow")
def follow(*, home: PlaceOption = None, node: NodeOption = None, wallet: WalletOption) -> None:
    """Let a wallet follow a network that goes on as another, once it is proven that its members agreed."""
    with hold_folder(wallet):
        if node is not None:
            followed = follow_at_node(node, wallet)
        elif home is not None:
            followed = follow_in_home(home, wallet)
        else:
            raise Refused(Reason.INPUT_INVALID, "say where with --home or --node")
    lines = [f"Network {one.before} goes on as {one.after}." for one in followed]
    facts = [{"before": one.before, "after": one.after} for one in followed]
    show(
        {"followed": facts, "wallet": str(wallet)},
        [*lines, "Its keys are the same as before."],
    )


@verb(app, "enrol")
def enrol(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    custodian: AtOption = None,
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="WHO", help="Patient/… in its records; or you are new there."),
    ] = None,
    code: Annotated[
        str | None,
        typer.Option("--code", metavar="CODE", help="The custodian's code, @FILE, or - for the input."),
    ] = None,
    now: NowOption = False,
) -> None:
    """Make a key for one custodian, and let it alone speak for you there; at a node, with its code."""
    if code is not None:
        act, outcomes = enrol_with_code(home, node, wallet, read_text(code), is_now=now)
    else:
        require(node is None, Reason.INPUT_INVALID, "a node wants the code that its staff gave you: --code")
        act, outcomes = enrol_at_home(home, wallet, custodian, patient, is_now=now)
    mine = act.identity
    said = f"At {mine.member} you are {mine.id}. Only {wallet} speaks for you there: keep a copy."
    show(
        {
            "patient": mine.id,
            "custodian": mine.member,
            "wallet": str(wallet),
            "acts": document_outcomes(outcomes),
        },
        spell_outcomes(outcomes, lambda _: said),
    )


def enrol_with_code(
    home: Path | None, node: str | None, wallet: Path, code: str, *, is_now: bool
) -> tuple[EnrolAct, list[Outcome]]:
    """Enrol with a custodian's code, which says whom to trust."""
    invited = read_enrolment_code(code)
    open_or_create(wallet)
    with open_place(home, node, wallet, network=invited.network) as opened:
        act = wallets.prepare_enrolment_with_code(opened, wallet, code)
        return act, decide(opened, wallet, [(act.identity.member, act)], is_now=is_now)


def enrol_at_home(
    home: Path | None, wallet: Path, custodian: str | None, patient: str | None, *, is_now: bool
) -> tuple[EnrolAct, list[Outcome]]:
    """Enrol at the custodian's own home, where its staff stands by."""
    if custodian is None:
        raise Refused(Reason.INPUT_INVALID, "say where with --custodian")
    with open_place(home, None, wallet) as place:
        opened = get_home(place, "enrolling without a code")
        office = opened.get_office(custodian)
        if patient is None:
            pseudonym = PatientId(office.author.make_id())
        else:
            pseudonym = read_patient(opened, patient, member=custodian)
        act = wallets.prepare_enrolment(opened, wallet, member=custodian, patient=pseudonym)
        return act, decide(opened, wallet, [(office.member, act)], is_now=is_now)


@verb(app, "share")
def share(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    recipient: Annotated[
        str, typer.Option("--recipient", metavar="ID", help="The member that may ask with this code.")
    ],
    custodian: AtOption = None,
    minutes: Annotated[
        int,
        typer.Option(
            "--minutes",
            metavar="MINUTES",
            min=1,
            max=SHARE_MINUTES_MAX,
            help="For how long it can be used.",
        ),
    ] = SHARE_MINUTES,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Write the code to this new file, for you alone."),
    ] = None,
) -> None:
    """Write a code by which one member can ask for your records, once. It permits nothing by itself."""
    with open_place(home, node, wallet) as opened, open_new(to) as file:
        member = choose_member(opened, load_wallet(wallet), custodian, kind=OwnerKind.PATIENT)
        asker = get_member(opened, recipient)
        code = shorten(wallets.share(opened, wallet, member=member, recipient=asker, minutes=minutes))
        if file is not None:
            file.write(f"{code}\n")
    facts = {"custodian": member, "recipient": asker, "minutes": minutes}
    if to is None:
        show(facts | {"share": code}, [code])
    else:
        show(facts | {"file": str(to)}, [f"The code for {asker} is in {to}; it works once."])


@verb(app, "accesses")
def list_accesses(*, home: PlaceOption = None, node: NodeOption = None, wallet: WalletOption) -> None:
    """List everyone who looked, at every custodian; each entry is checked against the ledger here."""
    with open_place(home, node, wallet) as opened:
        looked = sorted(wallets.list_accesses(opened, wallet), key=lambda one: one.at_ms)
        uses = describe_uses(opened, looked)
    rows = [
        {
            "time": format_instant(one.at_ms),
            "custodian": one.custodian,
            "recipient": one.recipient,
            "person": one.person,
            "purpose": one.purpose,
            "basis": one.basis,
            "records": one.records,
            "uses": used,
            "is_released": one.is_released,
            "is_confirmed": one.is_confirmed,
            "is_proven": one.is_proven,
            "is_late": one.is_late,
        }
        for one, used in zip(looked, uses, strict=True)
    ]
    proven = sum(one.is_proven for one in looked)
    show(
        {"accesses": rows},
        [
            *map(spell_access, looked, uses),
            f"Accesses: {len(looked)}, of which the ledger proves {proven}.",
        ],
    )


@verb(app, "show")
def show_wallet(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    fhir: FhirOption = False,
) -> None:
    """Say who you are to whom, and what you have consented to; at a node, at its own custodian only."""
    with open_place(home, node, wallet) as opened:
        held, network = load_wallet(wallet), opened.engine.network
        consents, today = wallets.list_consents(opened, wallet), compute_day(tell_time(opened))
    documents = [
        spell_fhir(kept, find_identity(held, member=entry.custodian, network=network))
        for kept, entry in consents
        if entry.status is ConsentStatus.ACTIVE
    ]
    facts = {
        "identities": [{"member": one.member, "id": one.id, "kind": one.kind} for one in held.identities],
        "consents": [document_consent(kept, entry, today=today) for kept, entry in consents],
    }
    if fhir:
        show({"consents": documents}, [msgspec.json.encode(one).decode("utf-8") for one in documents])
    else:
        show(facts, spell_wallet(held.identities, consents, today=today))


def document_consent(kept: KeptTerms, entry: Consent, *, today: Day) -> dict[str, object]:
    """Describe a consent for machines."""
    last = kept.terms.validity.last or kept.until_day
    return {
        "consent": kept.consent,
        "custodian": entry.custodian,
        "status": str(entry.status),
        "is_expired": entry.status is ConsentStatus.ACTIVE and last < today,
        "until": format_day(last),
        "restrictions": len(entry.restrictions),
        "terms": describe(kept.terms),
    }


def spell_wallet(
    identities: tuple[Identity, ...], consents: list[tuple[KeptTerms, Consent]], *, today: Day
) -> list[str]:
    """Describe a wallet for people."""
    lines = [f"To {one.member} you are {one.id}, a {one.kind}." for one in identities]
    for kept, entry in consents:
        row = document_consent(kept, entry, today=today)
        status = "expired: it held" if row["is_expired"] else f"{entry.status},"
        narrower = f", narrowed {len(entry.restrictions)} times" if entry.restrictions else ""
        lines.append(
            f"Consent {kept.consent} at {entry.custodian} is {status} until {row['until']}{narrower}:"
        )
        lines += [f"  {line}" for line in describe(kept.terms)]
    return lines or ["This wallet is empty. Enrol with: iamata wallet enrol"]


def spell_access(one: CheckedAccess, uses: Sequence[dict[str, Any]]) -> str:
    """Say in a sentence who looked, and which study or model was the reason."""
    time = format_instant(one.at_ms // MS_PER_SECOND * MS_PER_SECOND)
    purpose = PLAIN_WORDS.get(one.purpose, one.purpose)
    what = f"{spell_used(one, uses)}, for {purpose}, on {one.basis.replace('/', ' ')}"
    proof = "proven by the ledger" if one.is_proven else "not on the ledger yet"
    if one.is_late:
        proof = f"late, while the ledger gave no finality, {proof}"
    if not one.is_released:
        proof = "planned, but nothing left"
    elif not one.is_confirmed:
        proof += ", receipt not confirmed"
    return f"{time}  person {one.person} of {one.recipient}: {what}; {proof}."
