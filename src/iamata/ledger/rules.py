"""Which rules hold at a height: a frozen value for each version, chosen by what the members agreed on.

A version never changes. What is to be different gets a new version, which holds from the height of an
agreed upgrade on; blocks before it replay under the rules that they were made by.
"""

from typing import Final

import msgspec

from iamata.ledger.tables import CURRENT, UPGRADES, Bytes
from iamata.model.reasons import Reason, Refused


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What one version decides in its own way."""

    version: int
    is_height_in_leaves: bool
    """Then the app hash depends on how transactions were cut into blocks."""
    is_member_in_possessions: bool
    """Else a proof of possession serves whichever member submits it first."""
    has_studies: bool
    """Else a transaction about studies, datasets, runs or models is of no type that the rules know."""


RULES: Final = {
    1: Rules(version=1, is_height_in_leaves=True, is_member_in_possessions=False, has_studies=False),
    2: Rules(version=2, is_height_in_leaves=False, is_member_in_possessions=True, has_studies=False),
    3: Rules(version=3, is_height_in_leaves=False, is_member_in_possessions=True, has_studies=True),
}
"""Every version that this program knows. Append only."""

NEWEST: Final = max(RULES)


def find_version(entries: Bytes, *, height: int, first: int) -> int:
    """Return which version holds at a height in a ledger that began with `first`."""
    schedule = UPGRADES.find(entries, CURRENT)
    if schedule is None:
        return first
    reached = [one.version for one in schedule.upgrades if one.height <= height]
    return reached[-1] if reached else first


def get_rules(entries: Bytes, *, height: int, first: int) -> Rules:
    """Return the rules that hold at a height, or refuse where only a newer program knows them."""
    version = find_version(entries, height=height, first=first)
    rules = RULES.get(version)
    if rules is None:
        raise Refused(
            Reason.RULES_UNKNOWN,
            f"rules {version} hold from block {height} on, and this program knows up to {NEWEST}: "
            "install a newer one",
        )
    return rules
