"""What the members can change by vote, within ranges that no vote can leave."""

from typing import Final

from iamata.ledger.entries import ImplicitPolicy, Parameters
from iamata.model.instants import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE
from iamata.model.reasons import Reason, require

DEFAULT_PARAMETERS: Final = Parameters(
    quorum_numerator=1,
    quorum_denominator=2,
    policy=ImplicitPolicy.BREAK_GLASS_ONLY,
    emergency_ms_max=4 * MS_PER_HOUR,
    emergencies_open_max=3,
    review_ms_max=3 * MS_PER_DAY,
    confirm_days=90,
    proposal_days_max=30,
    invitation_days_max=30,
)

EMERGENCY_MS_MAX: Final = MS_PER_DAY
"""Beyond which no vote can let an emergency last."""

_RANGES: Final = {
    "quorum_numerator": (1, 99),
    "quorum_denominator": (2, 100),
    "emergency_ms_max": (MS_PER_MINUTE, EMERGENCY_MS_MAX),
    "emergencies_open_max": (1, 3),
    "review_ms_max": (MS_PER_HOUR, 30 * MS_PER_DAY),
    "confirm_days": (1, 366),
    "proposal_days_max": (1, 366),
    "invitation_days_max": (1, 366),
}


def check_parameters(parameters: Parameters) -> None:
    """Refuse a value out of its range, and a quorum below half or beyond everybody."""
    for name, (least, most) in _RANGES.items():
        require(least <= getattr(parameters, name) <= most, Reason.PARAMETER_OUT_OF_RANGE, name)
    share = (2 * parameters.quorum_numerator, parameters.quorum_denominator)
    require(share[0] >= share[1], Reason.PARAMETER_OUT_OF_RANGE, "quorum below half")
    require(
        parameters.quorum_numerator < parameters.quorum_denominator,
        Reason.PARAMETER_OUT_OF_RANGE,
        "quorum beyond everybody",
    )


def count_deciding(members: int, parameters: Parameters) -> int:
    """Count how many of the active members decide: more than the agreed share."""
    return members * parameters.quorum_numerator // parameters.quorum_denominator + 1
