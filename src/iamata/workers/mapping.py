"""Answer questions in order, here and in another process at once: two implementations of a port.

A question goes to the process when it is free, and else is answered here, so that whoever is faster does
more. The answers are the same either way, for both call the same function.
"""

import dataclasses
import functools
import importlib
import typing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Generic

import msgspec

from iamata.model.reasons import Refused
from iamata.ports import AnswerT, QuestionT
from iamata.workers.process import WorkerProcess

UNDER_WAY_MAX: Final = 2
"""Questions that the process has at a time: one that it works on, and the next."""
AHEAD_MAX: Final = 8
"""Questions that are answered already, or under way, while the oldest one's answer is awaited."""


class InlineWorkers:
    """Answers everything here."""

    def map(
        self, work: Callable[[QuestionT], Sequence[AnswerT]], questions: Iterable[QuestionT]
    ) -> Iterator[tuple[QuestionT, Sequence[AnswerT]]]:
        """Give each question back with its answers."""
        for question in questions:
            yield question, work(question)

    def close(self) -> None:
        """Do nothing: there is nothing to end."""


INLINE: Final = InlineWorkers()


class ProcessWorkers:
    """Answers here and in one other process, which starts when there is more than one question."""

    def __init__(self) -> None:
        self.process = WorkerProcess("iamata.workers.mapping:answer")

    def map(
        self, work: Callable[[QuestionT], Sequence[AnswerT]], questions: Iterable[QuestionT]
    ) -> Iterator[tuple[QuestionT, Sequence[AnswerT]]]:
        """Give each question back with its answers, in order; a refusal to ask comes after those before."""
        refusals: list[Refused] = []
        round_ = _Round(self.process, work)
        try:
            for number, question in enumerate(_read_until_refused(questions, refusals)):
                if number:
                    self.process.start()
                round_.begin(question)
                while round_.has_next(ahead_max=AHEAD_MAX):
                    yield round_.finish_next()
            while round_.has_next(ahead_max=0):
                yield round_.finish_next()
        finally:
            round_.abandon()
        for refused in refusals:
            raise refused

    def close(self) -> None:
        """End the process."""
        self.process.close()


@dataclasses.dataclass(slots=True)
class _Asked(Generic[QuestionT, AnswerT]):
    question: QuestionT
    answers: Sequence[AnswerT] | None
    """None while the process has the question."""


class _Round(Generic[QuestionT, AnswerT]):
    """One function's questions: those that were asked, until their turn comes to be given back."""

    def __init__(self, process: WorkerProcess, work: Callable[[QuestionT], Sequence[AnswerT]]) -> None:
        self._process = process
        self._work = work
        self._name = f"{work.__module__}:{work.__qualname__}"
        self._decoder = msgspec.msgpack.Decoder(_read_types(work)[1])
        self._asked: deque[_Asked[QuestionT, AnswerT]] = deque()

    def begin(self, question: QuestionT) -> None:
        """Give a question to the process if it is free, or else answer it."""
        self._collect()
        under_way = sum(one.answers is None for one in self._asked)
        is_elsewhere = (
            under_way < UNDER_WAY_MAX
            and self._process.is_ready()
            and self._process.ask(msgspec.msgpack.encode((self._name, question)))
        )
        self._asked.append(_Asked(question, None if is_elsewhere else self._work(question)))

    def has_next(self, *, ahead_max: int) -> bool:
        """Tell whether the oldest question is answered, or so many are ahead that it must be awaited."""
        return bool(self._asked) and (self._asked[0].answers is not None or len(self._asked) > ahead_max)

    def finish_next(self) -> tuple[QuestionT, Sequence[AnswerT]]:
        """Give the oldest question back with its answers."""
        one = self._asked.popleft()
        return one.question, self._receive(one.question) if one.answers is None else one.answers

    def abandon(self) -> None:
        """End the process if it still owes answers: nobody will ask for them."""
        if any(one.answers is None for one in self._asked):
            self._process.discard()

    def _collect(self) -> None:
        """Take in what the process has answered meanwhile."""
        for one in self._asked:
            if one.answers is None:
                if not self._process.has_answered():
                    return
                one.answers = self._receive(one.question)

    def _receive(self, question: QuestionT) -> Sequence[AnswerT]:
        """Return the process' answers, or ours where they never come or are not to this question."""
        raw = self._process.await_answer()
        if raw is not None:
            try:
                answers: Sequence[AnswerT] = self._decoder.decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                answers = ()
            if len(answers) == len(question):
                return answers
            self._process.give_up()
        return self._work(question)


def answer(raw: bytes) -> bytes:
    """Answer one question, in the other process."""
    name, question = _QUESTIONS.decode(raw)
    work, decoder = _find_work(name)
    return msgspec.msgpack.encode(work(decoder.decode(question)))


@functools.lru_cache(maxsize=16)
def _find_work(name: str) -> tuple[Callable[[Any], object], "msgspec.msgpack.Decoder[Any]"]:
    module, _, function = name.partition(":")
    work = getattr(importlib.import_module(module), function)
    return work, msgspec.msgpack.Decoder(_read_types(work)[0])


def _read_types(work: Callable[..., object]) -> tuple[Any, Any]:
    """Read from its annotations what a function takes and what it returns."""
    question, answers = typing.get_type_hints(work).values()
    return question, answers


def _read_until_refused(questions: Iterable[QuestionT], refusals: list[Refused]) -> Iterator[QuestionT]:
    """Read questions; set apart the refusal that ends them, so that those before it are answered first."""
    try:
        yield from questions
    except Refused as refused:
        refusals.append(refused)


_QUESTIONS: Final = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])
