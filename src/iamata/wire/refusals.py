"""How a refusal crosses HTTP: one shape, and one table from reasons to status codes.

The shape holds number, name and sentence of the reason, and nothing of what was asked.
"""

from http import HTTPStatus
from typing import Final

import msgspec

from iamata.model.reasons import Reason, ReasonClass, Refused
from iamata.wire.sentences import CLASSES, get_sentence


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why the node said no."""

    reason: int
    name: str
    sentence: str


STATUSES: Final = {
    ReasonClass.INVALID: HTTPStatus.BAD_REQUEST,
    ReasonClass.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ReasonClass.UNKNOWN: HTTPStatus.NOT_FOUND,
    ReasonClass.CONFLICT: HTTPStatus.CONFLICT,
    ReasonClass.LATE: HTTPStatus.GONE,
    ReasonClass.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
EXCEPTIONS: Final = {
    Reason.NOT_SIGNED: HTTPStatus.UNAUTHORIZED,
    Reason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Reason.WRONG_METHOD: HTTPStatus.METHOD_NOT_ALLOWED,
    Reason.WRONG_NODE: HTTPStatus.MISDIRECTED_REQUEST,
    Reason.TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    Reason.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.NODE_FAULT: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Where HTTP has a word of its own."""


def describe(reason: Reason) -> Problem:
    """Put a reason into the shape."""
    return Problem(reason=int(reason), name=reason.name, sentence=get_sentence(reason))


def get_status(reason: Reason) -> int:
    """Return the status code of a reason."""
    return int(EXCEPTIONS.get(reason, STATUSES[CLASSES[reason]]))


def read_refusal(problem: Problem) -> Refused:
    """Return the refusal that a node meant; one that we do not know is the node's own fault."""
    known = {int(reason): reason for reason in Reason}
    return Refused(known.get(problem.reason, Reason.NODE_FAULT))
