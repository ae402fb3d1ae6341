"""`iamata patient`: whom a custodian knows, and what its staff may do for them."""

from pathlib import Path
from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.files import open_new
from iamata.cli.options import ForOption, HomeOption, MemberOption, PatientOption, YesOption
from iamata.cli.output import confirm, say, show, spell_table
from iamata.cli.parties import read_id, read_patient
from iamata.cli.places import NodeOption, PlaceOption, open_place
from iamata.cli.wording import (
    DAYS,
    LabelsOption,
    PurposesOption,
    RecipientsOption,
    write_denial,
    write_permit,
)
from iamata.consent.wording import describe
from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.tables import PATIENTS
from iamata.model.ids import ConsentId, PatientId
from iamata.model.instants import Day, compute_day, format_day
from iamata.model.reasons import Reason, Refused, require
from iamata.node import custodial
from iamata.node.home import Home, open_home
from iamata.node.places import RemotePlace
from iamata.node.words import read_day
from iamata.workflows.enrolments import invite_patient
from iamata.workflows.erasures import erase_patient
from iamata.workflows.office import Office
from iamata.workflows.withdrawals import Step, look_after_all

EVIDENCE_BYTES_MAX: int = 1024 * 1024
APPROVERS: int = 2

app = make_noun("Patients of a custodian.")

EvidenceOption = Annotated[
    Path,
    typer.Option("--evidence", metavar="FILE", help="The signed form or note; it is kept, sealed, here."),
]


@verb(app, "list")
def list_patients(home: HomeOption, member: MemberOption) -> None:
    """List the patients whose records a member keeps, by pseudonym."""
    with open_home(home) as opened:
        office = opened.get_office(member)
        view = office.take_view()
        rows = [
            {"patient": patient, "held_by": "custodian" if entry.is_custodial else "patient"}
            for patient, _ in office.custody.keys.store.read_all()
            if patient and (entry := PATIENTS.find(view, patient)) is not None
        ]
    table = [tuple(row.values()) for row in rows]
    show({"patients": rows}, spell_table(("pseudonym", "key held by"), table))


@verb(app, "find")
def find(
    home: HomeOption,
    member: MemberOption,
    reference: Annotated[str, typer.Argument(help="The patient as records refer to it: Patient/…")],
) -> None:
    """Say the pseudonym of the patient whom a FHIR reference names."""
    with open_home(home) as opened:
        office = opened.get_office(member)
        patient = read_patient(opened, reference, member=member)
        is_known = office.find_own_patient(office.take_view(), patient) is not None
    show(
        {"patient": patient, "is_known": is_known},
        [f"{reference} is {patient} here{'' if is_known else ', and not enrolled'}."],
    )


@verb(app, "invite")
def invite(
    *,
    home: PlaceOption = None,
    node: NodeOption = None,
    member: ForOption = None,
    person: Annotated[
        Path | None, typer.Option("--person", metavar="FOLDER", help="With --node: your own wallet.")
    ] = None,
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="WHO", help="Patient/… or a pseudonym; otherwise somebody new."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write the code to this new file.")
    ] = None,
) -> None:
    """Write the code with which a patient enrols from afar. Whoever holds it becomes that patient."""
    with open_place(home, node, person) as place, open_new(to) as file:
        if isinstance(place, RemotePlace):
            code = place.staff.invite_patient(patient)
        else:
            code = invite_at_home(place, member, patient)
        if file is not None:
            file.write(f"{code}\n")
    if to is None:
        show({"code": code}, [code])
    else:
        show({"file": str(to)}, [f"The code is in {to}; hand it to the patient and to nobody else."])


def invite_at_home(home: Home, member: str | None, patient: str | None) -> str:
    """Write an enrolment code at the member's own home."""
    if member is None:
        raise Refused(Reason.INPUT_INVALID, "at a home, say for which --member")
    office = home.get_office(member)
    if patient is None:
        who = PatientId(office.author.make_id())
    else:
        who = read_patient(home, patient, member=member)
    return invite_patient(office, who)


