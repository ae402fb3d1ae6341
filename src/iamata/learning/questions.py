"""Questions with a number as the answer: how many patients, at what rate, how many times as often.

A question has one canonical form, and its bytes name it: conditions on one column are joined, sorted, and
spelled with the bounds that they leave out. So the same question in other words is the same question,
whose answer is there already (EHDS, article 69). A run that answers one bears the question's name.
"""

import hashlib
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
            return Asked(measure="count", groups=(Group(among=(), of=_join(of, schema)),))
        case Rate(of=of, among=among):
            return Asked(measure="rate", groups=(_make_group(of, among, schema),))
        case Ratio(of=of, among=among, against=against):
            groups = (_make_group(of, among, schema), _make_group(of, against, schema))
            require(groups[0] != groups[1], Reason.QUESTION_INVALID, "a ratio compares two groups")
            return Asked(measure="ratio", groups=groups)


def read_asked(raw: bytes, schema: Schema) -> Asked:
    """Read a question that is in its canonical form, or refuse any other spelling."""
    require(len(raw) <= QUESTION_BYTES_MAX, Reason.INPUT_TOO_LARGE, "the question")
    try:
        asked = msgspec.json.decode(raw, type=Asked)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.QUESTION_INVALID, "it is none") from error
    require(asked.encode() == raw and _is_canonical(asked, schema), Reason.NOT_CANONICAL, "the question")
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


def _is_canonical(asked: Asked, schema: Schema) -> bool:
    """Tell whether every group is spelled as it would be here; whoever sent it may be anybody."""
    groups = asked.groups
    is_ratio = asked.measure == "ratio"
    if (len(groups) > 1) != is_ratio or (is_ratio and groups[0] == groups[1]):
        return False
    if asked.measure == "count":
        return not groups[0].among and groups[0].of == _join(groups[0].of, schema)
    return all(one == _make_group(one.of, one.among, schema) for one in groups)


def _make_group(of: Conditions, among: Conditions, schema: Schema) -> Group:
    group = Group(among=_join(among, schema), of=_join((*among, *of), schema))
    require(group.of != group.among, Reason.QUESTION_INVALID, "whoever is counted is so by definition")
    return group


def _join(conditions: Conditions, schema: Schema) -> Conditions:
    """Join the conditions on each column into one, in the order of their names."""
    joined: dict[str, Condition] = {}
    for one in conditions:
        spelled = _complete(one, schema)
        known = joined.get(one.column)
        joined[one.column] = spelled if known is None else _intersect(known, spelled)
    return tuple(joined[name] for name in sorted(joined))


def _complete(one: Condition, schema: Schema) -> Condition:
    """Spell a condition out, or refuse one that the column cannot meet."""
    words, (low, high) = _describe(one.column, schema)
    if words:
        is_of_words = one.at_least is None and one.below is None and bool(one.is_one_of)
        require(is_of_words, Reason.QUESTION_INVALID, f"{one.column} has words: {', '.join(words)}")
        unknown = [word for word in one.is_one_of if word not in words]
        require(not unknown, Reason.QUESTION_INVALID, f"{one.column} is never {', '.join(unknown)!a}")
        return Condition(
            column=one.column, is_one_of=tuple(word for word in words if word in one.is_one_of)
        )
    is_of_numbers = not one.is_one_of and (one.at_least is not None or one.below is not None)
    require(is_of_numbers, Reason.QUESTION_INVALID, f"{one.column} has numbers: at least, or below")
    at_least = low if one.at_least is None else one.at_least
    is_within = low <= at_least <= high and (one.below is None or low < one.below <= high)
    detail = f"{one.column} lies between {low:g} and {high:g}"
    require(is_within, Reason.QUESTION_INVALID, detail)
    require(one.below is None or at_least < one.below, Reason.QUESTION_INVALID, f"nobody: {one.column}")
    # Zero has two signs, and one spelling.
    return Condition(
        column=one.column, at_least=at_least + 0.0, below=None if one.below is None else one.below + 0.0
    )


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


def _describe(name: str, schema: Schema) -> tuple[tuple[str, ...], tuple[float, float]]:
    """Return a column's words, none where it has numbers, and its public bounds."""
    outcome = schema.outcome
    if name == outcome.name:
        return NO_AND_YES if outcome.kind == "binary" else (), (outcome.low, outcome.high)
    for column in schema.columns:
        if column.name == name:
            match column:
                case Categorical(categories=categories):
                    return categories, (0.0, 0.0)
                case Numeric(low=low, high=high):
                    return (), (low, high)
    raise Refused(Reason.QUESTION_INVALID, f"no column {name!a}")
