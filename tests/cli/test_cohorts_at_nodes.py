"""Where rows come out of vaults, all is done at nodes: each by whom it concerns, with a key of theirs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from iamata.client import staff
from iamata.testing.cohorts import COHORT, write_finding
from iamata.testing.learning import draw_rows
from iamata.testing.nodes import RunningNode, introduce
from iamata.testing.stage import Answer, call
from iamata.testing.study_network import OWNER, StudyNetwork

SITES: Final = ("hospital-a", "hospital-b", "hospital-c")
SITE: Final = SITES[0]
PATIENT: Final = "Patient/anna"


def ask(*arguments: object) -> Answer:
    """Run a command that must succeed."""
    answer = call(*arguments)
    assert answer.code == 0, answer
    return answer


def write_bundle(folder: Path) -> Path:
    """Write the records of one patient, of whom an import makes a pseudonym."""
    bodies: list[dict[str, Any]] = [
        {"resourceType": "Encounter", "status": "finished", "period": {"start": "2020-03-01T08:00:00Z"}},
        write_finding("marker", "2020-01-01", valueQuantity={"value": 1.5}),
        write_finding("smokes", "2020-03-01", valueString="yes"),
        {"resourceType": "Condition", "onsetDateTime": "2020-09-01"},
    ]
    entries = [{"resource": {"resourceType": "Patient", "id": "anna"}}]
    for number, body in enumerate(bodies):
        extra = {"id": f"r-{number}", "subject": {"reference": PATIENT}}
        if body["resourceType"] == "Encounter":
            extra["class"] = {"code": "AMB"}
        if body["resourceType"] == "Observation":
            extra["status"] = "final"
        entries.append({"resource": body | extra})
    file = folder / "anna.json"
    file.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    return file


class Places:
    """Where the wallets lie, and the nodes' addresses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = StudyNetwork(
            folder / "net", COHORT, {site: draw_rows(12, seed) for seed, site in enumerate(SITES)}
        )
        self.anna = folder / "anna"
        self.site_home = folder / "net" / SITE
        self.urls: dict[str, str] = {}
        with RunningNode(folder / "net" / OWNER) as node:
            for site in SITES:
                introduce(folder / "net" / site, peers={OWNER: node.url}, leader=node.url)
            self._register()

    def staff(self, name: str, site: str = SITE) -> tuple[object, ...]:
        """Say as whom a person of a site asks at its node."""
        return ("--node", self.urls[site], "--wallet", self.folder / name)

    def _register(self) -> None:
        home = ("--home", self.site_home, "--member", SITE)
        ask("records", "import", *home, "--lenient", write_bundle(self.folder))
        for site in SITES:
            at = ("--home", self.folder / "net" / site, "--member", site)
            ask(
                "person",
                "register",
                *at,
                "--wallet",
                self.folder / f"admin-{site}",
                "--role",
                "administrator",
            )
        ask("person", "register", *home, "--wallet", self.folder / "doctor", "--role", "clinician")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Found a network whose study has a cohort, and run it."""
    places = Places(tmp_path_factory.mktemp("cohorts"))
    with places.network.running() as nodes:
        places.urls = {site: node.url for site, node in zip((OWNER, *SITES), nodes, strict=True)}
        yield places


def agree(places: Places) -> tuple[object, ...]:
    """Let the patient take a key of her own and consent to research; return how she asks."""
    anna = ("--node", places.urls[SITE], "--wallet", places.anna)
    asked = ("--node", places.urls[SITE], "--person", places.folder / f"admin-{SITE}")
    invited = ask("patient", "invite", *asked, "--patient", PATIENT, "--json").document
    ask("wallet", "enrol", *anna, "--code", invited["code"])
    ask("wallet", "grant", *anna, "--to", f"member:{OWNER}", "--purpose", "HRESCH", "--yes", "--now")
    return anna


def check_standing(anna: tuple[object, ...], model: str) -> None:
    """Hold that the patient reads that their rows are in a dataset, and in which model."""
    (standing,) = ask("wallet", "studies", *anna, "--json").document["datasets"]
    assert (standing["is_in"], standing["is_proven"]) == (True, True)
    assert [one["model"] for one in standing["models"]] == [model]


def check_told(places: Places, looked: list[dict[str, Any]], dataset: str) -> None:
    """Hold that the patient reads for which dataset of which study their records were read."""
    study = places.network.study
    (read,) = (one for one in looked if one["purpose"] == "HRESCH" and one["records"])
    (use,) = read["uses"]
    assert (use["kind"], use["id"], use["study"]) == ("dataset", dataset, study)
    told = ask("wallet", "accesses", "--node", places.urls[SITE], "--wallet", places.anna).out
    assert f"records of {SITE} for dataset {dataset} of study {study} «{COHORT.title}», for" in told


@pytest.mark.slow
@pytest.mark.network
def test_rows_are_made_a_model_checked_and_asked_and_a_patient_answered_at_nodes(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staff, "BUILD_WAIT_S", 0.01)  # so a build takes longer than one question waits
    study = places.network.study
    admin, anna = places.staff(f"admin-{SITE}"), agree(places)

    refused = call("dataset", "build", study, *places.staff("doctor"), "--json")
    built = [
        ask("dataset", "build", study, *places.staff(f"admin-{site}", site), "--json").document
        for site in SITES
    ]
    again = call("dataset", "build", study, *admin, "--json")
    shown = ask("dataset", "show", built[SITES.index(SITE)]["dataset"], *admin, "--json").document

    assert json.loads(refused.err)["reason"] == "ROLE_MISSING"
    assert json.loads(again.err)["reason"] == "DATASET_NOT_ACTIVE"
    assert [one["custodian"] for one in built] == list(SITES)
    assert shown["conditions"] == {"permission": "DUO:0000006"}
    _, model = places.network.train()
    said = ask("model", "verify", model, *places.staff("doctor"), "--json").document
    assert said["holds"]
    grounds = {one["name"]: one["ground"] for one in said["statements"]}
    assert (grounds["run"], grounds["standing"], grounds["consents"]) == ("proven", "proven", "attested")

    at = ("--node", places.urls[SITE], "--person", places.folder / "doctor", "--json")
    answer = ask("model", "apply", model, *at, "--patient", PATIENT).document
    assert answer["inputs"] == {"marker": 1.5, "smokes": "yes"}
    assert answer["index_day"] == "2020-03-01"
    row = places.folder / "row.json"
    row.write_text(json.dumps(answer["inputs"]))
    same = ask("model", "apply", model, *at, "--patient", PATIENT, "--row", row).document
    assert same["value"] == answer["value"]
    stranger = call("model", "apply", model, *at, "--patient", "Patient/nobody")
    assert json.loads(stranger.err)["reason"] == "NOT_FOUND"

    check_standing(anna, model)
    looked = ask("wallet", "accesses", *anna, "--json").document["accesses"]
    assert sorted(one["purpose"] for one in looked) == ["HRESCH", "HRESCH", "HRESCH", "TREAT", "TREAT"]
    check_told(places, looked, built[0]["dataset"])
