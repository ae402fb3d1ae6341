"""The card of whatever a run came to: written when it is put on record, and again by whoever checks it.

A card follows, byte for byte, from the protocol, the ledger and what the sites attested; so a card on which
anything else stands was not written by this code.
"""

from collections.abc import Iterable

from iamata.learning.evaluation.kinds import read_evaluation
from iamata.learning.protocols import Protocol, read_protocol
from iamata.ledger.entries import Run
from iamata.model.ids import ModelId
from iamata.model.reasons import Refused
from iamata.workflows.answer_cards import write_answer_card
from iamata.workflows.model_cards import Card, Lineage, Worth, write_card


def write_any_card(  # noqa: PLR0913  all that a card follows from
    protocol: Protocol, file: bytes, worth: Worth, lineage: Lineage, *, model: ModelId, run: Run
) -> Card:
    """Write the card of a model, or of an answer, whose file is `file`."""
    attested = run.attestations[0]
    if protocol.is_for_questions:
        return write_answer_card(protocol, file, worth, lineage, attested=attested)
    return write_card(protocol, file, worth, lineage, model=model, attested=attested)


def is_card_written(  # noqa: PLR0913  all that a card follows from
    card: bytes,
    lineages: Iterable[Lineage],
    run: Run,
    *,
    model: ModelId,
    protocol: bytes,
    file: bytes,
    rounds: bytes,
    said: bytes,
) -> bool:
    """Tell whether a card is the one that this code writes, with one of the lineages that it may have.

    `said` is what the sites said of the model's worth.
    """
    try:
        read = read_protocol(protocol)
        worth = Worth(rounds=rounds, raw=said, evaluation=read_evaluation(said))
        return any(
            write_any_card(read, file, worth, one, model=model, run=run).text == card for one in lineages
        )
    except Refused:  # a file or an evaluation that is none
        return False
