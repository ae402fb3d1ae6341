"""A dataset's description in Croissant: its columns and its permit, and nothing that the ledger hides."""

import json
from typing import Any

import pytest

from iamata.consent.data_use import Conditions, Permission
from iamata.ledger.tables import DATASETS
from iamata.model.ids import DatasetId, MemberId
from iamata.model.instants import parse_day
from iamata.model.reasons import Reason, Refused
from iamata.testing.learning import SITES, StudyWorld
from iamata.workflows.croissant import gather, write_croissant
from iamata.workflows.frozen_tables import find_conditions
from iamata.workflows.lineages import trace

SITE = SITES[1]
LAST_DAY = parse_day("2099-12-31")
CONDITIONS = Conditions(
    permission=Permission.HEALTH_RESEARCH,
    modifiers=("DUO:0000046", "DUO:0000021", "LOCAL:1"),
    until_day=LAST_DAY,
    is_judged=True,
)
DUO = "http://purl.obolibrary.org/obo/"


@pytest.fixture(scope="module")
def world() -> StudyWorld:
    """Set up a study with a dataset at one site, and one that took its place."""
    world = StudyWorld(patients=24)
    world.build(SITE, CONDITIONS)
    return world


def describe(world: StudyWorld, dataset: DatasetId, *, site: MemberId = SITE) -> dict[str, Any]:
    engine = world.world.engine
    conditions = find_conditions(world.offices[site].custody, dataset)
    gathered = gather(engine, engine.snapshot(), dataset, conditions=conditions)
    described: dict[str, Any] = json.loads(write_croissant(world.protocol, gathered))
    return described


def get_dataset(world: StudyWorld) -> DatasetId:
    (name,) = trace(world.world.engine).datasets
    return name


def test_every_column_has_its_type_and_its_public_bounds(world: StudyWorld) -> None:
    described = describe(world, get_dataset(world))

    sets = {one["@id"]: one for one in described["recordSet"]}
    fields = {one["name"]: one for one in sets["rows"]["field"]}
    bounds = {one["name"]: (one["minValue"], one["maxValue"]) for one in described["variableMeasured"]}
    assert {name: one["dataType"] for name, one in fields.items()} == {
        "marker": "sc:Float",
        "smokes": "sc:Text",
        "ill": "sc:Boolean",
    }
    assert bounds == {"marker": (-5, 5), "ill": (0, 1)}
    (key,) = sets["categories/smokes"]["field"]
    assert fields["smokes"]["references"] == {"field": {"@id": key["@id"]}}
    assert sets["categories/smokes"]["data"] == [{key["@id"]: "no"}, {key["@id"]: "yes"}]


def test_it_says_under_which_permit_and_what_the_ledger_commits_to(world: StudyWorld) -> None:
    name = get_dataset(world)
    entry = DATASETS.find(world.world.engine.snapshot(), name)
    assert entry is not None

    described = describe(world, name)

    found = {one["propertyID"]: one["value"] for one in described["identifier"]}
    assert world.study in described["license"]
    assert found["permit's uses"] == "DUO:0000006"
    assert described["creator"]["name"]
    assert found["study"] == world.study
    assert found["consents (commitment)"] == entry.consents
    assert found["members (root)"] == entry.members
    assert found["consents asked after block"] == entry.height
    assert described["version"] == "1.0.0"


def test_it_states_the_custodians_conditions_as_terms_of_their_ontology(world: StudyWorld) -> None:
    described = describe(world, get_dataset(world))

    terms = {one["termCode"]: one for one in described["usageInfo"]}
    assert described["conformsTo"] == "http://mlcommons.org/croissant/1.1"  # the first with such terms
    assert {one["@type"] for one in terms.values()} == {"sc:DefinedTerm"}
    assert {code: one.get("url") for code, one in terms.items()} == {
        "DUO_0000006": DUO + "DUO_0000006",
        "DUO_0000046": DUO + "DUO_0000046",
        "DUO_0000021": DUO + "DUO_0000021",
        "DUO_0000025": DUO + "DUO_0000025",
        "LOCAL_1": None,
    }
    assert terms["DUO_0000046"]["name"] == "non-commercial use only"
    assert terms["DUO_0000025"]["description"] == "until 2099-12-31"
    assert "judged what they leave to people" in described["conditionsOfAccess"]


def test_where_the_conditions_are_not_known_it_states_none_and_says_so(world: StudyWorld) -> None:
    described = describe(world, get_dataset(world), site=SITES[0])

    assert "usageInfo" not in described
    assert described["conditionsOfAccess"].endswith("is not known here.")


def test_it_tells_no_count_but_the_ledgers_band_and_nobodys_name(world: StudyWorld) -> None:
    raw = json.dumps(describe(world, get_dataset(world)))

    assert "in 32 leaves" in raw
    assert "24" not in json.loads(raw)["description"]
    assert not any(patient in raw for patient in world.rows[SITE])


def test_what_is_no_dataset_is_refused(world: StudyWorld) -> None:
    with pytest.raises(Refused) as refused:
        gather(world.world.engine, world.world.engine.snapshot(), DatasetId("a" * 26), conditions=None)

    assert refused.value.reason is Reason.UNKNOWN_DATASET
