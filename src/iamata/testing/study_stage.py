"""A stage for studies on the command line: an institute, three hospitals, patients with wallets, tables.

What is learned follows a known law, as in `testing.learning`: who has a high marker or smokes falls ill.
"""

import csv
import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from iamata.consent.terms import Ruling, Terms
from iamata.engines.embedded.engine import read_clock_ms
from iamata.model.instants import MS_PER_DAY, Day, Instant, compute_day, format_day
from iamata.node import wallets
from iamata.node.home import Home, open_home
from iamata.testing.learning import write_protocol
from iamata.testing.stage import Stage

OWNER: Final = "institute"
HOSPITALS: Final = ("east", "north", "south")
STAFF: Final = (
    ("rosa", OWNER, "researcher"),
    ("east-reviewer", "east", "reviewer"),
    ("north-reviewer", "north", "reviewer"),
    ("north-doctor", "north", "clinician"),
)
COLUMNS: Final = ("patient", "marker", "smokes", "ill", "postcode")
DAYS: Final = 300


@dataclasses.dataclass(frozen=True)
class StudyStage(Stage):
    """A home with an institute and three hospitals, whose patients agreed to research by the institute."""

    def patient_wallet(self, member: str, number: int) -> Path:
        """Say where a patient's wallet lies."""
        return self.folder / f"{member}-{number}"

    def table(self, member: str) -> Path:
        """Say where a hospital's table lies."""
        return self.folder / f"{member}.csv"

    @property
    def protocol(self) -> Path:
        """Say where the protocol lies."""
        return self.folder / "protocol.json"

    def propose(self, **more: str) -> str:
        """Let the researcher propose the study; return its id."""
        options = {"--sites": ",".join(HOSPITALS), "--purpose": "research", "--use": "DUO:0000006"} | more
        until = format_day(compute_day(read_clock_ms()) + DAYS)
        asked = self.ask(
            *(
                "study",
                "propose",
                self.protocol,
                "--wallet",
                self.wallet("rosa"),
                "--until",
                until,
                "--yes",
            ),
            *(part for option in options.items() for part in option),
        )
        return str(asked["study"])

    def review(self, study: str, *, is_approval: bool = True) -> dict[str, Any]:
        """Let two reviewers judge it."""
        said: dict[str, Any] = {}
        for name in ("east-reviewer", "north-reviewer"):
            judgement = "--approve" if is_approval else "--reject"
            said = self.ask(
                *("study", "review", study, "--wallet", self.wallet(name), judgement),
                *("--grounds", "Sound and useful"),
            )
        return said

    def build(self, study: str, member: str) -> dict[str, Any]:
        """Let a hospital build its dataset from its table: of Parquet, where there is one."""
        parquet = self.table(member).with_suffix(".parquet")
        table = parquet if parquet.exists() else self.table(member)
        return self.ask(
            *("dataset", "build", study, "--member", member, "--table", table),
            *("--patient-column", "patient"),
        )


def set_study_stage(folder: Path, patients: Mapping[str, int]) -> StudyStage:
    """Found the network, introduce its staff, let patients enrol and agree, and write the tables."""
    stage = StudyStage(folder)
    founders = (f"{OWNER}:research:Institute", *(f"{one}:hospital:{one.title()}" for one in HOSPITALS))
    stage.ask("network", "init", *(part for founder in founders for part in ("--member", founder)))
    for name, member, role in STAFF:
        stage.ask("person", "register", "--member", member, "--wallet", folder / name, "--role", role)
    # Of so few patients, those who would be kept out are too few to say anything about.
    stage.protocol.write_bytes(msgspec.json.encode(write_protocol(holdout_percent=0)))
    # Side by side, for most of it is waiting for the disk.
    with open_home(stage.home) as home, ThreadPoolExecutor() as pool:
        seeds = range(len(patients))
        list(pool.map(partial(write_patients, stage, home), patients, patients.values(), seeds))
    return stage


def write_patients(stage: StudyStage, home: Home, member: str, count: int, seed: int) -> None:
    """Let a hospital's patients enrol and agree, and write its table; a stranger is in it, too."""
    now_ms = read_clock_ms()
    terms = Terms(
        decision=Ruling.PERMIT,
        recipients=(f"member:{OWNER}",),
        purposes=("HRESCH",),
        labels=("N",),
        recorded_ms=Instant(now_ms),
        policy="urn:iamata:testing:terms:1",
    )
    rows = [("nobody", "0.1", "no", "0", "1010")]
    for number in range(count):
        patient, folder = f"Patient/{member}-{number}", stage.patient_wallet(member, number)
        pseudonym = home.get_office(member).compute_pseudonym(patient)
        wallets.enrol_patient(home, folder, member=member, patient=pseudonym)
        until_day = Day(compute_day(now_ms + DAYS * MS_PER_DAY))
        wallets.grant(home, folder, member=member, terms=terms, until_day=until_day)
        marker = 4.0 * spread(number, seed) - 2.0
        is_smoker, noise = number % 3 == 0, 3.0 * (spread(seed + 1, number) - 0.5)
        is_ill = marker + 1.5 * is_smoker + noise > 0.0
        name = (patient, f"{member}-{number}", pseudonym)[number % 3]
        rows.append((name, f"{marker:.4f}", "yes" if is_smoker else "no", str(int(is_ill)), "1010"))
    with stage.table(member).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])


def spread(number: int, seed: int) -> float:
    """Spread numbers evenly over 0 to 1, as chance would and always the same."""
    return (0.6180339887 * (number + 1) + 0.7548776662 * seed * (number + 1)) % 1.0
