"""Questions with a number as the answer: how many patients, at what rate, how many times as often.

A question has one canonical form, and its bytes name it: conditions on one column are joined, sorted, and
spelled with the bounds that they leave out; what every row meets is left out. So two questions are one if
no rows that the schema allows could tell them apart, whose answer is there already (EHDS, article 69). A
run that answers one bears the question's name.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from iamata.learning.schemas import Categorical, Numeric, Schema
from iamata.model.canonical import encode_canonical
from iamata.model.ids import (
    RANDOM_ID_BYTES,
    DatasetId,
    ModelId,
    RunId,
    StudyId,
    compute_random_id,
)
from iamata.model.reasons import Reason, Refused, require

QUESTION_BYTES_MAX: Final = 262_144
CONDITIONS_MAX: Final = 64
WORDS_MAX: Final = 1_000
NO_AND_YES: Final = ("0", "1")
"""How the words of an outcome read that is yes or no."""


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a row is to be in one column. A missing value meets no condition."""

    column: str
    is_one_of: Annotated[tuple[str, ...], msgspec.Meta(max_length=WORDS_MAX)] = msgspec.field(
        default=(), name="is"
    )
    """Categories."""
    at_least: float | None = None
    below: float | None = None


Conditions: TypeAlias = Annotated[tuple[Condition, ...], msgspec.Meta(max_length=CONDITIONS_MAX)]
"""All of them hold in one row; without any, every row will do."""


class Count(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="count"):
    """How many patients are so."""

    of: Conditions = ()


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rate"):
    """What part of some patients is so."""

    of: Conditions
    among: Conditions = ()


class Ratio(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ratio"):
    """How many times as often some patients are so as others: the risk ratio, of a drug for instance."""

    of: Conditions
    among: Conditions
    against: Conditions


Question: TypeAlias = Count | Rate | Ratio
Measure: TypeAlias = Literal["count", "rate", "ratio"]


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Patients, and which of them are so: `of` has the conditions of `among` in it."""

    among: Conditions
    of: Conditions


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question in its canonical form."""

    measure: Measure
    groups: Annotated[tuple[Group, ...], msgspec.Meta(min_length=1, max_length=2)]

    def encode(self) -> bytes:
        """Spell the question in its canonical bytes."""
        return encode_canonical(msgspec.to_builtins(self))

    def compute_digest(self) -> bytes:
        """Return what names the question, however it was worded."""
        return hashlib.sha256(b"iamata/1/question\x00" + self.encode()).digest()


class _Range(msgspec.Struct, frozen=True, kw_only=True):
    """What a column's values may be: one of some words, or a number within bounds."""

    words: tuple[str, ...] = ()
    """None where it has numbers."""
    low: float = 0.0
    high: float = 0.0
    is_whole: bool = False
    may_miss: bool = False


def read_question(raw: bytes) -> Question:
    """Read a question as somebody words it, or refuse."""
    require(len(raw) <= QUESTION_BYTES_MAX, Reason.INPUT_TOO_LARGE, "the question")
    try:
        question: Question = msgspec.json.decode(raw, type=Question)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.QUESTION_INVALID, str(error)) from error
    return question


def canonicalise(question: Question, schema: Schema) -> Asked:
    """Put a question into its canonical form, or refuse one that a schema's rows cannot answer."""
    match question:
        case Count(of=of):
            return _spell("count", [((), of)], schema)
        case Rate(of=of, among=among):
            return _spell("rate", [(among, of)], schema)
        case Ratio(of=of, among=among, against=against):
            return _spell("ratio", [(among, of), (against, of)], schema)


def read_asked(raw: bytes, schema: Schema) -> Asked:
    """Read a question that is in its canonical form, or refuse any other spelling."""
    require(len(raw) <= QUESTION_BYTES_MAX, Reason.INPUT_TOO_LARGE, "the question")
    try:
        asked = msgspec.json.decode(raw, type=Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.QUESTION_INVALID, "it is none") from error
    groups = [(() if asked.measure == "count" else one.among, one.of) for one in asked.groups]
    is_whole = len(groups) == (2 if asked.measure == "ratio" else 1)
    is_canonical = is_whole and _spell(asked.measure, groups, schema).encode() == raw
    require(is_canonical, Reason.NOT_CANONICAL, "the question")
    return asked


def name_run(study: StudyId, datasets: Sequence[DatasetId], asked: Asked, *, attempt: int) -> RunId:
    """Name the run that answers a question over some datasets; `attempt` counts those that failed before.

    The ledger lets an id be used once: so nobody gets a second answer, whose noise would be another.
    """
    named = hashlib.sha256(b"iamata/1/question-run\x00" + study.encode("ascii") + b"\x00")
    named.update("\x00".join(datasets).encode("ascii") + b"\x00" + asked.compute_digest())
    named.update(attempt.to_bytes(2, "big"))
    return RunId(compute_random_id(named.digest()[:RANDOM_ID_BYTES]))


def name_answer(run: RunId) -> ModelId:
    """Name what a run that answers a question comes to: so an answer is told from a model by its id."""
    named = hashlib.sha256(b"iamata/1/answer\x00" + run.encode("ascii")).digest()
    return ModelId(compute_random_id(named[:RANDOM_ID_BYTES]))


