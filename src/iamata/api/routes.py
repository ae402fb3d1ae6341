"""The table of routes: what is asked how, whom it serves, and which function answers."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, get_type_hints

import msgspec

from iamata.api import health, learning, ledger, messages, staff
from iamata.api.callers import Access
from iamata.api.limits import BODY_BYTES_MAX, DRAFT_BYTES_MAX, SUBMISSION_BYTES_MAX, VECTOR_BYTES_MAX


class Route(msgspec.Struct, frozen=True):
    """One line of the table. What it takes and answers stands in the signature of its function."""

    method: str
    path: str
    access: Access
    run: Callable[..., Any]
    bytes_max: int = BODY_BYTES_MAX

    @property
    def name(self) -> str:
        """Name the route, for logs and figures."""
        return f"{self.method} {self.path}"

    @property
    def summary(self) -> str:
        """Say what it does for the caller."""
        return inspect.cleandoc(self.run.__doc__ or "").partition("\n")[0]

    @property
    def types(self) -> dict[str, Any]:
        """Say what its function takes, by name, and what it returns."""
        return read_types(self.run)

    @property
    def is_patient(self) -> bool:
        """Tell whether it waits without a thread."""
        return inspect.iscoroutinefunction(self.run)


@functools.cache
def read_types(function: Callable[..., Any]) -> dict[str, Any]:
    """Read a function's annotations once."""
    return get_type_hints(function, include_extras=True)


ROUTES: Final = (
    Route("GET", "/healthz", Access.ANYONE, health.tell_health),
    Route("GET", "/readyz", Access.ANYONE, health.tell_readiness),
    Route("GET", "/metrics", Access.MACHINE, health.tell_metrics),
    Route("GET", "/v1/genesis", Access.ANYONE, health.show_genesis),
    Route("GET", "/v1/node", Access.ANYONE, health.describe_node),
    Route("POST", "/v1/transactions", Access.ANYONE, ledger.submit, SUBMISSION_BYTES_MAX),
    Route("GET", "/v1/ledger/position", Access.KNOWN, ledger.tell_position),
    Route("GET", "/v1/ledger/state", Access.KNOWN, ledger.prove_state),
    Route("GET", "/v1/ledger/leaf", Access.KNOWN, ledger.prove_leaf),
    Route("GET", "/v1/ledger/growth", Access.KNOWN, ledger.prove_growth),
    Route("GET", "/v1/ledger/events", Access.KNOWN, ledger.list_events),
    Route("GET", "/v1/ledger/blocks", Access.KNOWN, ledger.list_blocks),
    Route("POST", "/v1/requests", Access.MEMBER, messages.answer_request),
    Route("POST", "/v1/receipts", Access.MEMBER, messages.accept_receipt),
    Route("POST", "/v1/emergency-searches", Access.MEMBER, messages.find_in_emergency),
    Route("POST", "/v1/consents", Access.PATIENT, messages.accept_grant),
    Route("GET", "/v1/consents/unconfirmed", Access.PATIENT, messages.list_unconfirmed),
    Route("POST", "/v1/restrictions", Access.PATIENT, messages.accept_restriction),
    Route("POST", "/v1/accesses", Access.PATIENT, messages.list_accesses),
    Route("POST", "/v1/enrolments", Access.ANYONE, messages.accept_enrolment),
    Route("POST", "/v1/invitations", Access.STAFF, staff.invite_patient),
    Route("POST", "/v1/searches", Access.STAFF, staff.search_elsewhere),
    Route("POST", "/v1/readings", Access.STAFF, staff.fetch_records),
    Route("POST", "/v1/readings/receipts", Access.STAFF, staff.confirm_records),
    Route("GET", "/v1/documents", Access.KNOWN, learning.show_document),
    Route("POST", "/v1/documents", Access.STAFF, learning.keep, DRAFT_BYTES_MAX),
    Route("POST", "/v1/runs", Access.STAFF, learning.start_run),
    Route("POST", "/v1/runs/messages", Access.MEMBER, learning.carry_message, VECTOR_BYTES_MAX),
    Route("GET", "/v1/runs/deliveries", Access.MEMBER, learning.await_delivery),
    Route("POST", "/v1/runs/models", Access.MEMBER, learning.accept_model, VECTOR_BYTES_MAX),
    Route("GET", "/v1/lineage", Access.ANYONE, health.show_lineage),
    Route("POST", "/v1/questions", Access.STAFF, learning.ask, SUBMISSION_BYTES_MAX),
    Route("GET", "/v1/questions", Access.MEMBER, learning.show_question),
    Route("POST", "/v1/memberships", Access.PATIENT, learning.prove_membership),
    Route("POST", "/v1/datasets", Access.STAFF, learning.build_dataset),
    Route("POST", "/v1/predictions", Access.STAFF, learning.predict),
    Route("GET", "/v1/protocols", Access.STAFF, learning.show_protocol),
    Route("GET", "/v1/conditions", Access.KNOWN, learning.show_conditions),
    Route("GET", "/v1/runs", Access.STAFF, learning.tell_standing),
    Route("GET", "/v1/datasets", Access.STAFF, learning.await_dataset),
)
"""Append only within a version. What serves anyone says nothing secret, or carries its own signatures."""
