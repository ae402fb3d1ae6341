"""Files in any order become units; each bad entry is reported by file, index and reason."""

import json
import random
import re
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iamata.fhir.preparing import Known, Prepared
from iamata.intake.limits import Limits
from iamata.intake.pipeline import TOO_MANY_WAIT, Problem, Unit, read_units
from iamata.intake.progress import Progress
from iamata.intake.rules import load_rules
from iamata.model.reasons import Reason

_RULES = load_rules()
_SYNTHEA = "synthea/synthea-r4-bundles.tar.xz"
_REFERENCE = re.compile(rb'"reference"\s*:\s*"([^"]*)"')


class Shelf:
    """Keeps what is read, as a vault would."""

    def __init__(self) -> None:
        self.records: dict[str, Prepared] = {}
        self.units: list[Unit] = []
        self.problems: list[Problem] = []
        self.progress = Progress()
        self._identified: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)

    def read(self, *paths: Path, limits: Limits | None = None) -> "Shelf":
        for item in read_units(
            paths,
            known=Known(self.find, self.records.__contains__),
            rules=_RULES,
            limits=limits,
            progress=self.progress,
        ):
            if isinstance(item, Problem):
                self.problems.append(item)
                continue
            self.units.append(item)
            for record in item.prepared:
                self.records[f"{record.resource_type}/{record.resource_id}"] = record
                for system, value in record.identifiers:
                    self._identified[record.resource_type, system, value].append(record.resource_id)
        return self

    def find(self, resource_type: str, system: str | None, value: str) -> list[str]:
        return self._identified.get((resource_type, system, value), [])


def _doctor(name: str) -> dict[str, Any]:
    return {"resourceType": "Practitioner", "id": name, "identifier": [{"system": "s", "value": name}]}


def _claim(name: str, doctor: str) -> dict[str, Any]:
    return {
        "resourceType": "Claim",
        "id": name,
        "provider": {"reference": f"Practitioner?identifier=s|{doctor}"},
    }


def _write(path: Path, *resources: Any, kind: str = "transaction") -> Path:
    if path.suffix == ".ndjson":
        path.write_text("".join(json.dumps(resource) + "\n" for resource in resources))
    else:
        bundle = {
            "resourceType": "Bundle",
            "type": kind,
            "entry": [{"resource": resource} for resource in resources],
        }
        path.write_text(json.dumps(bundle))
    return path


def test_a_bundle_waits_for_the_file_that_it_refers_to(tmp_path: Path) -> None:
    _write(tmp_path / "a.json", _claim("c1", "dr"), _claim("c2", "dr"))
    _write(tmp_path / "b.json", _doctor("dr"))
    shelf = Shelf().read(tmp_path)
    assert list(shelf.records) == ["Practitioner/dr", "Claim/c1", "Claim/c2"]
    assert shelf.problems == []
    assert shelf.progress.bytes_read >= shelf.progress.bytes_total / 2


def test_files_may_wait_for_each_other_in_a_chain(tmp_path: Path) -> None:
    for number in range(5):
        _write(tmp_path / f"{number}.json", _doctor(f"d{number}"), _claim(f"c{number}", f"d{number + 1}"))
    _write(tmp_path / "9.json", _doctor("d5"))
    shelf = Shelf().read(tmp_path)
    assert len(shelf.records) == 11
    assert shelf.problems == []


def test_what_waits_in_vain_is_reported_once_and_the_rest_goes_in(tmp_path: Path) -> None:
    batch = _write(
        tmp_path / "a.json", _claim("c1", "dr"), _claim("c2", "nobody"), _doctor("x"), kind="batch"
    )
    whole = _write(tmp_path / "b.json", _claim("c3", "dr"), _claim("c4", "nobody"))
    lines = _write(tmp_path / "c.ndjson", _claim("c5", "nobody"), _claim("c6", "dr"), _doctor("dr"))
    shelf = Shelf().read(tmp_path)
    assert sorted(shelf.records) == ["Claim/c1", "Claim/c6", "Practitioner/dr", "Practitioner/x"]
    assert [(problem.source, problem.index, problem.reason) for problem in shelf.problems] == [
        (str(batch), 1, Reason.REFERENCE_UNRESOLVED),
        (str(whole), 1, Reason.REFERENCE_UNRESOLVED),
        (str(lines), 0, Reason.REFERENCE_UNRESOLVED),
    ]


