"""Canonical JSON against RFC 8785's published vectors, and the ledger's narrower language."""

import hashlib
import itertools
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.model.canonical import (
    DEPTH_MAX,
    INTEGER_MAX,
    LEDGER_JSON_BYTES_MAX,
    decode_strict,
    encode_canonical,
    encode_struct,
)
from iamata.model.reasons import Reason, Refused

NAMES = ["arrays", "french", "structures", "unicode", "values", "weird"]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
integers = st.integers(-INTEGER_MAX, INTEGER_MAX)
ledger_values = st.recursive(
    texts | integers | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
ledger_objects = st.dictionaries(texts, ledger_values, max_size=5)
any_values = st.recursive(
    texts | integers | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


class Sample(msgspec.Struct):
    """A struct as the ledger has them: text, numbers and nesting under ASCII names."""

    text: str
    number: int
    flags: list[bool]
    an_other: dict[str, str]


def reason_for(raw: bytes) -> Reason | None:
    try:
        decode_strict(raw)
    except Refused as refused:
        return refused.reason
    return None


def list_published_numbers(readme: str) -> Iterator[bytes]:
    """Generate the published sequence of IEEE 754 numbers by the algorithm in its description."""
    for text in re.findall(r"0x([0-9a-f]{16})n,", readme):
        yield bytes.fromhex(text)
    for serial in range(2_000):
        yield (0x0010000000000000 + serial).to_bytes(8, "big")
    block = bytes(32)
    while True:
        block = hashlib.sha256(block).digest()
        for at in range(0, 32, 8):
            number = block[at : at + 8][::-1]
            if (
                struct.unpack(">d", number)[0] != 0
                and (int.from_bytes(number, "big") >> 52) & 0x7FF != 0x7FF
            ):
                yield number


@pytest.mark.parametrize("name", NAMES)
def test_every_published_document_becomes_the_published_bytes(shared_data: Path, name: str) -> None:
    value = json.loads((shared_data / f"jcs/input/{name}.json").read_text(encoding="utf-8"))
    expected = bytes.fromhex((shared_data / f"jcs/outhex/{name}.txt").read_text())

    assert encode_canonical(value) == expected
    assert (shared_data / f"jcs/output/{name}.json").read_bytes() == expected


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_ten_thousand_numbers_are_spelled_as_published(shared_data: Path, count: int) -> None:
    """The publisher gives the digest of the whole list: one wrong digit anywhere would show."""
    readme = (shared_data / "jcs/README.md").read_text(encoding="utf-8")
    (expected,) = re.findall(rf"\| ([0-9a-f]{{64}}) \| {count} +\|", readme)
    lines = hashlib.sha256()

    for number in itertools.islice(list_published_numbers(readme), count):
        value = struct.unpack(">d", number)[0]
        lines.update(f"{int.from_bytes(number, 'big'):x},".encode() + encode_canonical(value) + b"\n")

    assert lines.hexdigest() == expected


@given(any_values)
def test_what_is_written_reads_back_and_writes_the_same(value: object) -> None:
    written = encode_canonical(value)
    # As in ECMAScript there is one kind of number: a large float is written without an exponent.
    read = json.loads(written, parse_int=float)

    assert read == value
    assert encode_canonical(read) == written


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), 2**53, -(2**53), "\ud800", {"\udc00": 1}, b"bytes", {1, 2}],
)
def test_what_json_has_no_word_for_is_not_written(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  several sentences, one meaning
        encode_canonical(value)


@given(ledger_objects)
def test_a_ledger_object_is_read_back_from_its_canonical_bytes(value: dict[str, object]) -> None:
    assert decode_strict(encode_canonical(value)) == value


@given(ledger_objects)
def test_any_other_spelling_of_an_object_is_refused(value: dict[str, object]) -> None:
    canonical = encode_canonical(value)
    for other in (
        json.dumps(value, sort_keys=True).encode(),
        json.dumps(value, ensure_ascii=False, indent=1).encode(),
        json.dumps(dict(reversed(value.items())), ensure_ascii=False, separators=(",", ":")).encode(),
        canonical + b"\n",
        b" " + canonical,
    ):
        assert other == canonical or reason_for(other) is Reason.NOT_CANONICAL


@given(st.binary(max_size=100) | texts.map(str.encode))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert reason_for(raw) is not None or raw == encode_canonical(json.loads(raw))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"[]", Reason.MALFORMED),
        (b'"text"', Reason.MALFORMED),
        (b"1", Reason.MALFORMED),
        (b"null", Reason.MALFORMED),
        (b'{"a":null}', Reason.MALFORMED),
        (b'{"a":[null]}', Reason.MALFORMED),
        (b'{"a":1.0}', Reason.MALFORMED),
        (b'{"a":1e2}', Reason.MALFORMED),
        (b'{"a":NaN}', Reason.MALFORMED),
        (b'{"a":Infinity}', Reason.MALFORMED),
        (b'{"a":-Infinity}', Reason.MALFORMED),
        (b'{"a":9007199254740992}', Reason.MALFORMED),
        (b'{"a":-9007199254740992}', Reason.MALFORMED),
        (b'{"a":' + b"9" * 5_000 + b"}", Reason.MALFORMED),
        (b'{"a":1,"a":1}', Reason.MALFORMED),
        (b'{"b":{"a":1,"a":2}}', Reason.MALFORMED),
        (b'{"a":1,"\\u0061":2}', Reason.MALFORMED),
        (b'{"a":"\\ud800"}', Reason.MALFORMED),
        (b'{"\\udc00":1}', Reason.MALFORMED),
        (b'{"a":"\xff"}', Reason.MALFORMED),
        (b'{"a":"\xed\xa0\x80"}', Reason.MALFORMED),
        (b'\xef\xbb\xbf{"a":1}', Reason.MALFORMED),
        ('{"a":1}'.encode("utf-16"), Reason.MALFORMED),
        (b'{"a":"\x01"}', Reason.MALFORMED),
        (b'{"a":1', Reason.MALFORMED),
        (b'{"a":1}{}', Reason.MALFORMED),
        (b'{"a":01}', Reason.MALFORMED),
        (b'{"a":-0}', Reason.NOT_CANONICAL),
        (b'{"b":1,"a":2}', Reason.NOT_CANONICAL),
        (b'{"a": 1}', Reason.NOT_CANONICAL),
        (b'{"a":"\\/"}', Reason.NOT_CANONICAL),
        (b'{"a":"\\u0041"}', Reason.NOT_CANONICAL),
        (b'{"a":"\\u001F"}', Reason.NOT_CANONICAL),
        ('{"\uffff":1,"\U0001f600":2}'.encode(), Reason.NOT_CANONICAL),
        (b'{"a":"' + b"x" * LEDGER_JSON_BYTES_MAX + b'"}', Reason.TOO_LARGE),
        (b'{"a":' + b"[" * 16_000, Reason.MALFORMED),
    ],
)
def test_each_refusal_has_its_reason(raw: bytes, reason: Reason) -> None:
    assert reason_for(raw) is reason


def test_nesting_is_read_to_its_limit_and_no_deeper() -> None:
    def nest(depth: int) -> bytes:
        return b'{"a":' * depth + b"1" + b"}" * depth

    assert reason_for(nest(DEPTH_MAX - 1)) is None
    assert reason_for(nest(DEPTH_MAX)) is Reason.MALFORMED


def test_unicode_is_not_normalised() -> None:
    composed, decomposed = '{"a":"\u00e9"}'.encode(), '{"a":"e\u0301"}'.encode()

    assert decode_strict(composed) != decode_strict(decomposed)


@given(texts, integers, st.lists(st.booleans(), max_size=3), st.dictionaries(st.sampled_from("abc"), texts))
def test_the_fast_encoder_writes_structs_as_the_plain_one_does(
    text: str, number: int, flags: list[bool], other: dict[str, str]
) -> None:
    sample = Sample(text=text, number=number, flags=flags, an_other=other)

    assert encode_struct(sample) == encode_canonical(msgspec.to_builtins(sample))
