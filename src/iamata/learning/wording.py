"""Questions and their answers in words, for those who write and read them."""

import re
from collections.abc import Iterator
from typing import Final

from iamata.learning.answers import COUNT_MIN, Answer, Estimate
from iamata.learning.questions import Asked, Condition, Conditions, Group
from iamata.model.reasons import Reason, Refused

EVERYBODY: str = "all patients"
CONDITION: Final = re.compile(r"(?P<column>[^<>=]+)(?P<sign>>=|<|=)(?P<value>.*)\Z", re.DOTALL)
FORMS: Final = "COLUMN=WORD,WORD… or COLUMN>=NUMBER or COLUMN<NUMBER"


def spell_question(asked: Asked) -> str:
    """Say what was asked."""
    first = asked.groups[0]
    match asked.measure:
        case "count":
            return f"How many patients: {spell_conditions(first.of)}?"
        case "rate":
            return f"Of {spell_conditions(first.among)}: what part is {_spell_so(first)}?"
        case "ratio":
            last = asked.groups[1]
            return (
                f"Of {spell_conditions(first.among)}: how many times as often {_spell_so(first)}, "
                f"as of {spell_conditions(last.among)} {_spell_so(last)}?"
            )


def spell_answer(answer: Answer) -> Iterator[str]:
    """Say what came of it, what the interval means, and what was spent."""
    result, percent = answer.result, f"{answer.confidence:.0%}"
    if result is None:
        yield f"Too few to tell: a count in it, with its noise, is below {COUNT_MIN}."
    else:
        yield f"{spell_number(answer, result.value)} ({spell_interval(answer, result)})"
        yield f"With {percent} confidence the number without noise lies there."
    yield f"Noise in each count: standard deviation {answer.deviation:g}; over {answer.sites} sites."
    yield f"Spent: ε = {answer.epsilon:g} (δ = {answer.delta:g}) of the study's budget and of each site's."


def spell_interval(answer: Answer, estimate: Estimate) -> str:
    """Say where a number lies."""
    low = spell_number(answer, estimate.low)
    if estimate.high is None:
        return f"at least {low}"
    return f"{low} to {spell_number(answer, estimate.high)}"


def spell_number(answer: Answer, number: float) -> str:
    """Spell a count, a rate in percent, or a ratio."""
    match answer.question.measure:
        case "count":
            return f"{number:,.0f}"
        case "rate":
            return f"{number:.1%}"
        case "ratio":
            return f"{number:.2f}"


def spell_conditions(conditions: Conditions) -> str:
    """Say whom some conditions mean."""
    return " and ".join(map(_spell_condition, conditions)) or EVERYBODY


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


def _spell_so(group: Group) -> str:
    return spell_conditions(tuple(one for one in group.of if one not in group.among))


def _spell_condition(one: Condition) -> str:
    if one.is_one_of:
        return f"{one.column} is {' or '.join(one.is_one_of)}"
    end = "" if one.below is None else f" and below {one.below:g}"
    return f"{one.column} at least {one.at_least:g}{end}"
