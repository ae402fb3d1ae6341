"""The uses that a study names on the ledger hold its purpose, or it is refused."""

import pytest

from iamata.consent.data_use import Modifier, ResearchPurpose, check_uses
from iamata.model.instants import Day
from iamata.model.reasons import Reason, Refused

HEALTH = ResearchPurpose(is_health=True)
UNTIL = Day(20_000)


@pytest.mark.parametrize(
    ("uses", "purpose"),
    [
        (("DUO:0000006",), HEALTH),
        (("DUO:0000042",), HEALTH),
        (("DUO:0000007",), ResearchPurpose(diseases=("DOID:162",))),
        (("DUO:0000011",), ResearchPurpose(is_ancestry=True)),
        (
            ("DUO:0000006", "DUO:0000021", "DUO:0000045"),
            ResearchPurpose(is_health=True, agrees_to=(Modifier.ETHICS_APPROVAL,)),
        ),
        (("DUO:0000006", "DUO:0000025"), ResearchPurpose(is_health=True, until_day=UNTIL)),
    ],
)
def test_uses_that_hold_the_purpose_are_taken(uses: tuple[str, ...], purpose: ResearchPurpose) -> None:
    check_uses(uses, purpose, until_day=UNTIL)


@pytest.mark.parametrize(
    ("uses", "purpose", "detail"),
    [
        (("DUO:0000001",), HEALTH, "DUO:0000001"),
        (("DUO:0000045",), HEALTH, "one permission"),
        (("DUO:0000006", "DUO:0000042"), HEALTH, "one permission"),
        (("DUO:0000006",), ResearchPurpose(), "no kind of research"),
        (("DUO:0000006",), ResearchPurpose(is_ancestry=True), "research on ancestry"),
        (("DUO:0000007",), HEALTH, "no disease"),
        (("DUO:0000007",), ResearchPurpose(is_health=True, diseases=("DOID:162",)), "research on health"),
        (("DUO:0000006", "DUO:0000045"), ResearchPurpose(is_health=True, is_for_profit=True), "profit"),
        (("DUO:0000006", "DUO:0000021"), HEALTH, "ethics approval"),
        (("DUO:0000006", "DUO:0000025"), HEALTH, "ends in time"),
        (("DUO:0000006",), ResearchPurpose(is_health=True, until_day=Day(UNTIL - 1)), "ends earlier"),
    ],
)
def test_uses_that_are_for_something_else_are_refused(
    uses: tuple[str, ...], purpose: ResearchPurpose, detail: str
) -> None:
    with pytest.raises(Refused) as refused:
        check_uses(uses, purpose, until_day=UNTIL)

    assert refused.value.reason is Reason.PURPOSE_NOT_PERMITTED
    assert detail in refused.value.detail
