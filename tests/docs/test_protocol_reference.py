"""The reference of the protocol's file names every key with its default and its limits, and no other."""

import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from iamata.consent.data_use import Concern, ResearchPurpose
from iamata.learning.estimators.growing import Boosting
from iamata.learning.estimators.newton import Settings
from iamata.learning.estimators.splitting import Growth
from iamata.learning.evaluation.evaluating import Plan
from iamata.learning.evaluation.subgroups import ByBand, ByCategory, BySite
from iamata.learning.protocols import Bayes, Private, Protocol, Questions, Regression, Trees, read_protocol
from iamata.learning.schemas import Categorical, Numeric, Outcome, Schema

REFERENCE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "protocol.md"
PARTS: Final[dict[str, type[msgspec.Struct]]] = {
    "The file": Protocol,
    "`purpose`": ResearchPurpose,
    "`schema`": Schema,
    "`numeric`": Numeric,
    "`categorical`": Categorical,
    "`outcome`": Outcome,
    "`regression`": Regression,
    "`regression`: `settings`": Settings,
    "`trees`": Trees,
    "`trees`: `settings`": Boosting,
    "`trees`: `growth`": Growth,
    "`bayes`": Bayes,
    "`private`": Private,
    "`questions`": Questions,
    "`evaluation`": Plan,
    "`category`": ByCategory,
    "`band`": ByBand,
    "`site`": BySite,
}
SIGNS: Final = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤"}
_ROW: Final = re.compile(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)


def spell_default(field: msgspec.structs.FieldInfo) -> str:
    """Spell a field's default as JSON has it, or that it has to be given."""
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, msgspec.Struct):
        return "the defaults" if not isinstance(value, Regression) else '`{"type": "regression"}`'
    return f"`{json.dumps(msgspec.to_builtins(value))}`"


def spell_number(number: float) -> str:
    """Spell a number for people."""
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def spell_limits(schema: dict[str, Any]) -> str:
    """Spell what JSON Schema knows of a field's limits."""
    said = [f"{sign} {spell_number(schema[key])}" for key, sign in SIGNS.items() if key in schema]
    if "enum" in schema:
        said.append("one of " + ", ".join(f"`{one}`" for one in schema["enum"]))
    if "maxLength" in schema:
        said.append(f"{schema.get('minLength', 0)} to {schema['maxLength']:,} characters")
    if "maxItems" in schema:
        said.append(f"{schema.get('minItems', 0)} to {schema['maxItems']:,} of them")
    of_each = spell_limits(schema["items"]) if isinstance(schema.get("items"), dict) else ""
    return ", ".join([*said, *([f"each {of_each}"] if of_each else [])])


def spell_part(part: type[msgspec.Struct]) -> list[tuple[str, str, str]]:
    """List a part's keys, with defaults and limits, as its type has them."""
    properties = msgspec.json.schema(part)["$defs"][part.__name__]["properties"]
    return [
        (one.encode_name, spell_default(one), spell_limits(properties[one.encode_name]))
        for one in msgspec.structs.fields(part)
    ]


def read_parts() -> dict[str, list[tuple[str, str, str]]]:
    """Read the tables of the reference, by their headings."""
    sections = re.split(r"^##+ ", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    read = {}
    for section in sections:
        heading, _, body = section.partition("\n")
        rows = [(name, default, limits) for name, default, limits, _ in _ROW.findall(body)]
        if rows:
            read[heading.strip()] = rows
    return read


def test_the_reference_has_every_part_and_no_other() -> None:
    assert list(read_parts()) == list(PARTS)


@pytest.mark.parametrize("heading", PARTS)
def test_every_key_stands_with_its_default_and_its_limits(heading: str) -> None:
    assert read_parts()[heading] == spell_part(PARTS[heading])


def test_every_concern_is_named() -> None:
    text = REFERENCE.read_text(encoding="utf-8")

    assert [one for one in Concern if f"`{one.value}`" not in text] == []


def test_the_example_is_a_protocol() -> None:
    found = re.search(
        r"^```json\n(.*?)^```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found is not None

    assert read_protocol(found[1].encode()).title == "Who falls ill"
