"""The socket: order, flushes, garbage, foreigners, and one connection for each purpose."""

import gc
import logging
import socket
import stat
import warnings
from pathlib import Path
from typing import Any

import pytest

from iamata.engines.comet.engine import CometEngine
from iamata.engines.comet.framing import write_frame
from iamata.engines.comet.protocol import abci_pb2 as abci
from iamata.engines.comet.server import AbciServer
from iamata.model.reasons import Refused
from iamata.testing.comet import AbciConnection, CometDiedError, spell
from iamata.testing.validator import ValidatorTown


def connect(town: ValidatorTown) -> AbciConnection:
    return AbciConnection(town.folder / "ledger.sock")


def test_answers_come_in_the_order_of_the_questions(town: ValidatorTown) -> None:
    town.comet.connect()
    bundles = town.write_anchors(40)
    questions = [
        {"check_tx": abci.RequestCheckTx(tx=raw if number % 3 else b"x")}
        for number, raw in enumerate(bundles)
    ]

    answers = town.comet["mempool"].ask_all(questions)

    assert [answer.code == 0 for answer in answers] == [number % 3 > 0 for number in range(40)]


def test_answers_are_held_until_the_flush(town: ValidatorTown) -> None:
    connection = connect(town)
    connection.send(spell(echo=abci.RequestEcho(message="a")))
    connection.send(spell(echo=abci.RequestEcho(message="b")))
    connection._socket.settimeout(0.2)  # noqa: SLF001  to see that nothing comes

    with pytest.raises(CometDiedError, match="timed out"):
        connection.receive()
    connection._socket.settimeout(20)  # noqa: SLF001
    connection.send(spell(flush=abci.RequestFlush()))

    assert [connection.receive().echo.message, connection.receive().echo.message] == ["a", "b"]
    assert connection.receive().HasField("flush")
    connection.close()


def test_a_question_may_arrive_byte_by_byte(town: ValidatorTown) -> None:
    connection = connect(town)
    for byte in spell(echo=abci.RequestEcho(message="slow" * 50)) + spell(flush=abci.RequestFlush()):
        connection.send(bytes([byte]))

    assert connection.receive().echo.message == "slow" * 50
    connection.close()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff" * 6, "a length of more than 5 bytes"),
        (write_frame(b"\xff\xff\xff"), "cut off"),
        (write_frame(b""), "asks nothing"),
        (b"\xff\xff\xff\x7f", "where 67108864 are allowed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "cut off"),
    ],
)
def test_garbage_is_cut_off_with_a_word_in_the_log(
    town: ValidatorTown, caplog: pytest.LogCaptureFixture, data: bytes, words: str
) -> None:
    connection = connect(town)
    with caplog.at_level(logging.ERROR):
        connection.send(data + bytes(100))
        with pytest.raises(CometDiedError):
            connection.receive()
        connection.close()

    assert words in caplog.text
    town.comet.connect()
    assert town.comet.make_block().height == 1


def test_a_connection_has_one_purpose(town: ValidatorTown, caplog: pytest.LogCaptureFixture) -> None:
    town.comet.connect()
    town.comet.check(b"x")

    with pytest.raises(CometDiedError):
        town.comet["mempool"].ask(commit=abci.RequestCommit())

    assert "commit on the mempool connection" in caplog.text


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"commit": abci.RequestCommit()}, "no block was finalized"),
        ({"finalize_block": abci.RequestFinalizeBlock(height=3)}, "block 3, where the ledger stands at 1"),
        ({"prepare_proposal": abci.RequestPrepareProposal(height=1)}, "block 1, where"),
        ({"init_chain": abci.RequestInitChain()}, "InitChain, where block 1 is durable"),
    ],
)
def test_a_question_out_of_order_is_cut_off(
    town: ValidatorTown, caplog: pytest.LogCaptureFixture, question: dict[str, object], words: str
) -> None:
    town.comet.connect()
    town.comet.make_block()

    with pytest.raises(CometDiedError):
        town.comet["consensus"].ask(**question)

    assert words in caplog.text


def test_after_everything_that_was_cut_off_the_ledger_goes_on(town: ValidatorTown) -> None:
    town.comet.connect()
    for _ in range(3):
        with pytest.raises(CometDiedError):
            town.comet["consensus"].ask(commit=abci.RequestCommit())
        town.comet.connect()
        town.comet.make_block()

    assert town.engine.snapshot().height == 3


def test_the_socket_is_for_its_owner_alone(town: ValidatorTown) -> None:
    mode = (town.folder / "ledger.sock").stat().st_mode

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_what_a_killed_process_left_behind_is_in_nobodys_way(town: ValidatorTown) -> None:
    town.engine.close()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(town.folder / "ledger.sock"))

    town.open("ledger")
    town.comet.connect()

    assert town.comet.make_block().height == 1


def test_a_socket_in_use_is_refused(town: ValidatorTown, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    with pytest.raises(Refused, match=r"HOME_IN_USE.*another process listens"):
        CometEngine(
            tmp_path / "other",
            town.genesis,
            address=f"unix://{town.folder / 'ledger.sock'}",
            broadcast=lambda _: None,
        )
    town.comet.connect()  # who was there first is still there


def test_a_path_too_long_for_a_socket_is_refused_by_its_reason(town: ValidatorTown) -> None:
    town.engine.close()

    with pytest.raises(Refused, match=r"INPUT_INVALID.*choose a shorter path"):
        town.open("a" * 108)  # the system allows 107


def test_a_file_in_the_sockets_place_is_left_alone(town: ValidatorTown, tmp_path: Path) -> None:
    (tmp_path / "other.sock").write_text("precious", encoding="utf-8")
    town.engine.close()

    with pytest.raises(Refused, match="no socket"):
        town.open("other")

    assert (tmp_path / "other.sock").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:26658", "tcp://example.org:1", "http://127.0.0.1:1"])
def test_an_address_that_others_could_reach_is_refused(
    town: ValidatorTown, tmp_path: Path, address: str
) -> None:
    (tmp_path / "other").mkdir()

    with pytest.raises(Refused, match="INPUT_INVALID"):
        CometEngine(tmp_path / "other", town.genesis, address=address, broadcast=lambda _: None)


def test_whoever_was_just_let_in_is_let_go_when_the_server_ends(tmp_path: Path) -> None:
    """Each of CometBFT's connections is closed, also those that it opened in the last moment."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(40):
            come_and_end(tmp_path / "abci.sock")
        gc.collect()

    assert [str(one.message) for one in warned] == []


def come_and_end(path: Path) -> None:
    """Connect, and have the server end at once."""
    dispatcher: Any = None  # nobody asks anything
    server = AbciServer(dispatcher, f"unix://{path}", halt=lambda _: None)
    server.start()
    clients = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for client in clients:
        client.connect(str(path))
    server.close()
    for client in clients:
        client.close()