def _spell(measure: Measure, groups: Sequence[tuple[Conditions, Conditions]], schema: Schema) -> Asked:
    """Spell a question about some groups, each by whom it is among and of; whoever asks may be anybody.

    A ratio and its inverse come of the same counts. The group whose bytes are greater is the first.
    """
    made = sorted((_make_group(among, of, schema) for among, of in groups), key=_encode, reverse=True)
    is_asking = measure == "count" or all(one.of != one.among for one in made)
    require(is_asking, Reason.QUESTION_INVALID, "whoever is counted is so by definition")
    require(made[1:] != made[:1], Reason.QUESTION_INVALID, "a ratio compares two groups")
    return Asked(measure=measure, groups=tuple(made))


def _encode(group: Group) -> bytes:
    return encode_canonical(msgspec.to_builtins(group))


def _make_group(among: Conditions, of: Conditions, schema: Schema) -> Group:
    return Group(among=_join(among, schema), of=_join((*among, *of), schema))


def _join(conditions: Conditions, schema: Schema) -> Conditions:
    """Join the conditions on each column, in the order of their names, and leave out what is always met."""
    joined: dict[str, Condition] = {}
    for one in conditions:
        spelled = _complete(one, _describe(one.column, schema))
        known = joined.get(one.column)
        joined[one.column] = spelled if known is None else _intersect(known, spelled)
    told = [name for name in sorted(joined) if not _is_always_met(joined[name], _describe(name, schema))]
    require(len(told) <= CONDITIONS_MAX, Reason.QUESTION_INVALID, f"more than {CONDITIONS_MAX} columns")
    return tuple(joined[name] for name in told)


def _complete(one: Condition, range_: _Range) -> Condition:
    """Spell a condition out, or refuse one that the column cannot meet."""
    return _complete_words(one, range_.words) if range_.words else _complete_numbers(one, range_)


def _complete_words(one: Condition, words: tuple[str, ...]) -> Condition:
    is_of_words = one.at_least is None and one.below is None and bool(one.is_one_of)
    require(is_of_words, Reason.QUESTION_INVALID, f"{one.column} has words: {', '.join(words)}")
    unknown = [word for word in one.is_one_of if word not in words]
    require(not unknown, Reason.QUESTION_INVALID, f"{one.column} is never {', '.join(unknown)!a}")
    return Condition(column=one.column, is_one_of=tuple(word for word in words if word in one.is_one_of))


def _complete_numbers(one: Condition, range_: _Range) -> Condition:
    is_of_numbers = not one.is_one_of and (one.at_least is not None or one.below is not None)
    require(is_of_numbers, Reason.QUESTION_INVALID, f"{one.column} has numbers: at least, or below")
    low, high = range_.low, range_.high
    at_least = low if one.at_least is None else one.at_least
    is_within = low <= at_least <= high and (one.below is None or low < one.below <= high)
    detail = f"{one.column} lies between {low:g} and {high:g}"
    require(is_within, Reason.QUESTION_INVALID, detail)
    below = one.below
    if range_.is_whole:
        at_least, below = math.ceil(at_least), None if below is None else math.ceil(below)
    require(below is None or at_least < below, Reason.QUESTION_INVALID, f"nobody: {one.column}")
    # Zero has two signs, and one spelling.
    return Condition(
        column=one.column, at_least=at_least + 0.0, below=None if below is None else below + 0.0
    )


def _is_always_met(one: Condition, range_: _Range) -> bool:
    """Tell whether every row meets a condition. Where values may be missing, to have one is a condition."""
    if range_.may_miss:
        return False
    if range_.words:
        return one.is_one_of == range_.words
    return one.at_least == range_.low and one.below is None


def _intersect(one: Condition, other: Condition) -> Condition:
    if one.is_one_of:
        both = tuple(word for word in one.is_one_of if word in other.is_one_of)
        require(bool(both), Reason.QUESTION_INVALID, f"nobody: {one.column}")
        return Condition(column=one.column, is_one_of=both)
    at_least = max(_or_least(one.at_least), _or_least(other.at_least))
    below = min((end for end in (one.below, other.below) if end is not None), default=None)
    require(below is None or at_least < below, Reason.QUESTION_INVALID, f"nobody: {one.column}")
    return Condition(column=one.column, at_least=at_least, below=below)


def _or_least(number: float | None) -> float:
    return float("-inf") if number is None else number


def _describe(name: str, schema: Schema) -> _Range:
    """Return what a column's values may be, or refuse a name that no column has."""
    outcome = schema.outcome
    if name == outcome.name:
        low, high = outcome.low, outcome.high
        match outcome.kind:
            case "binary":
                words = tuple(word for word in NO_AND_YES if low <= float(word) <= high)
                return _Range(words=words)
            case "count":
                return _Range(low=math.ceil(low), high=math.floor(high), is_whole=True)
            case "number":
                return _Range(low=low, high=high)
    for column in schema.columns:
        if column.name == name:
            may_miss = column.missing != "refuse"
            match column:
                case Categorical(categories=categories):
                    return _Range(words=categories, may_miss=may_miss)
                case Numeric(low=low, high=high):
                    return _Range(low=low, high=high, may_miss=may_miss)
    raise Refused(Reason.QUESTION_INVALID, f"no column {name!a}")
