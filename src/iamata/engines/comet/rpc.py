"""Ask the CometBFT beside this node, over its RPC on loopback: where it stands, who votes, what is final.

Its answers are read into types and believed in nothing that has signatures: see `lights`.
"""

import contextlib
import http.client
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from iamata.engines.comet.lights import CommitAnswer, ValidatorAnswer, make_light_block
from iamata.ledger.light.blocks import LightBlock
from iamata.ledger.validators import VALIDATORS_MAX
from iamata.model.reasons import Reason, Refused, require
from iamata.wire.decoding import get_decoder

ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
"""A block of the greatest size in base64, and more."""
TIMEOUT_S: Final = 10.0
OK: Final = 200

AnswerT = TypeVar("AnswerT")


class SyncInfo(msgspec.Struct):
    """How far the blocks go that CometBFT keeps."""

    latest_block_height: str
    latest_block_time: str
    earliest_block_height: str = "0"
    catching_up: bool = False


class ValidatorInfo(msgspec.Struct):
    """The node's own weight, 0 where it orders nothing."""

    address: str
    voting_power: str


class NodeInfo(msgspec.Struct):
    """By which name and for which network it runs."""

    id: str
    network: str
    version: str
    moniker: str


class Status(msgspec.Struct):
    """What `/status` answers."""

    node_info: NodeInfo
    sync_info: SyncInfo
    validator_info: ValidatorInfo


class Peers(msgspec.Struct):
    """What `/net_info` answers."""

    n_peers: str


class _Validators(msgspec.Struct):
    validators: list[ValidatorAnswer]


class _Error(msgspec.Struct):
    message: str = ""
    data: str = ""


class _Envelope(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class CometRpc:
    """One connection, kept open; one question at a time."""

    def __init__(self, address: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=timeout_s)
        self._guard = threading.Lock()

    def read_status(self) -> Status:
        """Tell where it stands."""
        return self.ask("status", Status)

    def count_peers(self) -> int:
        """Count the nodes that it is connected to."""
        return int(self.ask("net_info", Peers).n_peers)

    def read_light_block(self, height: int) -> LightBlock:
        """Return the header of a height, with votes and validators, of which none is checked yet."""
        commit = self.ask("commit", CommitAnswer, height=str(height))
        answer = self.ask("validators", _Validators, height=str(height), per_page=str(VALIDATORS_MAX))
        return make_light_block(commit, answer.validators)

    def ask(self, method: str, kind: type[AnswerT], **parameters: str) -> AnswerT:
        """Ask one question, and read the answer as a type."""
        query = urllib.parse.urlencode(parameters)
        with self._guard, self._refusing_silence(method):
            status, raw = self._exchange(f"/{method}?{query}")
        require(len(raw) <= ANSWER_BYTES_MAX, Reason.INPUT_TOO_LARGE, f"CometBFT's answer to {method}")
        try:
            envelope = get_decoder(_Envelope).decode(raw)
            if status == OK and envelope.error is None:
                return get_decoder(kind).decode(envelope.result)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(Reason.MALFORMED, f"CometBFT's answer to {method}") from error
        raise Refused(Reason.NOT_FOUND, f"CometBFT refused {method}: {_describe(envelope)}")

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _exchange(self, target: str) -> tuple[int, bytes]:
        for is_last in (False, True):
            try:
                self._connection.request("GET", target)
                answer = self._connection.getresponse()
                return answer.status, answer.read(ANSWER_BYTES_MAX + 1)
            except (http.client.HTTPException, ConnectionError):  # it may have closed an idle connection
                self._connection.close()
                if is_last:
                    raise
        raise AssertionError  # never: the last attempt returns or raises

    @contextlib.contextmanager
    def _refusing_silence(self, method: str) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            what = f"CometBFT does not answer {method} at {self._connection.host}:{self._connection.port}"
            raise Refused(Reason.NODE_UNREACHABLE, what) from error


def _describe(envelope: _Envelope) -> str:
    error: Any = envelope.error
    return "" if error is None else (error.data or error.message)
