"""A question for workers that anybody can check, and processes that answer it badly."""

import os
import time

import msgspec


class Numbers(msgspec.Struct, frozen=True):
    """Numbers to be squared."""

    numbers: list[int]

    def __len__(self) -> int:
        return len(self.numbers)


class Square(msgspec.Struct, frozen=True):
    """A square, and the process that computed it."""

    square: int
    pid: int


def square_all(asked: Numbers) -> list[Square]:
    """Square numbers; it takes a millisecond, so that the other process gets its share."""
    time.sleep(0.001)
    return [Square(number * number, os.getpid()) for number in asked.numbers]


def answer_one_too_few(_: bytes) -> bytes:
    """Answer with nothing."""
    return msgspec.msgpack.encode([])


def answer_nonsense(raw: bytes) -> bytes:
    """Answer with what was asked."""
    return raw


def fail(raw: bytes) -> bytes:
    """Fail, as a fault of ours would."""
    message = f"cannot answer {raw!r}"
    raise RuntimeError(message)
