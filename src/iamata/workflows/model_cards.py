"""A model's card: what it is, for whom, how well it does, and where it came from (Hugging Face's form).

Generated from the protocol, from sums and from the ledger, so it says nothing that was not reviewed or
attested. Curves are drawn into it.
"""

import json
from collections.abc import Iterator
from typing import Final

import msgspec

from iamata.learning.evaluation.evaluating import Evaluation
from iamata.learning.pictures import draw_calibration, draw_roc
from iamata.learning.protocols import MICRO, Estimator, Private, Protocol
from iamata.ledger.entries import Attestation, Study
from iamata.model.ids import ModelId, NetworkId, RunId, StudyId

NOT_A_DEVICE: Final = "This is no medical device. It is the result of a study, for research."


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from, on the ledger."""

    network: NetworkId
    study_id: StudyId
    study: Study
    run_id: RunId


def write_card(
    protocol: Protocol,
    evaluation: Evaluation | None,
    lineage: Lineage,
    *,
    model: ModelId,
    attested: Attestation,
) -> bytes:
    """Write a model's card: YAML in front, then Markdown with pictures."""
    lines = [
        "---",
        *_write_front(protocol, evaluation, model),
        "---",
        "",
        f"# {protocol.title}",
        "",
        protocol.question,
        "",
        f"**{NOT_A_DEVICE}**",
        "",
        "## How well it does",
        "",
        *(_write_promise(protocol.estimator) if protocol.spends_micro else _write_worth(evaluation)),
        "",
        "## Where it comes from",
        "",
        f"- Network `{lineage.network}`",
        f"- Study `{lineage.study_id}` of {lineage.study.owner}, run `{lineage.run_id}`",
        f"- Sites: {', '.join(lineage.study.sites)}; reviewed by {', '.join(lineage.study.approvals)}",
        f"- Purpose: {lineage.study.purpose}; data use {', '.join(lineage.study.uses)}",
        f"- Code reviewed and run: `{lineage.study.code}`; protocol `{lineage.study.protocol}`",
        f"- Model file (SHA-256): `{attested.model}`; transcript of sums `{attested.transcript}`",
        "",
        "Learned from sums over consented records that did not leave their hospitals.",
        "`iamata model verify` says which of this is proven.",
        "",
    ]
    return "\n".join(lines).encode("utf-8")


def _write_front(protocol: Protocol, evaluation: Evaluation | None, model: ModelId) -> Iterator[str]:
    yield "license: other"
    yield f"model_name: {json.dumps(protocol.title)}"
    yield f"model_id: {model}"
    yield "library_name: iamata"
    yield "pipeline_tag: tabular-classification"
    yield f"tags: [iamata, federated, consented, {protocol.estimator.__struct_config__.tag}]"
    if evaluation is not None:
        yield "metrics:"
        yield f"  - {{type: roc_auc, value: {evaluation.auroc.value:.4f}}}"
        yield f"  - {{type: average_precision, value: {evaluation.auprc.value:.4f}}}"
        yield f"  - {{type: brier_score, value: {evaluation.brier:.4f}}}"


def _write_promise(estimator: Estimator) -> Iterator[str]:
    if isinstance(estimator, Private):
        epsilon = estimator.epsilon_micro / MICRO
        yield f"Learned under differential privacy: ε = {epsilon:g}, δ = {estimator.delta:g} for this run."
        yield "Whoever sees the model, and all sums, can hardly tell whether any one patient took part."
        yield ""
        yield "It was not evaluated: an exact evaluation would undo that. Nobody was kept out of training."


def _write_worth(evaluation: Evaluation | None) -> Iterator[str]:
    if evaluation is None:
        yield "Too few patients were kept out of training to say how well it does."
        return
    rate = f"{evaluation.rate:.1%} with the outcome"
    yield f"On {evaluation.rows} rows of patients who were kept out of training ({rate}):"
    yield ""
    yield "Hospitals are left out of this where it would tell of fewer than ten patients, or of who left."
    yield ""
    yield "| | value | 95 % interval |"
    yield "|---|---|---|"
    for name, one in (("AUROC", evaluation.auroc), ("AUPRC", evaluation.auprc)):
        yield f"| {name} | {one.value:.3f} | {one.low:.3f} to {one.high:.3f} |"
    yield f"| Brier | {evaluation.brier:.3f} | |"
    yield f"| accuracy at 0.5 | {evaluation.accuracy:.3f} | |"
    yield ""
    yield draw_roc(evaluation)
    yield ""
    yield draw_calibration(evaluation)
    yield ""
    yield "| group | rows | rate | AUROC |"
    yield "|---|---|---|---|"
    for group in evaluation.groups:
        if group.auroc is not None:
            yield f"| {group.label} | {group.rows} | {group.rate:.1%} | {group.auroc.value:.3f} |"
        else:
            yield f"| {group.label} | too few to show | | |"
