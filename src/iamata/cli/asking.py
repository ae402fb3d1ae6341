"""`iamata study count`, `ask` and `answers`: questions with a number as the answer, each paid for once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from iamata.cli.commands import verb
from iamata.cli.learning import MICRO, StudyArgument, WithoutOption, saying_what_stops
from iamata.cli.options import WalletOption
from iamata.cli.output import make_progress, show, spell_table
from iamata.cli.parties import read_id
from iamata.cli.places import KeyOption, NodeOption, PlaceOption, open_place
from iamata.cli.training import make_teller
from iamata.learning.answers import Answer
from iamata.learning.questions import (
    QUESTION_BYTES_MAX,
    Count,
    Question,
    name_answer,
    read_question,
)
from iamata.learning.wording import (
    FORMS,
    read_condition,
    spell_answer,
    spell_interval,
    spell_number,
    spell_question,
)
from iamata.model.ids import MemberId, ModelId, RunId, StudyId
from iamata.node import researching
from iamata.node.places import Place
from iamata.node.studying import read_file
from iamata.workflows import questions
from iamata.workflows.lineages import get_model, get_study, list_model_sites, trace

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
    without: WithoutOption = None,
) -> None:
    """Count patients over all sites, by one noisy sum; the same question is answered and paid for once."""
    of = tuple(read_condition(one) for one in where or [])
    chosen = read_id(study, StudyId)
    answer_question(chosen, Count(of=of), home=home, node=node, wallet=wallet, without=without or ())


def ask(
    *,
    study: StudyArgument,
    question: Annotated[Path, typer.Argument(metavar="FILE", help="A count, a rate or a ratio: JSON.")],
    home: PlaceOption = None,
    node: NodeOption = None,
    wallet: WalletOption,
    without: WithoutOption = None,
) -> None:
    """Ask for a count, a rate or a ratio over all sites; the same question is paid for once."""
    asked = read_question(read_file(question, bytes_max=QUESTION_BYTES_MAX))
    chosen = read_id(study, StudyId)
    answer_question(chosen, asked, home=home, node=node, wallet=wallet, without=without or ())


def answers(
    *, study: StudyArgument, home: PlaceOption = None, node: NodeOption = None, wallet: KeyOption = None
) -> None:
    """List what a study was asked, and the answers."""
    chosen = read_id(study, StudyId)
    with open_place(home, node, wallet) as place:
        view = place.engine.snapshot()
        sites = get_study(view, chosen).sites
        found = [
            (name, get_model(view, name).run)
            for name in questions.list_answers(view, trace(place.engine), chosen)
        ]
        told = [(researching.fetch_answer(place, run), name, run) for name, run in found]
        rows = [describe_answer(place, answer, run) for answer, _, run in told]
    table = [
        (row["question"], spell_result(answer), row["status"], spell_absent(row, sites), name)
        for row, (answer, name, _) in zip(rows, told, strict=True)
    ]
    show({"answers": rows}, spell_table(("question", "answer", "status", "without", "id"), table))


def answer_question(
    study: StudyId,
    question: Question,
    *,
    home: Path | None,
    node: str | None,
    wallet: Path,
    without: Sequence[str],
) -> None:
    """Have a question answered, and show what came of it and what it cost."""
    with open_place(home, node, wallet) as place, make_progress() as progress:
        with saying_what_stops(place):
            told = researching.ask(
                place, wallet, study, question, without=without, tell=make_teller(progress, {})
            )
        answer = told.answer
        row = describe_answer(place, answer, told.run)
        entry = get_study(place.engine.snapshot(), study)
    left = (entry.budget_micro - entry.spent_micro) / MICRO
    show(
        row | {"is_new": told.is_new, "budget_left": left},
        [
            row["question"],
            *spell_answer(answer),
            *([] if told.is_new else ["It was asked before: this is the answer of then, for nothing."]),
            f"Left of the study's budget: ε = {left:g}.",
            f"Answer {row['answer']} is {row['status']}, counted at {', '.join(row['sites'])}.",
        ],
    )


def describe_answer(place: Place, answer: Answer, run: RunId) -> dict[str, Any]:
    """Describe an answer, and where it stands: for machines, every figure with its interval."""
    name: ModelId = name_answer(run)
    view = place.engine.snapshot()
    entry = get_model(view, name)
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
        "epsilon": answer.epsilon,
        "delta": answer.delta,
        "sites": list_model_sites(view, entry),
    }


def spell_result(answer: Answer) -> str:
    """Say in a few words what came of a question."""
    if answer.result is None:
        return "too few to tell"
    return f"{spell_number(answer, answer.result.value)} ({spell_interval(answer, answer.result)})"


def spell_absent(row: dict[str, Any], sites: Sequence[MemberId]) -> str:
    """Name the sites of a study that took no part in an answer."""
    return ", ".join(one for one in sites if one not in row["sites"])
