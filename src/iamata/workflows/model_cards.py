"""A model's card: what it is, for whom, how well it does, and where it came from (Hugging Face's form).

Generated from protocol, model file, sums and ledger, so it says nothing that was not reviewed or attested.
Its figures are files beside it, each named with its hash; the card's own hash is on the ledger. What the
sites said of the model's worth is one of them, with what joins it to their attestations.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from iamata.learning.estimators.model_files import decode_model, identify_model
from iamata.learning.evaluation.kinds import AnyEvaluation
from iamata.learning.methods import (
    count_rounds,
    spell_method,
    spell_patients,
    spell_settings,
    spell_unlearned,
)
from iamata.learning.protocols import MICRO, Private, Protocol
from iamata.learning.worth import CURVES, draw_curves, list_metrics, write_worth
from iamata.ledger.entries import Attestation, Dataset, Study
from iamata.model.ids import Digest, MemberId, ModelId, NetworkId, RunId, StudyId, encode_digest

NOT_A_DEVICE: Final = "This is no medical device. It is the result of a study."
WORTH: Final = "evaluation.json"
OUTCOMES: Final = {"binary": "yes or no", "count": "a count", "number": "a number"}
FILES: Final = "## Files"
_NAMES: Final = "|".join(map(re.escape, (*CURVES, WORTH)))
_FILE: Final = re.compile(
    rf"^\| \[([a-z2-7]{{26}}-(?:{_NAMES}))\]\(\1\) \| `([0-9a-f]{{64}})` \|$", re.MULTILINE
)
_ROUNDS: Final = re.compile(r"^- Rounds of sums: `([0-9a-f]{64})`$", re.MULTILINE)


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from, on the ledger."""

    network: NetworkId
    study_id: StudyId
    study: Study
    run_id: RunId
    datasets: tuple[Dataset, ...]
    """What the run read, a dataset of each site that took part."""

    def list_sites(self) -> list[MemberId]:
        """List who took part, in the run's order."""
        return [one.custodian for one in self.datasets]


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What the sites attested of a model's worth: their words, and the rounds in which they found it."""

    rounds: bytes
    """The transcript of all rounds, 32 bytes."""
    raw: bytes
    """The evaluation as every site wrote it, JSON; `null` where there is none."""
    evaluation: AnyEvaluation | None


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A card and the files beside it."""

    text: bytes
    figures: dict[str, bytes]


def write_card(  # noqa: PLR0913  all that a card follows from
    protocol: Protocol,
    file: bytes,
    worth: Worth,
    lineage: Lineage,
    *,
    model: ModelId,
    attested: Attestation,
) -> Card:
    """Write the card of a model, whose file is `file`: YAML, then Markdown; and draw what it shows."""
    figures = dict(_draw_figures(worth, model))
    lines = [
        "---",
        *_write_front(protocol, worth.evaluation, lineage, model),
        "---",
        "",
        f"# {_join(protocol.title)}",
        "",
        protocol.question,
        "",
        f"**{NOT_A_DEVICE}**",
        "",
        *_write_details(protocol, lineage, model=model, attested=attested),
        *_write_training(protocol, file, lineage),
        *_write_uses(lineage.study),
        "## Evaluation",
        "",
        *(_write_unevaluated(protocol) if worth.evaluation is None else write_worth(worth.evaluation)),
        *(line for name in CURVES for line in _show(name, model, figures)),
        "",
        FILES,
        "",
        f"- Rounds of sums: `{worth.rounds.hex()}`",
        "",
        *_list_files(figures),
    ]
    return Card(text="\n".join(lines).encode("utf-8"), figures=figures)


def spell_sites(lineage: Lineage) -> str:
    """Say on a card who took part, which of the study's sites did not, and who reviewed the study."""
    study, sites = lineage.study, lineage.list_sites()
    others = [one for one in study.sites if one not in sites]
    without = f" (without {', '.join(others)})" if others else ""
    return f"- Sites: {', '.join(sites)}{without}; reviewed by {', '.join(study.approvals)}"


def list_figures(card: bytes) -> dict[str, Digest]:
    """List the files that belong beside a card, with what each one's SHA-256 has to be."""
    found = _FILE.findall(_read_files(card))
    return {name: Digest(encode_digest(bytes.fromhex(digest))) for name, digest in found}


def find_rounds(card: bytes) -> bytes | None:
    """Return the transcript of rounds that a card names; None where it names none."""
    found = _ROUNDS.search(_read_files(card))
    return None if found is None else bytes.fromhex(found[1])


def _read_files(card: bytes) -> str:
    """Return the last part of a card, in which nothing is free text."""
    return card.decode("utf-8", errors="replace").rpartition(f"\n{FILES}\n")[2]


def _draw_figures(worth: Worth, model: ModelId) -> Iterator[tuple[str, bytes]]:
    if worth.evaluation is None:
        return
    for name, drawn in draw_curves(worth.evaluation):
        yield f"{model}-{name}", drawn.encode("utf-8")
    yield f"{model}-{WORTH}", worth.raw


