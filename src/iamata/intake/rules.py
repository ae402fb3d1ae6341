"""Load a table of label rules: the network's own, or a file."""

from importlib import resources
from pathlib import Path

from iamata.fhir.labels import LabelRules, parse_rules
from iamata.model.reasons import Reason, Refused


def load_rules(path: Path | None = None) -> LabelRules:
    """Read the rules from a file, or those that come with this version."""
    try:
        source = resources.files("iamata.fhir.tables") / "labels.toml" if path is None else path
        return parse_rules(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(Reason.CANNOT_OPEN) from error
    except UnicodeDecodeError as error:
        raise Refused(Reason.INPUT_INVALID) from error
