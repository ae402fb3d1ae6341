"""`iamata patient`: who a custodian knows, by pseudonym."""

from typing import Annotated

import typer

from iamata.cli.commands import make_noun, verb
from iamata.cli.options import HomeOption, MemberOption, PatientOption
from iamata.cli.output import show, show_table
from iamata.ledger.tables import PATIENTS
from iamata.model.ids import PatientId
from iamata.node.home import open_home
from iamata.workflows.erasures import erase_patient

app = make_noun("Patients of a custodian.")


@verb(app, "list")
def list_patients(home: HomeOption, member: MemberOption) -> None:
    """List the patients whose records a member keeps."""
    with open_home(home) as opened:
        office = opened.get_office(member)
        view = office.take_view()
        rows = [
            {"patient": patient, "held_by": "custodian" if entry.is_custodial else "patient"}
            for patient, _ in office.custody.keys.store.read_all()
            if patient and (entry := PATIENTS.find(view, patient)) is not None
        ]
    show({"patients": rows})
    show_table("Patients", ("pseudonym", "key held by"), [tuple(row.values()) for row in rows])


@verb(app, "find")
def find(
    home: HomeOption,
    member: MemberOption,
    reference: Annotated[str, typer.Argument(help="The patient as records refer to it: Patient/…")],
) -> None:
    """Say the pseudonym of the patient whom a FHIR reference names."""
    with open_home(home) as opened:
        office = opened.get_office(member)
        patient = office.compute_pseudonym(reference)
        is_known = office.find_own_patient(office.take_view(), patient) is not None
    show(
        {"patient": patient, "is_known": is_known},
        [f"{reference} is {patient} here{'' if is_known else ', and not enrolled'}."],
    )


@verb(app, "erase")
def erase(
    home: HomeOption,
    member: MemberOption,
    patient: PatientOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002  a switch
) -> None:
    """Destroy the key to a patient's records, for good, with a trace on the ledger and a receipt."""
    if not yes:
        typer.confirm(f"Erase every record of {patient} at {member}? This cannot be undone.", abort=True)
    with open_home(home) as opened:
        erased = erase_patient(opened.get_office(member), PatientId(patient))
    show(
        {
            "patient": patient,
            "records": erased.shredded.records,
            "height": erased.finality.height,
            "receipt": erased.receipt,
        },
        [
            f"Erased {erased.shredded.records:,} records; on the ledger at height {erased.finality.height}.",
            "The receipt, to be kept by the patient:",
            erased.receipt,
        ],
    )