@verb(app, "consent")
def consent(
    home: HomeOption,
    member: MemberOption,
    patient: PatientOption,
    staff: Annotated[
        list[Path],
        typer.Option("--staff", metavar="FOLDER", help="The wallets of two of the staff; give it twice."),
    ],
    evidence: EvidenceOption,
    recipients: RecipientsOption = None,
    labels: LabelsOption = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DAY", help="The last day, YYYY-MM-DD; otherwise in a year."),
    ] = None,
) -> None:
    """Consent to treatment for a patient who holds no key: two of the staff vouch for the evidence."""
    require(len(staff) == APPROVERS, Reason.STAFF_SIGNATURES_MISSING, "--staff twice")
    until_day = Day(compute_day(read_clock_ms()) + DAYS) if until is None else read_day(until)
    terms = write_permit(recipients, ["TREAT"], labels, None, until_day=until_day)
    words, seen = describe(terms), read_evidence(evidence)
    for line in words:
        say(line)
    with open_home(home) as opened:
        given = custodial.grant(
            opened,
            member=member,
            patient=read_patient(opened, patient, member=member),
            staff=(staff[0], staff[1]),
            terms=terms,
            evidence=seen,
            until_day=until_day,
        )
    show(
        {"consent": given, "until": format_day(until_day), "terms": words},
        [f"Consent {given} binds {member}; the patient can confirm it once they hold a key, or it lapses."],
    )


@verb(app, "restrict")
def restrict(
    home: HomeOption,
    member: MemberOption,
    patient: PatientOption,
    consent_id: Annotated[str, typer.Option("--consent", metavar="ID", help="The consent.")],
    evidence: EvidenceOption,
    recipients: RecipientsOption = None,
    purposes: PurposesOption = None,
    labels: LabelsOption = None,
) -> None:
    """Narrow a patient's consent on their behalf; only the patient can undo it."""
    terms, seen = write_denial(recipients, purposes, labels), read_evidence(evidence)
    words = describe(terms)
    for line in words:
        say(line)
    chosen = read_id(consent_id, ConsentId)
    with open_home(home) as opened:
        who = read_patient(opened, patient, member=member)
        custodial.restrict(opened, member=member, patient=who, consent=chosen, terms=terms, evidence=seen)
    show({"consent": chosen, "terms": words}, [f"Consent {chosen} is narrower from this moment on."])


@verb(app, "erase")
def erase(
    home: HomeOption,
    member: MemberOption,
    patient: PatientOption,
    yes: YesOption = False,  # noqa: FBT002  a switch
) -> None:
    """Destroy the key to a patient's records, for good, with a trace on the ledger and a receipt.

    Datasets that cannot be used without the patient are replaced or retired at once.
    """
    confirm(f"Erase every record of {patient} at {member}? This cannot be undone.", is_agreed=yes)
    with open_home(home) as opened:
        who = read_patient(opened, patient, member=member)
        office = opened.get_office(member)
        erased = erase_patient(office, who)
        ended = end_datasets(office)
    records, height = erased.shredded.records, erased.finality.height
    show(
        {"patient": who, "records": records, "height": height, "receipt": erased.receipt}
        | {"ended": ended},
        [
            f"Erased {records:,} records; on the ledger at height {height}.",
            *(f"The dataset of study {one['study']} is {one['step']}." for one in ended),
            "The receipt, for the patient to keep:",
            erased.receipt,
        ],
    )


def end_datasets(office: Office) -> list[dict[str, str]]:
    """Replace or retire the datasets that an erasure leaves of no use, and list them by their study.

    What the ledger does not take now is left to the member's node, or to `dataset look-after`: the receipt
    is shown all the same.
    """
    try:
        done = look_after_all(office)
    except Refused:
        return []
    return [
        {"study": study, "step": one.step}
        for study, one in done.items()
        if one.step in {Step.REPLACED, Step.RETIRED}
    ]


def read_evidence(path: Path) -> bytes:
    """Read what two of the staff have seen."""
    try:
        with path.open("rb") as file:
            seen = file.read(EVIDENCE_BYTES_MAX + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(path)) from error
    require(
        0 < len(seen) <= EVIDENCE_BYTES_MAX, Reason.INPUT_INVALID, f"{path} is empty or longer than 1 MiB"
    )
    return seen
