"""The command line, driven in this process as a user would drive it, on a network of three members."""

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any, Final

from iamata.cli.main import run

FAMILY: Final = "Okonkwo-Test"
STAFF: Final = (
    ("north-doctor", "north", "clinician"),
    ("north-nurse", "north", "clinician"),
    ("north-reviewer", "north", "reviewer"),
    ("south-doctor", "south", "clinician", "emergency"),
)
"""Wallets, each with its member and roles."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Read the one JSON document that `--json` prints."""
        document: dict[str, Any] = json.loads(self.out)
        return document


def call(*arguments: object) -> Answer:
    """Run a command as `main` does, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Answer(code=int(code or 0), out=out.getvalue(), err=err.getvalue())


def write_bundle(path: Path, patient: str, *, family: str = FAMILY) -> Path:
    """Write a collection with a patient and one observation of theirs."""
    resources = [
        {
            "resourceType": "Patient",
            "id": patient,
            "name": [{"family": family, "given": ["Ada"]}],
            "birthDate": "1980-02-29",
        },
        {
            "resourceType": "Observation",
            "id": f"{patient}-bp",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]},
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": "2024-05-01",
            "valueQuantity": {"value": 120, "unit": "mm[Hg]"},
        },
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one} for one in resources],
    }
    path.write_text(json.dumps(bundle), encoding="utf-8")
    return path


@dataclasses.dataclass(frozen=True)
class Stage:
    """A network of three members with staff, records of two patients, and a wallet for one of them."""

    folder: Path

    @property
    def home(self) -> Path:
        """Say where the home lies."""
        return self.folder / "home"

    @property
    def patient(self) -> Path:
        """Say where Ada's wallet lies."""
        return self.folder / "ada"

    def wallet(self, name: str) -> Path:
        """Say where a wallet of the staff lies."""
        return self.folder / name

    def __call__(self, *arguments: object) -> Answer:
        """Run a command on this home."""
        head = 2 if len(arguments) > 1 else 1
        return call(*arguments[:head], "--home", self.home, *arguments[head:])

    def ask(self, *arguments: object) -> dict[str, Any]:
        """Run a command that must succeed, and read its document."""
        answer = self(*arguments, "--json")
        if answer.code != 0:
            raise AssertionError(arguments, answer)
        return answer.document


def set_stage(folder: Path) -> Stage:
    """Found the network, introduce its staff, import two patients, and let one of them take over."""
    stage = Stage(folder)
    founders = ("north:hospital:North", "south:hospital:South", "state:regulator:State")
    stage.ask("network", "init", *(part for founder in founders for part in ("--member", founder)))
    for name, member, *roles in STAFF:
        options = (part for role in roles for part in ("--role", role))
        stage.ask("person", "register", "--member", member, "--wallet", folder / name, *options)
    for patient, family in (("ada", FAMILY), ("bob", "Second-Test")):
        bundle = write_bundle(folder / f"{patient}.json", patient, family=family)
        stage.ask("records", "import", "--member", "north", bundle)
    stage.ask(
        "wallet", "enrol", "--wallet", stage.patient, "--custodian", "north", "--patient", "Patient/ada"
    )
    return stage
