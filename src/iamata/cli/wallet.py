"""`iamata wallet`: the patient's side. Keys, consents, share codes, and the joined list of who looked."""

from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import CustodianOption, HomeOption, WalletOption
from iamata.cli.output import say, show, show_table
from iamata.consent.terms import Period, Rule, Ruling, Terms, decode_terms
from iamata.consent.wording import describe
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import OwnerKind
from iamata.ledger.tables import CONSENTS
from iamata.model.canonical import encode_struct
from iamata.model.ids import ConsentId, PatientId
from iamata.model.instants import Day, Instant, compute_day, format_day, format_instant, parse_day
from iamata.model.reasons import Reason, Refused
from iamata.node import wallets
from iamata.node.home import open_home
from iamata.stores.wallets import create_wallet, load_wallet

POLICY: str = "urn:iamata:consent:1"
DAYS: int = 365
SHARE_MINUTES: int = 60
SHARE_MINUTES_MAX: int = 7 * 24 * 60

app = make_noun("A patient's keys and decisions.")

Labels = Annotated[list[str] | None, typer.Option("--label", help="Only data with this label: N, R, PSY, HIV, …")]
Except = Annotated[list[str] | None, typer.Option("--except-label", help="But nothing with this label.")]
Purposes = Annotated[list[str] | None, typer.Option("--purpose", help="What for: TREAT, HRESCH, …")]
Recipients = Annotated[list[str] | None, typer.Option("--to", help="Whom: member:ID, person:ID or role:NAME.")]
ConsentOption = Annotated[str, typer.Option("--consent", help="The consent, by id.")]


@verb(app, "create")
def create(wallet: WalletOption) -> None:
    """Make an empty wallet."""
    create_wallet(wallet)
    show({"wallet": str(wallet)}, [f"Made a wallet in {wallet}; only you can read it. Keep a copy."])


@verb(app, "enrol")
def enrol(
    home: HomeOption,
    wallet: WalletOption,
    custodian: CustodianOption,
    patient: Annotated[
        str | None, typer.Option("--patient", help="The pseudonym, if the custodian has records already.")
    ] = None,
) -> None:
    """Make a key for one custodian, and let it alone speak for you there."""
    with open_home(home) as opened:
        office = opened.get_office(custodian)
        pseudonym = PatientId(patient or office.author.make_id())
        wallets.enrol_patient(opened, wallet, member=custodian, patient=pseudonym)
    show(
        {"patient": pseudonym, "custodian": custodian},
        [f"At {custodian} you are {pseudonym}. Only this wallet speaks for you there."],
    )


@verb(app, "grant")
def grant(  # noqa: PLR0913  the words of a consent
    home: HomeOption,
    wallet: WalletOption,
    custodian: CustodianOption,
    recipients: Recipients = None,
    purposes: Purposes = None,
    labels: Labels = None,
    except_labels: Except = None,
    until: Annotated[str | None, typer.Option("--until", help="The last day, YYYY-MM-DD.")] = None,
    replaces: Annotated[str | None, typer.Option("--replaces", help="The consent that this one replaces.")] = None,
) -> None:
    """Let somebody use your records; what you sign is said in plain words first."""
    until_day = read_day(until) if until else Day(compute_day(read_clock_ms()) + DAYS)
    terms = write_terms(Ruling.PERMIT, recipients, purposes, labels, except_labels, until_day)
    for line in describe(terms):
        say(line)
    with open_home(home) as opened:
        consent = wallets.grant(
            opened, wallet, member=custodian, terms=terms, until_day=until_day, replaces=replaces
        )
    show(
        {"consent": consent, "until": format_day(until_day)},
        [f"Consent {consent} binds {custodian}. Undo it with: iamata wallet withdraw --consent {consent}"],
    )


@verb(app, "restrict")
def restrict(
    home: HomeOption,
    wallet: WalletOption,
    consent: ConsentOption,
    recipients: Recipients = None,
    purposes: Purposes = None,
    labels: Labels = None,
) -> None:
    """Narrow a consent: deny what it permits to somebody, for something, or of something."""
    terms = write_terms(Ruling.DENY, recipients, purposes, labels, None, None)
    with open_home(home) as opened:
        wallets.restrict(opened, wallet, consent=ConsentId(consent), terms=terms)
    show({"consent": consent}, [f"Consent {consent} is narrower from this moment on."])


