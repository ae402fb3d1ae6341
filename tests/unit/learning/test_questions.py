"""One question has one spelling and one name; what cannot be counted is refused."""

import itertools
import json
import random
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


def ask(question: Question, schema: Schema = SCHEMA) -> bytes | None:
    """Spell a question canonically; None where it is refused."""
    try:
        return canonicalise(question, schema).encode()
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


HALVES = (-0.5, 0.0, 0.5, 1.0)
NAMES = ("word", "number", "y")
OUTCOMES = (
    Outcome(name="y"),
    Outcome(name="y", low=0.5),
    Outcome(name="y", kind="number", low=-0.5, high=1.0),
    Outcome(name="y", kind="count", low=-0.5, high=1.5),
)


def list_values(schema: Schema, name: str) -> list[Any]:
    """List what may stand in a column of a small schema, None where a value may be missing."""
    if name == "y":
        low, high, is_number = schema.outcome.low, schema.outcome.high, schema.outcome.kind == "number"
        return [half for half in HALVES if low <= half <= high and (is_number or half.is_integer())]
    values: tuple[Any, ...] = ("a", "b") if name == "word" else HALVES
    return [*values, *([None] if schema.get_column(name).missing == "indicator" else [])]


def list_conditions(schema: Schema, name: str) -> list[Condition]:
    """List every condition on a column of a small schema, and some that it refuses."""
    if name == "word" or (name == "y" and schema.outcome.kind == "binary"):
        words = ("a", "b") if name == "word" else ("0", "1")
        orders = [order for size in (1, 2) for order in itertools.permutations(words, size)]
        return [Condition(column=name, is_one_of=order) for order in orders]
    ends = itertools.product((None, *HALVES), repeat=2)
    return [Condition(column=name, at_least=low, below=high) for low, high in ends]


def tell_apart(question: Question, met: dict[Condition, frozenset[int]], rows: frozenset[int]) -> Any:
    """Say which rows are in a question's groups and which of them are so; None where that says nothing."""

    def find(*conditions: Condition) -> frozenset[int]:
        return rows.intersection(*(met[one] for one in conditions))

    if isinstance(question, Count):
        return find(*question.of) or None
    sides = (question.among,) if isinstance(question, Rate) else (question.among, question.against)
    groups = [(find(*one), find(*one, *question.of)) for one in sides]
    is_told = all(so and so != among for among, so in groups) and groups[1:] != groups[:1]
    return frozenset(groups) if is_told else None


@pytest.mark.parametrize("missing", list(itertools.product(("refuse", "indicator"), repeat=2)))
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_two_questions_are_one_exactly_where_no_row_tells_them_apart(
    outcome: Outcome, missing: tuple[Any, Any]
) -> None:
    """SUM-ASK-1, of one condition or two on each side, by all rows that a schema allows."""
    word = Categorical(name="word", categories=("a", "b"), missing=missing[0])
    number = Numeric(name="number", low=-0.5, high=1.0, missing=missing[1])
    schema = Schema(columns=(word, number), outcome=outcome)
    table = [
        dict(zip(NAMES, row, strict=True))
        for row in itertools.product(*(list_values(schema, one) for one in NAMES))
    ]
    single = [
        one for name in NAMES for one in list_conditions(schema, name) if ask(Count(of=(one,)), schema)
    ]
    met = {one: frozenset(at for at, row in enumerate(table) if meets(row, one)) for one in single}
    lists = [(), *((one,) for one in single), *itertools.combinations(single, 2)]
    chance = random.Random(7)
    questions: list[Question] = [Count(of=of) for of in lists]
    questions += [Rate(of=chance.choice(lists), among=chance.choice(lists)) for _ in range(300)]
    for _ in range(100):
        of, among, against = (chance.choice(lists) for _ in range(3))
        questions += [
            Ratio(of=of, among=among, against=against),
            Ratio(of=of, among=against, against=among),
        ]

    forms: dict[Any, set[bytes | None]] = {}
    meanings: dict[bytes | None, set[Any]] = {}
    for question in questions:
        form = ask(question, schema)
        meaning = tell_apart(question, met, frozenset(range(len(table))))
        forms.setdefault((type(question), meaning), set()).add(form)
        meanings.setdefault(form, set()).add((type(question), meaning))

    assert all(len(found) == 1 for found in forms.values())
    assert all(len(found) == 1 for form, found in meanings.items() if form is not None)
    assert {meaning for _, meaning in meanings[None]} == {None}  # what is refused is what says nothing
    assert 50 < len(meanings) < len(questions) / 2


def meets(row: dict[str, Any], condition: Condition) -> bool:
    value = row[condition.column]
    if value is None:
        return False
    if condition.is_one_of:
        return (value if isinstance(value, str) else f"{value:g}") in condition.is_one_of
    return (condition.at_least is None or value >= condition.at_least) and (
        condition.below is None or value < condition.below
    )


@pytest.mark.parametrize(
    ("everybody", "is_dropped"),
    [
        (Condition(column="ill", is_one_of=("1", "0")), True),
        (Condition(column="smokes", is_one_of=("no", "stopped", "yes")), False),
        (Condition(column="marker", at_least=-5.0), False),
    ],
)
def test_a_condition_that_every_row_meets_is_none_and_to_have_a_value_is_one(
    everybody: Condition, *, is_dropped: bool
) -> None:
    assert (ask(Count(of=(everybody,))) == ask(Count())) is is_dropped
    rates = [ask(Rate(of=(ILL,), among=among)) for among in ((everybody,), ())]
    assert (rates[0] == rates[1]) is is_dropped
    if is_dropped:
        assert "by definition" in refuse(Rate(of=(everybody,), among=(SMOKES,)))


def test_a_count_s_bounds_are_whole() -> None:
    schema = msgspec.structs.replace(SCHEMA, outcome=Outcome(name="visits", kind="count", high=9.0))

    def spell_one(at_least: float | None, below: float | None = None) -> bytes:
        question = Count(of=(Condition(column="visits", at_least=at_least, below=below),))
        return canonicalise(question, schema).encode()

    assert spell_one(0.5, 2.5) == spell_one(1.0, 3.0)
    assert spell_one(0.0) == canonicalise(Count(), schema).encode()
    assert spell_one(None, 8.5) == spell_one(0.0, 9.0) != spell_one(0.0)
    with pytest.raises(Refused, match="nobody"):
        spell_one(1.2, 1.8)


def test_a_question_has_no_more_columns_than_a_site_reads() -> None:
    columns = tuple(Numeric(name=f"c{at}", low=0.0, high=9.0) for at in range(65))
    schema = Schema(columns=columns, outcome=Outcome(name="ill"))
    conditions = [Condition(column=one.name, at_least=1.0) for one in columns]

    def spell_first(count: int) -> bytes:
        return canonicalise(Rate(of=tuple(conditions[1:count]), among=(conditions[0],)), schema).encode()

    assert read_asked(spell_first(64), schema).groups[0].of == tuple(sorted(conditions[:64], key=str))
    with pytest.raises(Refused, match="more than 64 columns"):
        spell_first(65)


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
    assert ask(ratio) == ask(Ratio(of=(ILL,), among=(NEVER,), against=(SMOKES,)))


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
