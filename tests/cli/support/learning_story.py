"""A study's story on the command line, told once: from its proposal to a model that forgot who left."""

import contextlib
import csv
import signal
import threading
import time
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iamata.model.ids import ConsentId, PersonId, StudyId
from iamata.node import wallets
from iamata.node.desks import LocalDesk
from iamata.node.home import open_home
from iamata.node.steps import Step
from iamata.stores.wallets import load_wallet
from iamata.testing.learning import Killed
from iamata.testing.stage import Answer, call
from iamata.testing.study_stage import HOSPITALS, OWNER, StudyStage
from iamata.wire.carrying import DeskCarrier
from iamata.workflows import studies, training

SITE: Final = "north"
PATIENTS: Final = {"east": 11, SITE: 21, "south": 11}
LEAVING: Final = 10
LISTS: Final = ("answers", "datasets", "runs", "models", "title", "question", "method")


class KillingCarrier(DeskCarrier):
    """Ends a site's node as it sends its first message."""

    def carry_message(self, *, plan: bytes, message: bytes) -> None:  # noqa: ARG002  it comes to nothing
        """Send nothing any more."""
        raise Killed


def press_interrupt(step: Step) -> None:
    """Do what a terminal does at Ctrl-C, once sites add up."""
    if step.round is not None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class LearningStory:
    """Runs the commands of learning in their order, and remembers what each printed."""

    def __init__(self, stage: StudyStage) -> None:
        self.stage = stage
        self.heard: dict[str, dict[str, Any]] = {}
        self.moments: dict[str, dict[str, Any]] = {}
        """What was printed at named moments."""
        self.refused: dict[str, Answer] = {}

    def tell(self) -> "LearningStory":
        """Tell it all."""
        study = self.govern()
        model = self.learn(study)
        self.check(model)
        self.use(model)
        self.leave(study, model)
        self.end(study)
        return self

    def ask(self, command: str, *arguments: object) -> dict[str, Any]:
        """Run a command that must succeed."""
        self.heard[command] = self.stage.ask(*command.split(), *arguments)
        return self.heard[command]

    def govern(self) -> str:
        """Propose a study and let two members' reviewers grant its permit."""
        study = self.stage.propose()
        self.refused["built without a permit"] = self.build(study, self.stage.table(SITE))
        rosa = ("--wallet", self.stage.wallet("rosa"))
        self.refused["trained without a permit"] = self.stage("study", "train", study, *rosa, "--json")
        early = self.ask("study show", study)
        self.moments["proposed"] = early
        self.moments["proposed"]["told"] = self.stage("study", "show", study).out
        self.heard["study propose"] = {key: early[key] for key in early if key not in (*LISTS, "told")}
        self.heard["study review"] = self.stage.review(study)
        self.refused["trained on nothing"] = self.stage("study", "train", study, *rosa, "--json")
        propose = ("study", "propose", self.stage.protocol, *rosa, "--yes", "--json")
        here = ("--sites", ",".join(HOSPITALS))
        late = ("--purpose", "research", "--until", "2199-01-01")
        self.refused["used for what is no code"] = self.stage(*propose, *here, *late, "--use", "health")
        self.refused["asked for too long"] = self.stage(*propose, *here, *late, "--use", "DUO:0000006")
        for name, sites, use in (
            ("at one site", SITE, "DUO:0000006"),
            ("at a site twice", "east,east,north,south", "DUO:0000006"),
            ("for ancestry by its uses", ",".join(HOSPITALS), "DUO:0000011"),
            ("for what is no use", ",".join(HOSPITALS), "DUO:0000001"),
        ):
            asked = ("--sites", sites, "--use", use, "--purpose", "research", "--until", early["until"])
            self.refused[f"asked {name}"] = self.stage(*propose, *asked)
        unnamed = ("--purpose", "statistics", "--use", "DUO:0000006", "--until", early["until"])
        self.refused["asked for what no consent names"] = self.stage(*propose, *here, *unnamed)
        self.ask("study list")
        return study

    def build(self, study: str, table: Path, *more: object) -> Answer:
        """Try to build a dataset out of some table."""
        asked = ("--member", SITE, "--table", table, "--patient-column", "patient", *more, "--json")
        return self.stage("dataset", "build", study, *asked)

    def learn(self, study: str) -> str:
        """Build the datasets, one out of Parquet, and train."""
        self.refuse_tables(study)
        conditions = self.stage.folder / "conditions.json"
        conditions.write_text('{"permission": "DUO:0000011"}')
        self.refused["for ancestry alone"] = self.build(
            study, self.stage.table(SITE), "--conditions", conditions
        )
        conditions.write_text('{"permission": "DUO:0000006", "modifiers": ["DUO:0000021"]}')
        self.refused["for what people judge"] = self.build(
            study, self.stage.table(SITE), "--conditions", conditions
        )
        judged = self.stage.folder / "judged.json"
        judged.write_text('{"permission": "DUO:0000006", "is_judged": true}')
        self.refused["judged by a file"] = self.build(study, self.stage.table(SITE), "--conditions", judged)
        judged.write_text('{"permission": "DUO:0000006", "permission": "DUO:0000004"}')
        self.refused["under two permissions"] = self.build(
            study, self.stage.table(SITE), "--conditions", judged
        )
        for member in HOSPITALS:
            self.heard["dataset build"] = self.stage.build(study, member)
        self.refused["built twice"] = self.build(study, self.stage.table(SITE))
        listed = self.ask("dataset list")["datasets"]
        described = ("--croissant", self.stage.folder / "croissant.json")
        self.ask("dataset show", listed[0]["dataset"], *described)
        self.moments["dataset shown"] = {"out": self.stage("dataset", "show", listed[0]["dataset"]).out}
        stranger = ("--wallet", self.stage.patient_wallet(SITE, 0))
        self.refused["trained by a patient"] = self.stage("study", "train", study, *stranger, "--json")
        rosa = ("--wallet", self.stage.wallet("rosa"))
        for name, left_out in (("a site", SITE), ("who is no site", "institute"), ("no name", "a b")):
            without = ("--without", left_out, "--json")
            self.refused[f"trained without {name}"] = self.stage("study", "train", study, *rosa, *without)
        return str(self.ask("study train", study, *rosa)["model"])

    def refuse_tables(self, study: str) -> None:
        """Try tables that cannot be used."""
        table = self.stage.table(SITE)
        with table.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        for name, changed in (
            ("without a column", [header[:-2] + header[-1:], *(row[:-2] + row[-1:] for row in rows)]),
            ("with a column twice", [[*header, "marker"], *([*row, "0"] for row in rows)]),
            ("beyond the bounds", [header, *([row[0], "99", *row[2:]] for row in rows)]),
            ("with an unknown word", [header, *rows[:3], [*rows[3][:2], "sometimes", *rows[3][3:]]]),
            ("of strangers", [header, *([row[0].upper(), *row[1:]] for row in rows)]),
            ("of one patient", [header, *rows[:2]]),
        ):
            path = self.stage.folder / f"{name.replace(' ', '-')}.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(changed)
            self.refused[name] = self.build(study, path)
        columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
        pq.write_table(pa.table(columns), table.with_suffix(".parquet"))

    def check(self, model: str) -> None:
        """Look at the model from all sides; a file that was changed is found."""
        folder = self.stage.folder
        written = ("--card", folder / "card.md", "--file", folder / "model.json")
        self.ask("model show", model, *written)
        self.ask("model verify", model)
        (folder / "changed.json").write_bytes((folder / "model.json").read_bytes().replace(b"1", b"2", 1))
        self.moments["its own file"] = self.stage.ask(
            "model", "verify", model, "--file", folder / "model.json"
        )
        self.refused["changed file"] = self.stage(
            "model", "verify", model, "--file", folder / "changed.json", "--json"
        )
        export, changed = folder / "export.jsonl", folder / "changed.md"
        self.stage("ledger", "export", export)
        changed.write_bytes((folder / "card.md").read_bytes().replace(b"No", b"A", 1) + b"\n")
        outside = ("model", "verify", model, "--export", export, "--file", folder / "model.json", "--json")
        self.moments["outside"] = call(*outside, "--card", folder / "card.md").document
        told = call(*outside[:-1])
        self.moments["untrusted"] = {"out": told.out, "err": told.err}
        self.moments["export"] = call("verify", export, "--json").document
        self.refused["changed card"] = call(*outside, "--card", changed)
        (folder / "alone").mkdir()
        alone = (folder / "card.md").rename(folder / "alone" / "card.md")
        self.moments["card alone"] = call(*outside, "--card", alone).document
        alone.rename(folder / "card.md")

    def use(self, model: str) -> None:
        """Let a doctor ask it about a patient, who sees that."""
        (self.stage.folder / "row.json").write_text('{"marker": 1.5, "smokes": "yes"}')
        self.ask("model apply", *self.about(model))
        self.refuse_uses(model)
        self.refused["asked by a stranger"] = self.stage(
            "model", "apply", *self.about(model, person="rosa"), "--json"
        )
        patient = ("--wallet", self.stage.patient_wallet(SITE, 0))
        self.moments["looked"] = self.stage.ask("wallet", "accesses", *patient)
        self.moments["looked"]["told"] = self.stage("wallet", "accesses", *patient).out
        self.moments["in it"] = self.stage.ask("wallet", "studies", *patient)

    def refuse_uses(self, model: str) -> None:
        """Ask with half a row, and about a patient who keeps the house from what is ordinary."""
        half = self.stage.folder / "half.json"
        half.write_text('{"marker": 1.5}')
        asked = self.about(model)
        self.refused["asked with half a row"] = self.stage("model", "apply", *asked[:-1], half, "--json")
        half.write_text('{"marker": 1.5, "smokes": "no", "marker": -1.5}')
        self.refused["asked with a key twice"] = self.stage("model", "apply", *asked[:-1], half, "--json")
        last = PATIENTS[SITE] - 1
        silent = ("--wallet", self.stage.patient_wallet(SITE, last), "--to", f"member:{SITE}", "--yes")
        terms = ("--purpose", "TREAT", "--label", "R", "--except-label", "N")
        self.stage.ask("wallet", "grant", *silent, *terms)
        self.refused["asked against a patient's will"] = self.stage(
            "model", "apply", *self.about(model, patient=last), "--json"
        )

    def about(self, model: str, person: str = "north-doctor", patient: int = 0) -> tuple[object, ...]:
        """Ask a model about a patient."""
        return (
            *(model, "--member", SITE, "--person", self.stage.wallet(person)),
            *("--patient", f"Patient/{SITE}-{patient}", "--row", self.stage.folder / "row.json"),
        )

    def leave(self, study: str, model: str) -> None:
        """Let ten leave, replace the dataset, and train again."""
        self.moments["nobody left"] = self.stage.ask("dataset", "look-after", "--member", SITE)
        self.leave_alone()
        self.withdraw()
        self.ask("dataset look-after")
        self.moments["stale"] = self.stage.ask("model", "show", model)
        self.moments["stale use"] = {"err": self.stage("model", "apply", *self.about(model)).err}
        self.interrupt(study)
        again = ("--wallet", self.stage.wallet("rosa"), "--supersedes", model)
        self.moments["again"] = self.stage.ask("study", "train", study, *again)
        self.ask("wallet studies", "--wallet", self.stage.patient_wallet(SITE, 0))
        self.refused["superseded use"] = self.stage("model", "apply", *self.about(model), "--json")
        self.moments["superseded"] = self.stage.ask("model", "verify", model)
        self.ask("model list")

    def interrupt(self, study: str) -> None:
        """Interrupt a training from the keyboard; then leave two as a home does that is killed."""
        begun = time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("iamata.cli.training.make_teller", lambda *_: press_interrupt)
            before = signal.signal(signal.SIGINT, signal.default_int_handler)
            said = self.stage("study", "train", study, "--wallet", self.stage.wallet("rosa"))
            signal.signal(signal.SIGINT, before)
        took_s = time.monotonic() - begun
        self.moments["interrupted"] = {"exit": said.code, "err": said.err, "took_s": took_s}
        self.moments["interrupted"] |= self.stage.ask("study", "show", study)
        self.kill(StudyId(study), begins=False)
        self.stage.ask("dataset", "look-after")
        self.kill(StudyId(study), begins=True)
        self.stage.ask("dataset", "look-after")
        self.moments["killed"] = self.stage.ask("study", "show", study)

    def kill(self, study: StudyId, *, begins: bool) -> None:
        """Leave a run to which its owner is alone, or which a site has begun and could go on with."""
        (rosa,) = load_wallet(self.stage.wallet("rosa")).identities
        with open_home(self.stage.home) as home:
            owner, site = home.get_office(OWNER), home.get_office(SITE)
            run = studies.start_run(owner, study, PersonId(rosa.id))
            if begins:
                with contextlib.suppress(Killed):
                    training.take_part(site, run, KillingCarrier(LocalDesk(owner), site))

    def leave_alone(self) -> None:
        """Let one narrow their consent and then withdraw it, who has to wait for others."""
        patient = ("--wallet", self.stage.patient_wallet(SITE, 0))
        denied = ("--purpose", "HRESCH", "--yes")
        self.moments["narrowed"] = {"restrict": self.stage.ask("wallet", "restrict", *patient, *denied)}
        self.moments["narrowed"] |= self.stage.ask("wallet", "studies", *patient)
        self.moments["narrowed"]["told"] = self.stage("wallet", "studies", *patient).out
        self.ask("wallet withdraw", *patient)
        self.moments["one left"] = self.stage.ask("dataset", "look-after", "--member", SITE)
        self.moments["leaving"] = self.stage.ask("wallet", "studies", *patient)
        self.moments["leaving"]["told"] = self.stage("wallet", "studies", *patient).out
        model = self.heard["model show"]["model"]
        self.moments["left since"] = self.stage.ask("model", "verify", model)

    def withdraw(self) -> None:
        """Let nine more patients withdraw."""
        with open_home(self.stage.home) as home:
            for number in range(1, LEAVING):
                folder = self.stage.patient_wallet(SITE, number)
                (kept,) = load_wallet(folder).kept
                wallets.withdraw(home, folder, consent=ConsentId(kept.consent))

    def end(self, study: str) -> None:
        """Erase a patient, whose dataset goes, and revoke the permit: nothing more is learned."""
        gone = ("--member", "east", "--patient", "Patient/east-0", "--yes")
        self.moments["erased"] = self.stage.ask("patient", "erase", *gone)
        self.moments["erased"] |= self.stage.ask("dataset", "list")
        self.ask(
            *("study revoke", study, "--wallet", self.stage.wallet("east-reviewer")),
            *("--grounds", "The question is answered"),
        )
        patient = ("--wallet", self.stage.patient_wallet("south", 0))
        left = self.stage("wallet", "withdraw", *patient)
        self.moments["left after the end"] = self.stage.ask("wallet", "studies", *patient)
        self.moments["left after the end"]["told"] = self.stage("wallet", "studies", *patient).out
        self.moments["left after the end"]["withdraw"] = left.out
        rosa = ("--wallet", self.stage.wallet("rosa"))
        self.refused["trained after the end"] = self.stage("study", "train", study, *rosa, "--json")
        self.ask("study show", study)
