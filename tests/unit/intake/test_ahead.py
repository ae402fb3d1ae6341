"""Fetching ahead changes when something is read, and nothing else."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from iamata.fhir.describing import Description, ToDescribe, describe_all
from iamata.fhir.preparing import Known
from iamata.intake.ahead import Ahead
from iamata.intake.limits import Limits
from iamata.intake.pipeline import Problem, Unit, read_units
from iamata.intake.progress import Progress
from iamata.intake.rules import load_rules
from iamata.intake.sources import BEGINNING_BYTES_MAX, Source, begin_document, finish_document, read_sources
from iamata.model.reasons import Reason, Refused

_PATIENT = b'{"resourceType":"Patient","id":"%d"}'
_RULES = load_rules()


def test_items_come_in_their_order_fetched_or_not() -> None:
    ahead = Ahead(iter("abc"))
    given: list[str] = []
    for item in ahead:
        given.append(item)
        if item == "a":
            assert ahead.fetch()
            assert ahead.fetch()
    assert given == ["a", "b", "c"]
    assert not ahead.fetch()


def test_the_next_item_is_fetched_after_the_last_question_and_not_before() -> None:
    read: list[str] = []

    def take() -> Iterator[str]:
        for item in "ab":
            read.append(item)
            yield item

    ahead = Ahead(take())
    for question in ahead.fetch_after([1, 2]):
        assert (question, read) == (question, [])
    assert read == ["a"]


@pytest.mark.parametrize("refused_at", [None, 1])
def test_a_document_is_read_while_the_one_before_is_described(
    tmp_path: Path, refused_at: int | None
) -> None:
    contents = [b"{" if number == refused_at else _PATIENT % number for number in range(3)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.json").write_bytes(content)
    progress, seen = Progress(), []

    def describe(questions: Iterable[ToDescribe]) -> Iterator[tuple[ToDescribe, Sequence[Description]]]:
        for asked in list(questions):
            seen.append(progress.bytes_read)
            yield asked, describe_all(asked)

    known = Known(lambda _type, _system, _value: (), lambda _ref: True)
    units = list(read_units([tmp_path], known=known, rules=_RULES, progress=progress, describe=describe))
    sizes = [len(content) for content in contents]
    ends = [sum(sizes[: number + 2]) for number in range(3)]
    assert seen == [end for number, end in enumerate(ends) if number != refused_at]
    assert [type(unit) for unit in units] == [
        Problem if number == refused_at else Unit for number in range(3)
    ]


@pytest.mark.parametrize("more_bytes", [-1, 0, 1, 2])
def test_a_document_is_the_same_however_long_its_beginning_is(tmp_path: Path, more_bytes: int) -> None:
    size_bytes = BEGINNING_BYTES_MAX + more_bytes
    file = tmp_path / "one.json"
    file.write_bytes((_PATIENT % 1).ljust(size_bytes))

    limits = Limits(document_bytes_max=size_bytes)
    with pytest.raises(Refused) as refused:
        read_first(file, msgspec.structs.replace(limits, document_bytes_max=size_bytes - 1))
    assert refused.value.reason is Reason.INPUT_TOO_LARGE
    assert read_first(file, limits) == _PATIENT % 1


def read_first(file: Path, limits: Limits) -> bytes:
    """Read a file's document as an import does."""
    for source in read_sources([file], limits=limits, progress=Progress()):
        assert isinstance(source, Source)
        return finish_document(begin_document(source, limits), limits)
    pytest.fail("no source")
