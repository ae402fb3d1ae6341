"""One question has one spelling and one name; what cannot be counted is refused."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.learning.questions import (
    Condition,
    Conditions,
    Count,
    Question,
    Rate,
    Ratio,
    canonicalise,
    name_answer,
    name_run,
    read_asked,
    read_question,
)
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema
from iamata.model.ids import DatasetId, StudyId, compute_random_id
from iamata.model.reasons import Reason, Refused

SCHEMA = Schema(
    columns=(
        Numeric(name="age", low=0.0, high=120.0),
        Numeric(name="marker", low=-5.0, high=5.0),
        Categorical(name="smokes", categories=("no", "yes", "stopped")),
    ),
    outcome=Outcome(name="ill"),
)
STUDY = StudyId(compute_random_id(bytes(16)))
DATASETS = [DatasetId(compute_random_id(bytes([number]) * 16)) for number in range(1, 4)]
ILL = Condition(column="ill", is_one_of=("1",))
SMOKES = Condition(column="smokes", is_one_of=("yes",))
NEVER = Condition(column="smokes", is_one_of=("no",))

NUMBERS = st.integers(-4, 4).map(float)
CONDITIONS = st.one_of(
    st.lists(st.sampled_from(("no", "yes", "stopped")), min_size=1, max_size=4).map(
        lambda words: Condition(column="smokes", is_one_of=tuple(words))
    ),
    st.builds(Condition, column=st.just("marker"), at_least=NUMBERS),
    st.builds(Condition, column=st.just("marker"), below=NUMBERS),
    st.just(ILL),
)
LISTS = st.lists(CONDITIONS, max_size=4).map(tuple)
QUESTIONS = st.one_of(
    st.builds(Count, of=LISTS),
    st.builds(Rate, of=LISTS, among=LISTS),
    st.builds(Ratio, of=LISTS, among=LISTS, against=LISTS),
)


def ask(question: Question) -> bytes | None:
    """Spell a question canonically; None where it is refused."""
    try:
        return canonicalise(question, SCHEMA).encode()
    except Refused as refused:
        assert refused.reason is Reason.QUESTION_INVALID
        return None


def refuse(question: Question) -> str:
    with pytest.raises(Refused) as refused:
        canonicalise(question, SCHEMA)
    assert refused.value.reason is Reason.QUESTION_INVALID
    return str(refused.value.detail)


@given(question=QUESTIONS, data=st.data())
def test_neither_order_nor_repetition_nor_the_order_of_words_makes_another_question(
    question: Question, data: st.DataObject
) -> None:
    def shuffle(conditions: Conditions) -> Conditions:
        again = data.draw(st.permutations([*conditions, *conditions[:1]]))
        return tuple(
            msgspec.structs.replace(one, is_one_of=tuple(data.draw(st.permutations(one.is_one_of))))
            for one in again
        )

    fields = {name: shuffle(getattr(question, name)) for name in question.__struct_fields__}

    assert ask(type(question)(**fields)) == ask(question)


@given(question=QUESTIONS)
def test_a_canonical_spelling_reads_back_as_itself_and_no_other_spelling_is_read(
    question: Question,
) -> None:
    raw = ask(question)
    if raw is None:
        return

    asked = read_asked(raw, SCHEMA)

    assert asked.encode() == raw
    for other in (raw + b" ", json.dumps(json.loads(raw), indent=1).encode()):
        with pytest.raises(Refused) as refused:
            read_asked(other, SCHEMA)
        assert refused.value.reason is Reason.NOT_CANONICAL


@given(one=LISTS, other=LISTS)
def test_two_counts_are_one_question_only_where_every_row_counts_alike(
    one: Conditions, other: Conditions
) -> None:
    rows = itertools.product((*range(-5, 6), None), ("no", "yes", "stopped", None), (0, 1))
    both = [ask(Count(of=conditions)) for conditions in (one, other)]
    if None in both:
        return

    counted = [
        [all(meets(row, condition) for condition in of) for of in (one, other)]
        for row in (dict(zip(("marker", "smokes", "ill"), values, strict=True)) for values in rows)
    ]

    is_alike = all(first == second for first, second in counted)
    assert (both[0] == both[1]) <= is_alike


def meets(row: dict[str, Any], condition: Condition) -> bool:
    value = row[condition.column]
    if value is None:
        return False
    if condition.is_one_of:
        return str(value) in condition.is_one_of
    return (condition.at_least is None or value >= condition.at_least) and (
        condition.below is None or value < condition.below
    )


def test_conditions_on_one_column_are_joined_and_open_ends_closed_by_the_public_bounds() -> None:
    """SUM-ASK-1."""
    written = Count(
        of=(Condition(column="age", at_least=18), SMOKES, Condition(column="age", below=65.0), ILL)
    )

    asked = json.loads(canonicalise(written, SCHEMA).encode())

    assert asked == {
        "measure": "count",
        "groups": [
            {
                "among": [],
                "of": [
                    {"column": "age", "at_least": 18, "below": 65},
                    {"column": "ill", "is": ["1"]},
                    {"column": "smokes", "is": ["yes"]},
                ],
            }
        ],
    }
    alike = Count(of=(Condition(column="marker", at_least=-5.0),))
    assert ask(alike) != ask(Count())  # whose marker is missing is not counted
    assert ask(Count(of=(Condition(column="marker", below=1.0),))) == ask(
        Count(of=(Condition(column="marker", below=1.0), *alike.of))
    )
    assert ask(Count(of=(Condition(column="marker", at_least=-0.0),))) == ask(
        Count(of=(Condition(column="marker", at_least=0.0),))
    )


def test_a_rate_says_the_same_whether_it_repeats_whom_it_is_among() -> None:
    assert ask(Rate(of=(ILL,), among=(SMOKES,))) == ask(Rate(of=(ILL, SMOKES), among=(SMOKES,)))
    assert ask(Rate(of=(ILL,), among=(SMOKES,))) != ask(Rate(of=(SMOKES,), among=(ILL,)))
    ratio = Ratio(of=(ILL,), among=(SMOKES,), against=(NEVER,))
    assert ask(ratio) != ask(Ratio(of=(ILL,), among=(NEVER,), against=(SMOKES,)))


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (Count(of=(Condition(column="weight", at_least=1),)), "no column 'weight'"),
        (Count(of=(Condition(column="smokes", is_one_of=("often",)),)), "smokes is never 'often'"),
        (Count(of=(Condition(column="smokes", at_least=1),)), "smokes has words"),
        (Count(of=(Condition(column="smokes"),)), "smokes has words"),
        (Count(of=(Condition(column="age", is_one_of=("7",)),)), "age has numbers"),
        (Count(of=(Condition(column="age"),)), "age has numbers"),
        (Count(of=(Condition(column="age", at_least=121),)), "age lies between 0 and 120"),
        (Count(of=(Condition(column="age", below=-1),)), "age lies between 0 and 120"),
        (Count(of=(Condition(column="age", below=0),)), "age lies between 0 and 120"),
        (Count(of=(Condition(column="age", at_least=9, below=9),)), "nobody: age"),
        (Count(of=(SMOKES, NEVER)), "nobody: smokes"),
        (
            Count(of=(Condition(column="age", at_least=50), Condition(column="age", below=40))),
            "nobody: age",
        ),
        (Rate(of=()), "by definition"),
        (Rate(of=(ILL,), among=(ILL, SMOKES)), "by definition"),
        (Ratio(of=(ILL,), among=(SMOKES,), against=(SMOKES,)), "two groups"),
    ],
)
def test_what_the_rows_cannot_answer_is_refused_by_name(question: Question, says: str) -> None:
    assert says in refuse(question)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b'{"type":"sum","of":[]}',
        b'{"type":"count","of":[{"column":"age","at_least":NaN}]}',
        b'{"type":"count","of":[{"column":"age","at_least":1e999}]}',
        b'{"type":"count","of":[{"column":"age","above":1}]}',
        b'{"type":"count","of":' + b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_question_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        canonicalise(read_question(raw), SCHEMA)

    assert refused.value.reason is Reason.QUESTION_INVALID


def test_a_question_has_a_limit_of_size() -> None:
    with pytest.raises(Refused) as refused:
        read_question(b" " * 262_145)

    assert refused.value.reason is Reason.INPUT_TOO_LARGE


@pytest.mark.parametrize(
    "change",
    [
        {"measure": "rate"},
        {"measure": "ratio"},
        {"groups": []},
        {"groups": [{"among": [{"column": "ill", "is": ["1"]}], "of": [{"column": "ill", "is": ["1"]}]}]},
        {"groups": [{"among": [], "of": [{"column": "weight", "at_least": 1}]}]},
        {"groups": [{"among": [], "of": [{"column": "age", "below": 9}]}]},
        {"groups": [{"among": [], "of": [{"column": "smokes", "is": ["yes", "no"]}]}]},
    ],
)
def test_a_site_reads_no_question_but_in_its_canonical_form(change: dict[str, Any]) -> None:
    """Whoever asks might send anything: another spelling would be another answer to one question."""
    asked = json.loads(canonicalise(Count(of=()), SCHEMA).encode()) | change

    with pytest.raises(Refused):
        read_asked(json.dumps(asked, separators=(",", ":"), sort_keys=True).encode(), SCHEMA)


def test_a_run_is_named_by_study_datasets_question_and_attempt() -> None:
    """SUM-ASK-2: frozen, for another name would be another answer."""
    count, other = canonicalise(Count(of=(ILL,)), SCHEMA), canonicalise(Count(of=(SMOKES,)), SCHEMA)
    name = name_run(STUDY, DATASETS, count, attempt=0)

    others = {
        name_run(STUDY, DATASETS, count, attempt=1),
        name_run(STUDY, DATASETS[:2], count, attempt=0),
        name_run(STUDY, DATASETS, other, attempt=0),
        name_run(StudyId(DATASETS[0]), DATASETS, count, attempt=0),
    }

    assert len(others | {name}) == 5
    assert (name, name_answer(name)) == ("ye7np5hegovz3f4p727mo7mrrm", "x4wc76zixwz73wl3qp6xdtd57u")
