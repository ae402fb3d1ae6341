"""`iamata study count`, `ask` and `answers`: questions with a number as the answer, each paid for once."""

import re
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from iamata.cli.commands import verb
from iamata.cli.learning import MICRO, StudyArgument
from iamata.cli.options import WalletOption
from iamata.cli.output import make_progress, show, spell_table
from iamata.cli.parties import read_id
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, open_place
from iamata.cli.training import make_teller, make_watcher, sign_as_researcher
from iamata.learning.answers import Answer, turn_as_asked
from iamata.learning.protocols import read_protocol
from iamata.learning.questions import (
    QUESTION_BYTES_MAX,
    Condition,
    Count,
    Question,
    name_answer,
    read_question,
)
from iamata.learning.wording import spell_answer, spell_interval, spell_number, spell_question
from iamata.ledger.tables import RUNS
from iamata.model.ids import ModelId, RunId, StudyId
from iamata.model.reasons import Reason, Refused
from iamata.node import learning
from iamata.node.home import Home
from iamata.node.places import Place, RemotePlace
from iamata.node.running_studies import ask_at_node
from iamata.node.studying import fetch_document, fetch_protocol, read_file
from iamata.workflows import questions
from iamata.workflows.lineages import get_model, get_study, trace
from iamata.workflows.question_runs import read_answer

CONDITION: Final = re.compile(r"(?P<column>[^<>=]+)(?P<sign>>=|<|=)(?P<value>.*)\Z", re.DOTALL)
FORMS: Final = "COLUMN=WORD,WORD… or COLUMN>=NUMBER or COLUMN<NUMBER"

WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="CONDITION", help=f"Whom: {FORMS}. All of them hold in one row."),
]


def add_to(app: typer.Typer) -> None:
    """Add questions to the commands of studies."""
    verb(app, "count")(count)
    verb(app, "ask")(ask)
    verb(app, "answers")(answers)


def count(
    *,
    study: StudyArgument,
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    where: WhereOption = None,
) -> None:
    """Count patients over all sites, by one noisy sum; the same question is answered and paid for once."""
    of = tuple(read_condition(one) for one in where or [])
    answer_question(read_id(study, StudyId), Count(of=of), home=home, node=node, wallet=wallet)


def ask(
    *,
    study: StudyArgument,
    question: Annotated[Path, typer.Argument(metavar="FILE", help="A count, a rate or a ratio: JSON.")],
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
) -> None:
    """Ask for a count, a rate or a ratio over all sites; the same question is paid for once."""
    asked = read_question(read_file(question, bytes_max=QUESTION_BYTES_MAX))
    answer_question(read_id(study, StudyId), asked, home=home, node=node, wallet=wallet)


def answers(
    *, study: StudyArgument, home: PlaceOption = None, node: NodeOption = None, wallet: KeyOption = None
) -> None:
    """List what a study was asked, and the answers."""
    chosen = read_id(study, StudyId)
    with open_place(home, node, wallet) as place:
        view = place.engine.snapshot()
        get_study(view, chosen)
        found = [
            (name, get_model(view, name).run)
            for name in questions.list_answers(view, trace(place.engine), chosen)
        ]
        told = [(fetch_answer(place, run), name, run) for name, run in found]
        rows = [describe_answer(place, answer, run) for answer, _, run in told]
    table = [
        (row["question"], spell_result(answer), row["status"], name)
        for row, (answer, name, _) in zip(rows, told, strict=True)
    ]
    show({"answers": rows}, spell_table(("question", "answer", "status", "id"), table))


def answer_question(
    study: StudyId, question: Question, *, home: Path | None, node: str | None, wallet: Path
) -> None:
    """Have a question answered, and show what came of it and what it cost."""
    with open_place(home, node, wallet) as place, make_progress() as progress:
        protocol = read_protocol(fetch_protocol(place, study))
        questions.prepare(protocol, question)  # says what is wrong
        if isinstance(place, RemotePlace):
            raw = msgspec.json.encode(question)
            begun = ask_at_node(place, study, raw, tell=make_watcher(progress, "asking"))
        else:
            begun = ask_at_home(place, wallet, study, question, make_teller(progress, {}))
        answer = turn_as_asked(fetch_answer(place, begun.run), question, protocol.schema)
        row = describe_answer(place, answer, begun.run)
        entry = get_study(place.engine.snapshot(), study)
    left = (entry.budget_micro - entry.spent_micro) / MICRO
    show(
        row | {"is_new": begun.is_new, "budget_left": left},
        [
            row["question"],
            *spell_answer(answer),
            *([] if begun.is_new else ["It was asked before: this is the answer of then, for nothing."]),
            f"Left of the study's budget: ε = {left:g}. Answer {row['answer']} is {row['status']}.",
        ],
    )


def ask_at_home(
    home: Home, wallet: Path, study: StudyId, question: Question, tell: learning.Tell
) -> questions.Begun:
    """Ask at the home of the study's owner, for the researcher whose wallet it is."""
    owner, researcher = sign_as_researcher(home, wallet, study)
    return learning.ask(home, study, question, owner=owner, researcher=researcher, tell=tell)


def fetch_answer(place: Home | RemotePlace, run_id: RunId) -> Answer:
    """Return the answer of a run from whoever keeps it, checked against the ledger."""
    view = place.engine.snapshot()
    run = RUNS.find(view, run_id)
    if run is None:
        raise Refused(Reason.UNKNOWN_RUN)
    raw = fetch_document(place, questions.get_content(run), owner=get_study(view, run.study).owner)
    return read_answer(raw, view, run_id, run)


def describe_answer(place: Place, answer: Answer, run: RunId) -> dict[str, Any]:
    """Describe an answer, and where it stands: for machines, every figure with its interval."""
    name: ModelId = name_answer(run)
    entry = get_model(place.engine.snapshot(), name)
    document: dict[str, Any] = msgspec.to_builtins(answer)
    return {
        "answer": name,
        "run": run,
        "study": entry.study,
        "status": entry.status,
        "question": spell_question(answer.question),
        "measure": answer.question.measure,
        "is_suppressed": answer.result is None,
        **{key: document[key] for key in ("result", "counts", "confidence", "deviation")},
        **{key: document[key] for key in ("epsilon", "delta", "sites")},
    }


def spell_result(answer: Answer) -> str:
    """Say in a few words what came of a question."""
    if answer.result is None:
        return "too few to tell"
    return f"{spell_number(answer, answer.result.value)} ({spell_interval(answer, answer.result)})"


def read_condition(text: str) -> Condition:
    """Read what somebody types as a condition on one column, or refuse."""
    found = CONDITION.match(text)
    if found is None:
        raise Refused(Reason.INPUT_INVALID, f"{text!a} is no condition: {FORMS}")
    column, sign, value = found["column"].strip(), found["sign"], found["value"].strip()
    if sign == "=":
        return Condition(column=column, is_one_of=tuple(word.strip() for word in value.split(",")))
    try:
        number = float(value)
    except ValueError as error:
        raise Refused(Reason.INPUT_INVALID, f"{value!a} is no number: {FORMS}") from error
    if sign == "<":
        return Condition(column=column, below=number)
    return Condition(column=column, at_least=number)
