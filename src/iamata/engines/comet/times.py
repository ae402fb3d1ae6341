"""CometBFT's times, which count nanoseconds, and ours, which count milliseconds."""

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

_MS_PER_S: Final = 1_000
_NS_PER_MS: Final = 1_000_000


def read_ms(time: Timestamp) -> int:
    """Return whole milliseconds; consecutive blocks are at least one apart."""
    return time.seconds * _MS_PER_S + time.nanos // _NS_PER_MS


def write_time(time_ms: int) -> Timestamp:
    """Spell milliseconds as CometBFT does."""
    seconds, rest_ms = divmod(time_ms, _MS_PER_S)
    return Timestamp(seconds=seconds, nanos=rest_ms * _NS_PER_MS)
