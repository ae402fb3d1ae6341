"""A served node whose ledger halted ends, and says why: whoever keeps it running starts it anew."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from iamata.engines.embedded.engine import read_clock_ms
from iamata.ledger.entries import MemberKind
from iamata.model.ids import MemberId
from iamata.node.configuration import Comet, read_configuration
from iamata.node.running import make_group
from iamata.node.validators import create_validator_homes
from iamata.testing.comet import CometDiedError, PlayedComet

PATIENCE_S: Final = 30
MEMBER: Final = MemberId("alpha")


@pytest.mark.parametrize("is_halting", [True, False])
def test_a_node_ends_with_its_ledger_and_not_with_its_comet(
    require_part: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, *, is_halting: bool
) -> None:
    require_part("cometbft")
    folder = tmp_path_factory.mktemp("own")  # short: the system allows a socket's name 107 characters
    genesis = create_validator_homes(folder / "net", "Net", [(MEMBER, "Alpha", MemberKind.HOSPITAL)])
    home = folder / "net" / MEMBER
    engine = read_configuration(home).engine
    assert isinstance(engine, Comet)
    serve = make_group(home).programs[0].arguments
    with subprocess.Popen(  # noqa: S603  our own program
        serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        node.stdout.readline()  # it serves
        comet = PlayedComet(home / engine.application, genesis, clock=read_clock_ms)
        try:
            comet.connect()
            if is_halting:
                with pytest.raises(CometDiedError, match="FOREIGN_NETWORK"):
                    comet.init_chain(initial_height=7)
            else:
                comet.hang_up()
                time.sleep(1)
                assert node.poll() is None
                node.terminate()
            _, said = node.communicate(timeout=PATIENCE_S)
        finally:
            comet.hang_up()
            node.kill()

    assert (node.returncode != 0) == is_halting
    assert ("the ledger halted" in said) == is_halting
    assert "Traceback" not in said
