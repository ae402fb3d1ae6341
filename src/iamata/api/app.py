"""The application: every request goes through one gate, into one use case, and out in one shape."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from iamata.api.bounds import decode_body, decode_query, read_body, read_message
from iamata.api.callers import Caller
from iamata.api.gate import Knock
from iamata.api.limits import LATE_S, VIEW_S_MAX
from iamata.api.openapi import write_openapi
from iamata.api.pages import write_page
from iamata.api.routes import ROUTES, Route
from iamata.api.serving import Serving
from iamata.model.reasons import Reason, Refused
from iamata.wire.bodies import Submission
from iamata.wire.refusals import describe, get_status
from iamata.workflows.late_posting import finish_late_emergencies

JSON: Final = "application/json"

Endpoint = Callable[[Request], Awaitable[Response]]

_HEADERS: Final = {"cache-control": "no-store"}
"""Records and proofs are for who asked, and for no cache in between."""
_UNREAD: Final = (Reason.TOO_SLOW, Reason.TOO_LARGE)
_LOG: Final = structlog.get_logger("iamata.http")


def create_app(serving: Serving) -> Starlette:
    """Make the application that serves one node."""

    @contextlib.asynccontextmanager
    async def live(_: Starlette) -> AsyncIterator[None]:
        tending = [asyncio.create_task(one(serving)) for one in (_sweep, _post_late)]
        yield
        for task in tending:
            task.cancel()
        serving.pool.close()

    pages = {
        "/openapi.json": Response(write_openapi(ROUTES), media_type=JSON),
        "/docs": write_page(ROUTES),
    }
    routes = [
        StarletteRoute(one.path, _make_endpoint(serving, one), methods=[one.method]) for one in ROUTES
    ]
    routes += [StarletteRoute(path, _make_page(serving, page)) for path, page in pages.items()]
    return Starlette(
        routes=routes,
        lifespan=live,
        exception_handlers={
            404: functools.partial(_refuse_unrouted, serving, Reason.UNKNOWN_ADDRESS),
            405: functools.partial(_refuse_unrouted, serving, Reason.WRONG_METHOD),
            Exception: functools.partial(_refuse_unrouted, serving, Reason.NODE_FAULT),
        },
    )


def _make_endpoint(serving: Serving, route: Route) -> Endpoint:
    async def answer(request: Request) -> Response:
        begun_s = time.perf_counter()
        reason: Reason | None = None
        try:
            response = await _answer(serving, route, request)
        except Refused as refused:
            reason = refused.reason
            response = _refuse(serving, reason)
        _note(serving, route.name, response.status_code, reason, time.perf_counter() - begun_s)
        return response

    return answer


def _make_page(serving: Serving, page: Response) -> Endpoint:
    async def show(request: Request) -> Response:
        try:
            serving.gate.slow_down(_get_address(request))
        except Refused as refused:
            return _refuse(serving, refused.reason)
        return page

    return show


async def _answer(serving: Serving, route: Route, request: Request) -> Response:
    """Run a route; all that may wait for the ledger, the disk or another node runs in a thread."""
    serving.gate.slow_down(_get_address(request))
    bytes_max = route.bytes_max if route.method == "POST" else 0
    body = await read_body(request, bytes_max=bytes_max)
    knock = Knock(message=read_message(request), body=body, address=_get_address(request))

    def admit() -> dict[str, Any]:
        return _read_arguments(route, request, knock, serving, serving.gate.admit(knock, route.access))

    def run() -> Response:
        caller = serving.gate.admit(knock, route.access)
        with serving.turns.take(caller):
            return _write(route.run(**_read_arguments(route, request, knock, serving, caller)))

    if route.is_patient:
        # Whether the process lives must be answered when every thread is taken, so it asks for none.
        is_quick = not (body or knock.is_signed)
        result = await route.run(**(admit() if is_quick else await serving.pool.run(admit)))
        if is_quick or body:  # what was done is said to be done, however busy the node is
            return _write(result)
        # A delivery is megabytes: spelled here, it would hold up everybody else's answers.
        return await serving.pool.run(lambda: _write(result))
    return await serving.pool.run(run)


def _read_arguments(
    route: Route, request: Request, knock: Knock, serving: Serving, caller: Caller | None
) -> dict[str, Any]:
    """Read what a route's function takes."""
    kinds = route.types
    arguments: dict[str, Any] = {}
    for name in kinds.keys() - {"return"}:
        if name == "body":
            arguments[name] = body = decode_body(knock.body, kinds[name])
            if isinstance(body, Submission):
                serving.gate.charge(knock, caller, transactions=len(body.transactions))
        elif name == "query":
            arguments[name] = decode_query(request, kinds[name])
        else:
            arguments[name] = {"serving": serving, "caller": caller}[name]
    return arguments


def _write(result: object) -> Response:
    if isinstance(result, Response):
        return result
    return Response(msgspec.json.encode(result), media_type=JSON, headers=_HEADERS)


def _refuse(serving: Serving, reason: Reason) -> Response:
    serving.metrics.refusals.labels(reason.name).inc()
    # What was not read to its end is not waited for either.
    headers = {"connection": "close"} if reason in _UNREAD else None
    body = msgspec.json.encode(describe(reason))
    return Response(body, status_code=get_status(reason), media_type=JSON, headers=headers)


async def _refuse_unrouted(serving: Serving, reason: Reason, request: Request, _: Exception) -> Response:
    """Answer what reaches no route, or was our bug; the server logs that one with its place."""
    if reason is not Reason.NODE_FAULT:  # which a route has slowed down already
        try:
            serving.gate.slow_down(_get_address(request))
        except Refused as refused:
            reason = refused.reason
    response = _refuse(serving, reason)
    _note(serving, "none", response.status_code, reason, 0)
    return response


def _note(serving: Serving, route: str, status: int, reason: Reason | None, seconds: float) -> None:
    """Count and log a request: its route and outcome, and nothing that it said."""
    serving.metrics.requests.labels(route, str(status)).inc()
    serving.metrics.seconds.labels(route).observe(seconds)
    refusal = {} if reason is None else {"reason": reason.name}
    _LOG.info("request", route=route, status=status, ms=round(seconds * 1_000, 2), **refusal)


def _get_address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _post_late(serving: Serving) -> None:
    """Tell the ledger of what left without it as soon as it answers again, whether anybody asks or not."""
    while True:
        await asyncio.sleep(LATE_S)
        try:
            await serving.pool.run(lambda: finish_late_emergencies(serving.office))
        except Refused as refused:
            _LOG.error("late emergencies", reason=refused.reason.name)


async def _sweep(serving: Serving) -> None:
    """Let go of what was held for those who asked, for as long as the node serves."""
    while True:
        await asyncio.sleep(VIEW_S_MAX)
        serving.views.sweep()
