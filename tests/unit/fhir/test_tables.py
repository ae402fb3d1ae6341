"""The tables say what the published specification says."""

import importlib.util
from pathlib import Path

from iamata.fhir.tables import r4

_SCRIPT = Path(__file__).parents[3] / "scripts/make_fhir_tables.py"
_PACKAGE = "fhir-r4/hl7.fhir.r4.core-4.0.1.tar.xz"


def test_the_table_is_what_the_script_writes(shared_data: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_fhir_tables", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.render_table(shared_data / _PACKAGE) == Path(r4.__file__).read_text(encoding="utf-8")


def test_focus_confers_no_membership() -> None:
    assert len(r4.RESOURCE_TYPES) == 146
    assert len(r4.PATIENT_PATHS) == 66
    assert r4.PATIENT_PATHS["Observation"] == (("subject",), ("performer",))
    assert not any("focus" in path for paths in r4.PATIENT_PATHS.values() for path in paths)
