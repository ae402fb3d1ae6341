"""An answer's card: what was asked, what came of it in words, and where it came from."""

from iamata.learning.answers import decode_answer
from iamata.learning.protocols import Protocol
from iamata.learning.wording import spell_answer, spell_question
from iamata.ledger.entries import Attestation
from iamata.workflows.model_cards import FILES, Card, Lineage, Worth, spell_sites


def write_answer_card(
    protocol: Protocol, file: bytes, worth: Worth, lineage: Lineage, *, attested: Attestation
) -> Card:
    """Write in words what a question was answered: Markdown."""
    answer, study = decode_answer(file), lineage.study
    lines = [
        f"# {' '.join(protocol.title.split())}",
        "",
        f"**{spell_question(answer.question)}**",
        "",
        *(line for said in spell_answer(answer) for line in (said, "")),
        "## Where it comes from",
        "",
        f"- Network `{lineage.network}`",
        f"- Study `{lineage.study_id}` of {study.owner}, run `{lineage.run_id}`",
        spell_sites(lineage),
        f"- Purpose: {study.purpose}; data use {', '.join(study.uses)}",
        f"- Code reviewed and run: `{study.code}`; protocol `{study.protocol}`",
        f"- Answer (SHA-256): `{attested.model}`; transcript of sums `{attested.transcript}`",
        "",
        FILES,
        "",
        f"- Rounds of sums: `{worth.rounds.hex()}`",
        "",
    ]
    return Card(text="\n".join(lines).encode("utf-8"), figures={})
