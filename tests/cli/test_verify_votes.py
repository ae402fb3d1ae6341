"""`iamata verify` says how far validators' votes can be trusted, and plainly when they are too old."""

from typing import Final

from iamata.cli.verify import describe_order
from iamata.ledger.light.verifying import TRUST_MS
from iamata.model.instants import MS_PER_DAY
from iamata.workflows.vouching import VoteReport

NEWEST_MS: Final = 1_800_000_000_000
REPORT: Final = VoteReport(
    headers=9,
    votes=36,
    validators=4,
    faulty_max=1,
    unvouched=0,
    is_result_vouched=True,
    time_ms=NEWEST_MS,
)


def describe(age_ms: int) -> str:
    return " ".join(describe_order(REPORT, now_ms=NEWEST_MS + age_ms))


def test_within_the_trust_period_the_votes_count_alone() -> None:
    for age_ms in (0, TRUST_MS - 1):
        said = describe(age_ms)

        assert "The newest votes are within the trust period of 14 days." in said
        assert "longer than" not in said


def test_beyond_the_trust_period_the_reader_is_told_to_compare() -> None:
    for age_ms, days in ((TRUST_MS, 14), (TRUST_MS + 3 * MS_PER_DAY, 17)):
        said = describe(age_ms)

        assert f"The newest votes are {days} days old, longer than the trust period of 14 days:" in said
        assert "Compare the app hash with what a member says." in said
        assert "within" not in said