@verb(app, "withdraw")
def withdraw(home: HomeOption, wallet: WalletOption, consent: ConsentOption) -> None:
    """End a consent. It takes effect at once, and nobody can refuse it."""
    with open_home(home) as opened:
        wallets.withdraw(opened, wallet, consent=ConsentId(consent))
    show({"consent": consent}, [f"Consent {consent} is withdrawn: what rested on it is refused from now on."])


@verb(app, "share")
def share(
    home: HomeOption,
    wallet: WalletOption,
    custodian: CustodianOption,
    recipient: Annotated[str, typer.Option("--recipient", help="The member that may ask with this code.")],
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=SHARE_MINUTES_MAX)] = SHARE_MINUTES,
) -> None:
    """Write a code by which one member can ask for your records, once. It permits nothing by itself."""
    with open_home(home) as opened:
        code = wallets.share(opened, wallet, member=custodian, recipient=recipient, minutes=minutes)
    show({"share": code, "minutes": minutes}, [code])


@verb(app, "accesses")
def list_accesses(home: HomeOption, wallet: WalletOption) -> None:
    """List everyone who looked, at every custodian; each entry is checked against the ledger here."""
    with open_home(home) as opened:
        looked = sorted(wallets.list_accesses(opened, wallet), key=lambda one: one.at_ms)
    rows = [
        {
            "time": format_instant(one.at_ms),
            "custodian": one.custodian,
            "recipient": one.recipient,
            "person": one.person,
            "purpose": one.purpose,
            "basis": one.basis,
            "records": str(one.records),
            "released": "yes" if one.is_released else "no",
            "confirmed": "yes" if one.is_confirmed else "not confirmed",
            "proof": "on the ledger" if one.is_proven else "not anchored yet",
        }
        for one in looked
    ]
    show({"accesses": rows})
    show_table("Who looked", tuple(rows[0]) if rows else ("nobody",), [tuple(row.values()) for row in rows])


@verb(app, "show")
def show_wallet(home: HomeOption, wallet: WalletOption) -> None:
    """Say who you are to whom, and what you have consented to."""
    with open_home(home) as opened:
        view, held = opened.engine.snapshot(), load_wallet(wallet)
        consents = [
            {
                "consent": kept.consent,
                "status": str(entry.status),
                "until": format_day(kept.until_day),
                "terms": describe(kept.terms),
            }
            for kept in held.kept
            if not kept.narrows and (entry := CONSENTS.find(view, kept.consent)) is not None
        ]
    known = [{"member": one.member, "id": one.id, "kind": str(one.kind)} for one in held.identities]
    lines = [f"To {one['member']} you are {one['id']}, a {one['kind']}." for one in known]
    for consent in consents:
        lines += [f"Consent {consent['consent']} is {consent['status']}, until {consent['until']}:"]
        lines += [f"  {line}" for line in consent["terms"]]
    show({"identities": known, "consents": consents, "kind": str(OwnerKind.PATIENT)}, lines)


def write_terms(  # noqa: PLR0913  the words of a consent
    decision: Ruling,
    recipients: list[str] | None,
    purposes: list[str] | None,
    labels: list[str] | None,
    except_labels: list[str] | None,
    until_day: Day | None,
) -> Terms:
    """Put the words of the command into terms, or refuse words that mean nothing."""
    terms = Terms(
        decision=decision,
        recipients=tuple(recipients or ()),
        purposes=tuple(purposes or ()),
        labels=tuple(labels or (("N",) if decision is Ruling.PERMIT else ())),
        validity=Period(last=until_day),
        recorded_ms=Instant(read_clock_ms()),
        policy=POLICY,
        exceptions=(Rule(decision=Ruling.DENY, labels=tuple(except_labels)),) if except_labels else (),
    )
    return decode_terms(encode_struct(terms))


def read_day(text: str) -> Day:
    """Read YYYY-MM-DD, or refuse."""
    try:
        return parse_day(text)
    except ValueError as error:
        raise Refused(Reason.INPUT_INVALID, f"{text} is no day; write YYYY-MM-DD") from error