def _write_front(
    protocol: Protocol, evaluation: AnyEvaluation | None, lineage: Lineage, model: ModelId
) -> Iterator[str]:
    """Write the metadata of Hugging Face's model cards: YAML, each value as JSON, which YAML includes."""
    is_number = protocol.schema.outcome.kind != "binary"
    task = "tabular-regression" if is_number else "tabular-classification"
    front: dict[str, Any] = {
        "license": "other",
        "license_name": "study-permit",
        "model_name": _join(protocol.title),
        "model_id": model,
        "library_name": "iamata",
        "pipeline_tag": task,
        "tags": ["iamata", "federated", "consented", protocol.estimator.__struct_config__.tag],
    }
    if evaluation is not None:
        metrics = [
            {"type": kind, "name": name, "value": value} for kind, name, value in list_metrics(evaluation)
        ]
        sites = ", ".join(lineage.list_sites())
        result = {
            "task": {"type": task},
            "dataset": {
                "type": lineage.study_id,
                "name": f"Patients kept out of training at {sites}",
                "split": "holdout",
            },
            "metrics": metrics,
        }
        front["metrics"] = [one["type"] for one in metrics]
        front["model-index"] = [{"name": _join(protocol.title), "results": [result]}]
    yield from (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items())


def _write_details(
    protocol: Protocol, lineage: Lineage, *, model: ModelId, attested: Attestation
) -> Iterator[str]:
    study = lineage.study
    yield "## Model details"
    yield ""
    yield f"- Model `{model}`, of network `{lineage.network}`"
    yield f"- Study `{lineage.study_id}` of {study.owner}, run `{lineage.run_id}`"
    yield f"- Outcome: {_join(protocol.schema.outcome.name)} ({OUTCOMES[protocol.schema.outcome.kind]})"
    yield f"- Columns: {len(protocol.schema.get_features()):,}, in the protocol with their bounds"
    yield spell_sites(lineage)
    yield f"- Code reviewed and run: `{study.code}`; protocol `{study.protocol}`"
    yield f"- Model file (SHA-256): `{attested.model}`; transcript of sums `{attested.transcript}`"
    yield ""
    yield "Learned from sums over consented records that did not leave their hospitals."
    yield "`iamata model verify` says which of this is proven."
    yield ""


def _write_training(protocol: Protocol, file: bytes, lineage: Lineage) -> Iterator[str]:
    """Say how it was learned, from what the protocol fixed, the ledger has and the model's file tells."""
    estimator, model = protocol.estimator, decode_model(file, identify_model(file))
    patients_max = sum(one.leaves for one in lineage.datasets)
    yield "## Training"
    yield ""
    yield f"- Method: {spell_method(estimator)}"
    yield f"- Settings: {_join(spell_settings(estimator))}"
    yield f"- Patients: {spell_patients(model, estimator, patients_max=patients_max)}"
    yield f"- Rounds: {count_rounds(model):,}, each a sum over {len(lineage.datasets)} sites"
    yield f"- Kept out of training: {protocol.kept_out_percent} patients in a hundred"
    if unlearned := spell_unlearned(model):
        yield f"- Categories that few had or nobody, and of which it learned nothing: {_join(unlearned)}"
    yield ""


def _write_uses(study: Study) -> Iterator[str]:
    yield "## Uses"
    yield ""
    yield f"For {study.purpose}; data use {', '.join(study.uses)}, as the study's permit says."
    yield "Out of scope: every other purpose, and decisions about a person without a clinician's own."
    yield ""
    yield "## Bias, risks and limitations"
    yield ""
    yield "It learned from those who agreed; those who did not may be different."
    yield "It was evaluated at its own sites and nowhere else; groups stand below, if large enough."
    yield ""


def _write_unevaluated(protocol: Protocol) -> Iterator[str]:
    """Say why a model was not evaluated, and what a noisy one promises."""
    estimator = protocol.estimator
    if isinstance(estimator, Private):
        epsilon = estimator.epsilon_micro / MICRO
        yield f"Learned under differential privacy: ε = {epsilon:g}, δ = {estimator.delta:g} for this run."
        yield "Whoever sees the model, and all sums, can hardly tell whether any one patient took part."
        yield ""
        yield "It was not evaluated: an exact evaluation would undo that. Nobody was kept out of training."
    elif protocol.kept_out_percent == 0:
        yield "It was not evaluated: nobody was kept out of training."
    else:
        yield "Too few patients were kept out of training, or too like each other, to say how well it does."


def _show(name: str, model: ModelId, figures: Mapping[str, bytes]) -> Iterator[str]:
    if f"{model}-{name}" in figures:
        yield ""
        yield f"![{CURVES[name][0]}]({model}-{name})"


def _list_files(figures: Mapping[str, bytes]) -> Iterator[str]:
    if figures:
        yield "| file | SHA-256 |"
        yield "|---|---|"
    for name, raw in figures.items():
        yield f"| [{name}]({name}) | `{hashlib.sha256(raw).hexdigest()}` |"
    yield ""


def _join(text: str) -> str:
    """Put a text on one line, without what no reader sees."""
    return "".join(one for one in " ".join(text.split()) if one.isprintable())
