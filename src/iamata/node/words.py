"""What people write for a member or a day, read once or refused."""

import re

from iamata.model.ids import MEMBER_PATTERN, MemberId
from iamata.model.instants import Day, parse_day
from iamata.model.reasons import Reason, Refused, require


def read_member(text: str) -> MemberId:
    """Read a member's id, or refuse what cannot be one."""
    is_name = re.match(MEMBER_PATTERN, text) is not None
    require(is_name, Reason.INPUT_INVALID, f"{text!a} is no member's id: a-z, 0-9 and -, 3 to 32 of them")
    return MemberId(text)


def read_day(text: str) -> Day:
    """Read YYYY-MM-DD, or refuse."""
    try:
        return parse_day(text)
    except ValueError as error:
        raise Refused(Reason.INPUT_INVALID, f"{text!a} is no day; write YYYY-MM-DD") from error
