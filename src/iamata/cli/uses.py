"""What a patient's records or row were used for: a dataset, a run or a model, and of which study."""

from collections.abc import Sequence
from typing import Any

from iamata.learning.protocols import read_protocol
from iamata.model.ids import StudyId
from iamata.model.reasons import Refused
from iamata.node.home import Home
from iamata.node.places import RemotePlace
from iamata.node.studying import fetch_protocol
from iamata.workflows.accesses import CheckedAccess
from iamata.workflows.lineages import find_study_of

STUDY: str = "study"
MODEL: str = "model"


def describe_uses(place: Home | RemotePlace, looked: Sequence[CheckedAccess]) -> list[list[dict[str, Any]]]:
    """Describe for which dataset, run or model each access was, and of which study that is.

    Of what came to nothing, and never came to the ledger, the journal alone says the study.
    """
    view, titles = place.engine.snapshot(), dict[str, str]()
    described = []
    for one in looked:
        named = [used.partition("/")[::2] for used in one.used]
        said = next((name for kind, name in named if kind == STUDY), "")
        uses = []
        for kind, name in named:
            if kind == STUDY:
                continue
            known = find_study_of(view, f"{kind}/{name}")
            study = known or said
            if study not in titles:
                titles[study] = find_title(place, study)
            use = {"kind": kind, "id": name, "study": study, "title": titles[study]}
            uses.append(use | {"is_known": known is not None})
        described.append(uses)
    return described


def find_title(place: Home | RemotePlace, study: str) -> str:
    """Find what a study is called, as this home or node keeps its protocol; nothing where it does not."""
    try:
        return read_protocol(fetch_protocol(place, StudyId(study))).title
    except Refused:
        return ""


def spell_used(one: CheckedAccess, uses: Sequence[dict[str, Any]]) -> str:
    """Say what was used, the records or the row, and for what."""
    records = f"{one.records} records of {one.custodian}"
    if not uses:
        return records
    named = ", ".join(map(spell_use, uses))
    if not one.records and all(use["kind"] == MODEL for use in uses):
        return f"asked about you at {one.custodian}: {named}, with values that were typed in"
    return f"{records} for {named}" if one.records else f"your row at {one.custodian} in {named}"


def spell_use(use: dict[str, Any]) -> str:
    """Name a dataset, run or model, and the study."""
    title = f" «{use['title']}»" if use["title"] else ""
    unknown = "" if use["is_known"] else " (not on the ledger)"
    return f"{use['kind']} {use['id']}{unknown} of study {use['study'] or '?'}{title}"