def _patient(name: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": name}


def _seen(name: str, *patients: str) -> dict[str, Any]:
    participants = [{"actor": {"reference": f"Patient/{patient}"}} for patient in patients]
    return {"resourceType": "Appointment", "id": name, "participant": participants}


def test_a_record_waits_for_its_patient_and_in_vain_for_a_stranger(tmp_path: Path) -> None:
    lines = _write(tmp_path / "a.ndjson", _seen("1", "p"), _seen("2", "p", "stranger"), _seen("3", "q"))
    whole = _write(tmp_path / "b.json", _seen("4", "p"), _seen("5", "stranger"), _patient("r"))
    _write(tmp_path / "c.json", _patient("p"), _patient("q"), kind="batch")
    shelf = Shelf().read(tmp_path)
    assert sorted(shelf.records) == ["Appointment/1", "Appointment/3", "Patient/p", "Patient/q"]
    assert [(problem.source, problem.index, problem.reason) for problem in shelf.problems] == [
        (str(lines), 1, Reason.PATIENT_NOT_IMPORTED),
        (str(whole), 1, Reason.PATIENT_NOT_IMPORTED),
    ]


def test_what_cannot_wait_any_more_is_reported_as_that_and_comes_in_the_next_time(tmp_path: Path) -> None:
    lines = _write(tmp_path / "a.ndjson", *(_seen(str(number), "p") for number in range(5)))
    _write(tmp_path / "b.ndjson", _patient("p"))
    shelf = Shelf().read(tmp_path, limits=Limits(waiting_max=2))
    assert [(one.source, one.index, one.detail) for one in shelf.problems] == [
        (str(lines), number, TOO_MANY_WAIT) for number in (2, 3, 4)
    ]
    assert sorted(shelf.records) == ["Appointment/0", "Appointment/1", "Patient/p"]
    assert len(shelf.read(tmp_path).records) == 6


def test_a_folder_of_one_file_a_type_is_read_with_its_patients_first(tmp_path: Path) -> None:
    _write(tmp_path / "Appointment.ndjson", *(_seen(str(number), "p") for number in range(50)))
    _write(tmp_path / "Patient.000.ndjson", _patient("p"))
    shelf = Shelf().read(tmp_path, limits=Limits(waiting_max=0))
    assert (len(shelf.records), shelf.problems) == (51, [])


_PEOPLE = ("p", "q", "r")


@given(st.data())
def test_whatever_the_order_of_entries_and_files_the_same_records_are_kept(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    here = data.draw(st.sets(st.sampled_from(_PEOPLE)))
    about = st.lists(st.sampled_from(_PEOPLE), max_size=2, unique=True)
    seen = [_seen(str(number), *who) for number, who in enumerate(data.draw(st.lists(about, max_size=6)))]
    everything = data.draw(st.permutations([*map(_patient, sorted(here)), *seen]))
    folder = tmp_path_factory.mktemp("order")
    places = data.draw(st.lists(st.integers(0, 3), min_size=len(everything), max_size=len(everything)))
    for place, name in enumerate(("a.ndjson", "b.json", "Patient.ndjson", "z.ndjson")):
        entries = [entry for entry, at in zip(everything, places, strict=True) if at == place]
        _write(folder / name, *entries, kind="batch")
    shelf = Shelf().read(folder, limits=Limits(chunk_lines_max=2))
    kept = [
        entry["id"]
        for entry in seen
        if all(one["actor"]["reference"].partition("/")[2] in here for one in entry["participant"])
    ]
    assert sorted(shelf.records) == sorted(
        [f"Appointment/{name}" for name in kept] + [f"Patient/{name}" for name in here]
    )
    assert [problem.reason for problem in shelf.problems] == [Reason.PATIENT_NOT_IMPORTED] * (
        len(seen) - len(kept)
    )


def test_a_bundle_that_is_bad_anyway_does_not_wait(tmp_path: Path) -> None:
    _write(tmp_path / "a.json", _claim("c1", "dr"), {"resourceType": "Nonsense"})
    _write(tmp_path / "b.json", _doctor("dr"))
    shelf = Shelf().read(tmp_path)
    assert list(shelf.records) == ["Practitioner/dr"]
    assert [problem.index for problem in shelf.problems] == [0, 1]


def test_lines_stand_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    good = [json.dumps(_doctor(name)).encode() for name in "abc"]
    lines = [b"\xef\xbb\xbf" + good[0], b"", b"{", good[1], b"x" * 300, b"7", good[2]]
    path.write_bytes(b"\r\n".join(lines))
    shelf = Shelf().read(path, limits=Limits(line_bytes_max=200, chunk_lines_max=2))
    assert [record.resource_id for record in shelf.records.values()] == ["a", "b", "c"]
    assert [(problem.index, problem.reason) for problem in shelf.problems] == [
        (2, Reason.RESOURCE_INVALID),
        (4, Reason.INPUT_TOO_LARGE),
        (5, Reason.RESOURCE_INVALID),
    ]
    assert [len(unit.prepared) for unit in shelf.units] == [1, 1, 1]


def test_a_single_resource_is_a_unit(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf{"resourceType": "Observation", "valueQuantity": {"value": 1.50}}')
    (unit,) = Shelf().read(path).units
    assert unit.prepared[0].body == b'{"resourceType":"Observation","valueQuantity":{"value":1.50}}'


def test_the_same_files_give_the_same_records(tmp_path: Path) -> None:
    anonymous = {"resourceType": "Observation", "subject": {"reference": "Patient/p"}}
    _write(tmp_path / "a.ndjson", anonymous, _doctor("a"), _claim("c", "a"))
    first = Shelf().read(tmp_path).records
    assert first == Shelf().read(tmp_path).records
    assert first == Shelf().read(tmp_path).read(tmp_path).records


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    for number in range(3):
        _write(tmp_path / f"{number}.json", _doctor(f"d{number}"))
    progress = Shelf().read(tmp_path).progress
    assert progress.bytes_read == progress.bytes_total > 0
    assert progress.files_read == 3


def test_reports_name_no_content(tmp_path: Path) -> None:
    name = "Frankenstein"
    _write(
        tmp_path / "a.json",
        {"resourceType": name},
        {"resourceType": "Claim", "id": name + "!"},
        kind="batch",
    )
    (tmp_path / "b.json").write_text('{"resourceType": "Patient", "name": ' + name)
    problems = Shelf().read(tmp_path).problems
    assert len(problems) == 3
    assert not any(name in problem.detail for problem in problems)


@given(
    content=st.binary(max_size=200),
    suffix=st.sampled_from([".json", ".ndjson", ".zip", ".tar", ".json.gz", ".xz"]),
)
def test_any_file_is_read_or_reported(content: bytes, suffix: str, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("any") / f"x{suffix}"
    path.write_bytes(content)
    Shelf().read(path)


@pytest.fixture(scope="module", name="synthea")
def _synthea(shared_data: Path) -> Shelf:
    return Shelf().read(shared_data / _SYNTHEA)


@pytest.fixture(scope="module", name="bundles")
def _bundles(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the archive, naming its files so that those which all others need come last."""
    folder = tmp_path_factory.mktemp("bundles")
    with tarfile.open(shared_data / _SYNTHEA) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and member.name.endswith(".json"):
                name = Path(member.name).name
                (folder / ("z" + name if "Information" in name else name)).write_bytes(content.read())
    return folder


def test_synthea_is_read_whole(synthea: Shelf) -> None:
    assert synthea.problems == []
    assert len(synthea.units) == 48
    assert len(synthea.records) == sum(len(unit.prepared) for unit in synthea.units) == 25_202


def test_all_references_of_synthea_are_resolved(synthea: Shelf, bundles: Path) -> None:
    source = [text for path in bundles.iterdir() for text in _REFERENCE.findall(path.read_bytes())]
    resolved = [
        text.decode() for record in synthea.records.values() for text in _REFERENCE.findall(record.body)
    ]
    assert sum(b"?identifier=" in text for text in source) == 26_240
    assert sum(text.startswith(b"urn:uuid:") for text in source) == 88_059
    assert len(resolved) == len(source)
    assert all(text.startswith("#") or text in synthea.records for text in resolved)


def test_synthea_belongs_to_its_46_patients(synthea: Shelf) -> None:
    owners = Counter(len(record.patients) for record in synthea.records.values())
    assert owners == {1: 24_402, 0: 800}
    assert len({record.patients for record in synthea.records.values()} - {()}) == 46
    shared = Counter(record.resource_type for record in synthea.records.values() if not record.patients)
    assert shared == {
        "Organization": 194,
        "Location": 194,
        "Practitioner": 195,
        "PractitionerRole": 195,
        "Medication": 21,
        "Device": 1,
    }


def test_six_sensitive_categories_are_found_in_synthea(synthea: Shelf) -> None:
    labels = Counter(label for record in synthea.records.values() for label in record.facts.labels)
    assert labels == {
        "N": 24_361,
        "R": 841,
        "SEX": 721,
        "PSY": 95,
        "ETH": 33,
        "HIV": 31,
        "GDIS": 30,
        "ETHUD": 8,
        "SDV": 1,
    }


def test_nothing_but_references_changes(synthea: Shelf, bundles: Path) -> None:
    def blank(text: str | bytes) -> Any:
        plain = re.sub(
            r'"reference"\s*:\s*"[^"]*"', '"reference":""', text if isinstance(text, str) else text.decode()
        )
        return json.loads(plain, parse_float=str)

    path = random.Random(3).choice(sorted(bundles.iterdir())[:-2])
    for entry in blank(path.read_text(encoding="utf-8"))["entry"]:
        resource = entry["resource"]
        assert blank(synthea.records[f"{resource['resourceType']}/{resource['id']}"].body) == resource


def test_the_order_of_synthea_does_not_matter(synthea: Shelf, bundles: Path) -> None:
    shelf = Shelf().read(bundles)
    assert shelf.problems == []
    assert shelf.records == synthea.records


def test_synthea_is_read_in_little_memory(shared_data: Path) -> None:
    program = f"""
import pathlib
from iamata.fhir.preparing import Known
from iamata.intake import pipeline, rules
archive = pathlib.Path({str(shared_data / _SYNTHEA)!r})
known = Known(lambda *key: ["x"], lambda ref: True)
units = pipeline.read_units([archive], known=known, rules=rules.load_rules())
sum(1 for _ in units)
print(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603
    assert int(run.stdout) < 150 * 1024
