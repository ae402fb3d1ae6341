"""A body stays exact, and what is no resource is refused with its reason."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.fhir.exact import RESOURCE_NODES_MAX
from iamata.fhir.resources import RESOURCE_DEPTH_MAX, compact, read_head, read_resource
from iamata.model.reasons import Reason, Refused

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=6), children, max_size=4)
    ),
    max_leaves=20,
)


def _read(text: bytes) -> None:
    body = compact(text)
    read_head(body)
    read_resource(body)


def _refusal(text: bytes) -> Reason:
    with pytest.raises(Refused) as caught:
        _read(text)
    return caught.value.reason


def test_decimals_keep_their_spelling() -> None:
    text = (
        b'\xef\xbb\xbf{ "resourceType" : "Observation",\n '
        b'"valueQuantity": {"value": 1.50, "x": -0.0, "y": 1E+2 } }'
    )
    body = b'{"resourceType":"Observation","valueQuantity":{"value":1.50,"x":-0.0,"y":1E+2}}'
    assert compact(text) == body


def test_the_tree_has_decimals_with_their_precision() -> None:
    tree = read_resource(b'{"a":1.50,"b":12345678901234567890.123456789,"c":1e2,"d":2}').elements

    assert str(tree) == str(
        {"a": Decimal("1.50"), "b": Decimal("12345678901234567890.123456789"), "c": Decimal("1e2"), "d": 2}
    )


@pytest.mark.parametrize(
    "exponent", ["1e309", "1e-309", "1e1000000000000000000000", "1E-1000000000000000000000"]
)
def test_a_number_beyond_all_bounds_is_refused(exponent: str) -> None:
    assert _refusal(f'{{"resourceType":"Basic","a":{exponent}}}'.encode()) is Reason.RESOURCE_INVALID


@given(_JSON)
def test_compacting_changes_no_value(value: Any) -> None:
    assert json.loads(compact(json.dumps(value, indent=3).encode())) == value


@given(st.dictionaries(st.text(max_size=6), _JSON, max_size=5))
def test_every_object_without_twin_keys_is_read(value: dict[str, Any]) -> None:
    read_resource(compact(json.dumps(value).encode()))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        _read(text)
    except Refused as refused:
        assert refused.reason in (Reason.RESOURCE_INVALID, Reason.INPUT_TOO_DEEP)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b'{"resourceType":"Patient"',
        b'{"resourceType":"Patient"}{}',
        b'{"resourceType":"Nonsense"}',
        b'{"resourceType":7}',
        b'{"id":"1"}',
        b'{"resourceType":"Patient","id":"a b"}',
        b'{"resourceType":"Patient","id":""}',
        b'{"resourceType":"Patient","id":7}',
        b'{"resourceType":"Patient","id":"' + b"a" * 65 + b'"}',
        b'{"resourceType":"Patient","x":"\xff"}',
        b'{"resourceType":"Patient","x":"\\ud800"}',
        b'{"resourceType":"Patient","x":NaN}',
        b'{"resourceType":"Patient","x":1e999}',
        b'{"resourceType":"Patient","x":01}',
        b'{"resourceType":"Bundle"}',
        b'{"resourceType":"Parameters"}',
    ],
)
def test_what_is_no_resource_is_refused(text: bytes) -> None:
    assert _refusal(text) is Reason.RESOURCE_INVALID


@pytest.mark.parametrize(
    "twins",
    [
        b'"a":1,"a":2',
        b'"a":1,"\\u0061":2',
        b'"b":{"a":1,"a":1}',
        b'"b":[{"a":"x\\":","a":2}]',
        b'"a\\\\":1,"a\\\\":2',
        b'"a":":","a":":"',
    ],
)
def test_a_key_that_stands_twice_is_refused(twins: bytes) -> None:
    assert _refusal(b'{"resourceType":"Patient",' + twins + b"}") is Reason.RESOURCE_INVALID


@pytest.mark.parametrize("text", [b'":":":"', b'"a":"\\":"', b'"a\\\\":":"', b'"a":["\\\\",":",": "]'])
def test_strings_that_look_like_keys_are_no_twins(text: bytes) -> None:
    read_resource(compact(b'{"resourceType":"Patient",' + text + b"}"))


def test_depth_is_bounded() -> None:
    def nest(depth: int) -> bytes:
        return b'{"resourceType":"Patient","x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"

    read_resource(compact(nest(RESOURCE_DEPTH_MAX)))
    assert _refusal(nest(RESOURCE_DEPTH_MAX + 1)) is Reason.INPUT_TOO_DEEP
    assert _refusal(nest(100_000)) is Reason.INPUT_TOO_DEEP


def test_the_number_of_elements_is_bounded() -> None:
    text = b'{"resourceType":"Patient","x":[' + b"0," * RESOURCE_NODES_MAX + b"0]}"
    assert _refusal(text) is Reason.INPUT_TOO_LARGE
