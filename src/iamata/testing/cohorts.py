"""A study whose rows come out of vaults: its cohort, and the records that rows follow from."""

import json
from typing import Any, Final

import msgspec

from iamata.consent.requests import RecordFacts
from iamata.learning.cohorts import Cohort
from iamata.model.ids import PatientId
from iamata.testing import offices
from iamata.testing.learning import write_protocol
from iamata.vault.record import PreparedRecord
from iamata.workflows.frozen_tables import PatientRows
from iamata.workflows.office import Office


def write_view(resource: str, **columns: str) -> dict[str, Any]:
    """Write a view of one kind of resource, its columns by their paths."""
    wanted = [{"name": name, "path": path} for name, path in columns.items()]
    return {
        "resourceType": "ViewDefinition",
        "name": resource.lower(),
        "status": "active",
        "resource": resource,
        "select": [{"column": wanted}],
    }


SAID: Final[dict[str, Any]] = {
    "views": {
        "visits": write_view("Encounter", day="period.start"),
        "findings": write_view(
            "Observation",
            code="code.text",
            day="effective.ofType(dateTime)",
            number="value.ofType(Quantity).value",
            word="value.ofType(string)",
        ),
        "illnesses": write_view("Condition", day="onset.ofType(dateTime)"),
    },
    "index": {"view": "visits", "date": "day"},
    "features": {
        name: {
            "type": "history",
            "view": "findings",
            "date": "day",
            "take": "last",
            "column": column,
            "days": [-365, 1],
            "where": {"code": [name]},
        }
        for name, column in (("marker", "number"), ("smokes", "word"))
    },
    "outcome": {"view": "illnesses", "date": "day", "days": [1, 366]},
}
COHORT: Final = write_protocol(
    classes=("Encounter", "Observation", "Condition"), cohort=msgspec.convert(SAID, Cohort)
)


def write_record(patient: PatientId, at: int, labels: tuple[str, ...], **body: Any) -> PreparedRecord:  # noqa: ANN401  a resource's elements
    """Write a record of a patient, its body as a resource without an id."""
    kind, name = body["resourceType"], f"{patient[:8]}-{at}"
    return PreparedRecord(
        patients=(patient,),
        facts=RecordFacts(record=f"{kind}/{name}", resource_type=kind, labels=labels),
        body=json.dumps(body | {"id": name}).encode(),
    )


def write_finding(code: str, day: str, **value: Any) -> dict[str, Any]:  # noqa: ANN401  a resource's elements
    """Write an observation on a day."""
    return {"resourceType": "Observation", "code": {"text": code}, "effectiveDateTime": day} | value


def keep_records(office: Office, rows: PatientRows) -> None:
    """Give each patient records that the row follows from, and some that nobody may make use of."""
    for patient, (row,) in rows.items():
        normal = [
            {"resourceType": "Encounter", "period": {"start": "2020-03-01T08:00:00Z"}},
            write_finding("marker", "2020-01-01", valueQuantity={"value": row["marker"]}),
            write_finding("marker", "2020-03-02", valueQuantity={"value": 4.5}),  # after the index day
            write_finding("smokes", "2020-03-01", valueString=row["smokes"]),
        ]
        if row["ill"]:
            normal.append({"resourceType": "Condition", "onsetDateTime": "2020-09-01"})
        private = write_finding("marker", "2020-02-01", valueQuantity={"value": -4.5})
        for at, body in enumerate(normal):
            offices.keep(office, write_record(patient, at, ("N",), **body))
        offices.keep(office, write_record(patient, len(normal), ("R",), **private))
