"""Questions on the command line, told once: counts, a rate, refusals, and what is answered twice."""

from typing import Any, Final

import msgspec

from iamata.learning.protocols import Questions
from iamata.learning.questions import Condition, Count, Question
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.model.ids import PersonId, StudyId
from iamata.node.home import open_home
from iamata.stores.wallets import load_wallet
from iamata.testing.learning import write_protocol
from iamata.testing.stage import Answer
from iamata.testing.study_stage import HOSPITALS, StudyStage
from iamata.workflows import questions

PATIENTS: Final = {"east": 30, "north": 40, "south": 30}
EPSILON_MICRO: Final = 2_400_000
BUDGET: Final = "9.9"
SCHEMA: Final = Schema(
    columns=(
        Numeric(name="marker", low=-5.0, high=5.0, outside="clip"),
        Categorical(name="smokes", categories=("no", "yes"), outside="missing"),
    ),
    outcome=Outcome(name="ill"),
)
RATE: Final = '{"type": "rate", "of": [{"column": "ill", "is": ["1"]}]}'
RATIO: Final = (
    '{{"type": "ratio", "of": [{{"column": "ill", "is": ["1"]}}], "among": [{{"column": "smokes", "is": '
    '["{}"]}}], "against": [{{"column": "smokes", "is": ["{}"]}}]}}'
)


class AskingStory:
    """Runs the commands that ask, in their order, and remembers what each printed."""

    def __init__(self, stage: StudyStage) -> None:
        self.stage = stage
        self.heard: dict[str, dict[str, Any]] = {}
        self.moments: dict[str, dict[str, Any]] = {}
        """What was printed at named moments."""
        self.refused: dict[str, Answer] = {}
        self.rosa = ("--wallet", stage.wallet("rosa"))

    def tell(self) -> "AskingStory":
        """Tell it all."""
        study = self.govern()
        self.refuse(study)
        self.ask(study)
        self.check(study)
        return self

    def govern(self) -> str:
        """Get a permit for four questions, and let the hospitals build their datasets."""
        method = Questions(epsilon_micro=EPSILON_MICRO)
        self.stage.protocol.write_bytes(
            msgspec.json.encode(write_protocol(schema=SCHEMA, estimator=method))
        )
        study = self.stage.propose(**{"--budget": BUDGET})
        self.stage.review(study)
        for member in HOSPITALS[:2]:
            self.stage.build(study, member)
        self.refused["at two sites"] = self.count(study, "ill=1")
        self.stage.build(study, HOSPITALS[2])
        return study

    def count(self, study: str, *where: str, without: str | None = None) -> Answer:
        """Try to count."""
        conditions = [part for one in where for part in ("--where", one)]
        left_out = () if without is None else ("--without", without)
        return self.stage("study", "count", study, *conditions, *left_out, *self.rosa, "--json")

    def refuse(self, study: str) -> None:
        """Ask what cannot be asked."""
        self.refused["no such column"] = self.count(study, "weight>=1")
        self.refused["no such word"] = self.count(study, "smokes=often")
        self.refused["beyond the bounds"] = self.count(study, "marker>=5.5")
        self.refused["no condition"] = self.count(study, "smokes")
        self.refused["no number"] = self.count(study, "marker<low")
        self.refused["without a site"] = self.count(study, "ill=1", without="north")
        self.refused["without no name"] = self.count(study, "ill=1", without="a b")
        rate = self.stage.folder / "rate.json"
        rate.write_text(RATE)
        without = ("--without", "institute", *self.rosa, "--json")
        self.refused["without who is no site"] = self.stage("study", "ask", study, rate, *without)
        broken = self.stage.folder / "broken.json"
        broken.write_text('{"type": "sum"}')
        self.refused["no question"] = self.stage("study", "ask", study, broken, *self.rosa, "--json")
        stranger = ("--wallet", self.stage.patient_wallet("north", 0))
        self.refused["by a patient"] = self.stage("study", "count", study, *stranger, "--json")
        self.refused["to train"] = self.stage("study", "train", study, *self.rosa, "--json")

    def ask(self, study: str) -> None:
        """Ask four questions, some of them twice, and one more than the budget allows."""
        answer = self.count(study, "marker>=0", "smokes=yes,no")
        self.heard["study count"] = answer.document
        self.moments["again"] = self.count(study, "smokes=no,yes", "marker>=0", "ill=1,0").document
        self.begin(study, Count(of=(Condition(column="marker", at_least=2.5),)))
        self.moments["too few"] = self.count(study, "marker>=2.5").document
        rate = self.stage.folder / "rate.json"
        self.heard["study ask"] = self.stage.ask("study", "ask", study, rate, *self.rosa)
        for moment, groups in (("ratio", ("yes", "no")), ("inverse", ("no", "yes"))):
            ratio = self.stage.folder / "ratio.json"
            ratio.write_text(RATIO.format(*groups))
            self.moments[moment] = self.stage.ask("study", "ask", study, ratio, *self.rosa)
        self.refused["too dear"] = self.count(study, "ill=1")
        self.moments["for people"] = {"out": self.stage("study", "ask", study, rate, *self.rosa).out}

    def begin(self, study: str, question: Question) -> None:
        """Ask at a home that is closed before any site has answered, as by a power cut."""
        (identity,) = load_wallet(self.stage.wallet("rosa")).identities
        with open_home(self.stage.home) as home:
            office = home.get_office(identity.member)
            begun = questions.ask(office, StudyId(study), PersonId(identity.id), question)
        self.moments["begun"] = {"run": begun.run}

    def check(self, study: str) -> None:
        """Look at the answers from all sides."""
        self.heard["study answers"] = self.stage.ask("study", "answers", study)
        self.moments["shown"] = self.stage.ask("study", "show", study)
        self.moments["models"] = self.stage.ask("model", "list")
        name, file = self.heard["study ask"]["answer"], self.stage.folder / "answer.json"
        self.stage.ask("model", "show", name, "--file", file)
        self.moments["verified"] = self.stage.ask("model", "verify", name, "--file", file)
        changed = self.stage.folder / "changed.json"
        changed.write_bytes(file.read_bytes().replace(b'"1"', b'"0"'))
        self.refused["changed"] = self.stage("model", "verify", name, "--file", changed, "--json")
        row = self.stage.folder / "row.json"
        row.write_text('{"marker": 1.5, "smokes": "yes"}')
        self.refused["applied"] = self.stage(
            *("model", "apply", name, "--member", "north", "--person", self.stage.wallet("north-doctor")),
            *("--patient", "Patient/north-0", "--row", row, "--json"),
        )
        self.moments["patient"] = self.stage.ask(
            "wallet", "studies", "--wallet", self.stage.patient_wallet("north", 0)
        )
