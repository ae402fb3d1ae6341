"""One node over HTTP: requests signed, answers bounded, and a refusal arrives as the same refusal."""

import ipaddress
import math
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from iamata.client.lines import Lines, open_pool
from iamata.crypto.ed25519 import SigningKey
from iamata.model.ids import RANDOM_ID_BYTES, compute_random_id
from iamata.model.instants import MS_PER_SECOND
from iamata.model.reasons import Reason, Refused, require
from iamata.wire.decoding import get_decoder
from iamata.wire.refusals import Problem, read_refusal
from iamata.wire.signatures import Message, sign_request

CONNECT_S_MAX: Final = 5.0
ANSWER_S_MAX: Final = 65.0
"""Until an answer is whole to what may change something: longer than a node waits for finality."""
READ_S_MAX: Final = 15.0
"""Until an answer is whole to what changes nothing, beyond what the node was asked to wait: longer than a
node waits by itself for validators to vouch for its newest block."""
ANSWER_BYTES_MAX: Final = 128 * 1_024 * 1_024
READ_BYTES: Final = 262_144
CONNECTIONS_MAX: Final = 8
ATTEMPTS: Final = 3
"""How often a question is asked that changes nothing; what may change something is asked once."""
PAUSE_S: Final = 0.05

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_DONE: Final = 200
_BUSY: Final = 503

AnswerT = TypeVar("AnswerT")


class Connection:
    """A node's URL, and the key that signs what is asked there."""

    def __init__(
        self,
        url: str,
        *,
        key: SigningKey | None = None,
        authorities: Path | None = None,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.url, self._authority = read_url(url)
        self.key = key
        self._clock = clock
        self._entropy = entropy
        self._lines = Lines()
        self._pool = open_pool(
            self.url,
            connections_max=CONNECTIONS_MAX,
            trust=_trust(authorities) if self.url.startswith("https:") else None,
            lines=self._lines,
        )

    def get(
        self, path: str, kind: type[AnswerT], query: msgspec.Struct | None = None, *, wait_s: float = 0.0
    ) -> AnswerT:
        """Ask a question that changes nothing; a node that just restarts is asked again.

        `wait_s` is how long the query asks the node to wait for an answer.
        """
        target = path if query is None else f"{path}?{_spell(query)}"
        answer_s = wait_s + READ_S_MAX
        until_s = time.monotonic() + answer_s
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._ask("GET", target, b"", kind, answer_s=answer_s)
            except Refused as refused:
                is_over = attempt == ATTEMPTS or self._lines.is_cut or time.monotonic() >= until_s
                if refused.reason is not Reason.NODE_UNREACHABLE or is_over:
                    raise
            time.sleep(PAUSE_S * attempt)
        raise AssertionError(target)

    def post(
        self, path: str, kind: type[AnswerT], body: msgspec.Struct, *, is_signed: bool = True
    ) -> AnswerT:
        """Ask for something to be done, once; unsigned where the ledger does not know the key yet."""
        raw = msgspec.json.encode(body)
        return self._ask("POST", path, raw, kind, answer_s=ANSWER_S_MAX, is_signed=is_signed)

    def close(self) -> None:
        """Close the connections; what is under way on them ends as if the node were gone."""
        self._lines.cut()
        self._pool.close()

    def _ask(  # noqa: PLR0913  a request, and how long it may take
        self,
        method: str,
        target: str,
        body: bytes,
        kind: type[AnswerT],
        *,
        answer_s: float,
        is_signed: bool = True,
    ) -> AnswerT:
        signed = self._sign(method, target, body) if is_signed else {}
        status, answer = self._exchange(method, target, body, signed, answer_s=answer_s)
        if status == _DONE:
            return self._decode(answer, kind)
        try:
            problem = get_decoder(Problem).decode(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            reason = Reason.TOO_BUSY if status == _BUSY else Reason.NODE_UNREACHABLE
            raise Refused(reason, self.url) from error
        raise read_refusal(problem)

    def _exchange(
        self, method: str, target: str, body: bytes, signed: dict[str, str], *, answer_s: float
    ) -> tuple[int, bytes]:
        headers = {"accept": "application/json", **signed}
        if body:
            headers["content-type"] = "application/json"
        try:
            response = self._pool.urlopen(
                method,
                target,
                body=body or None,
                headers=headers,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_S_MAX, read=answer_s),
                pool_timeout=math.ceil(answer_s),
            )
            with response:
                answer = _read_bounded(response)
                response.drain_conn() if len(answer) <= ANSWER_BYTES_MAX else response.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Refused(Reason.NODE_UNREACHABLE, self.url) from error
        require(len(answer) <= ANSWER_BYTES_MAX, Reason.NODE_UNREACHABLE, self.url)
        return response.status, answer

    def _sign(self, method: str, target: str, body: bytes) -> dict[str, str]:
        if self.key is None:
            return {}
        path, _, query = target.partition("?")
        message = Message(method=method, authority=self._authority, path=path, query=query, fields={})
        nonce = compute_random_id(self._entropy(RANDOM_ID_BYTES))
        return sign_request(self.key, message, body, now_s=self._clock() // MS_PER_SECOND, nonce=nonce)

    def _decode(self, answer: bytes, kind: type[AnswerT]) -> AnswerT:
        try:
            return get_decoder(kind).decode(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(Reason.NODE_UNREACHABLE, f"{self.url} answers something else") from error


def read_url(text: str) -> tuple[str, str]:
    """Return a node's URL and its authority; without TLS only this machine is spoken to."""
    try:
        url = urllib3.util.parse_url(text)
    except urllib3.exceptions.LocationParseError as error:
        raise Refused(Reason.INPUT_INVALID, "this is no URL of a node") from error
    is_whole = url.scheme in _DEFAULT_PORTS and url.host and not (url.auth or url.query or url.fragment)
    require(
        bool(is_whole) and url.path in {None, "", "/"}, Reason.INPUT_INVALID, "a node is https://HOST:PORT"
    )
    host, scheme = str(url.host), str(url.scheme)
    is_private = scheme == "https" or _is_loopback(host)
    require(is_private, Reason.INPUT_INVALID, "without TLS only nodes of this machine are spoken to")
    is_plain = url.port in {None, _DEFAULT_PORTS[scheme]}
    authority = host if is_plain else f"{host}:{url.port}"
    return f"{scheme}://{authority}", authority.lower()


def _read_bounded(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read an answer, or as much of it as shows that it is too long."""
    answer = bytearray()
    while len(answer) <= ANSWER_BYTES_MAX and (part := response.read1(READ_BYTES)):
        answer += part
    return bytes(answer)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _trust(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Refused(Reason.FILE_NOT_FOUND, str(authorities)) from error
    except ssl.SSLError as error:
        raise Refused(Reason.INPUT_INVALID, f"{authorities} holds no certificates") from error


def _spell(query: msgspec.Struct) -> str:
    named: dict[str, Any] = msgspec.to_builtins(query)
    return urlencode({name: value for name, value in named.items() if value is not None})
