"""Run CometBFT for as long as a command has a validator's home open and writes to the ledger.

Where the home's node is up, something else keeps CometBFT running and this is not used.
"""

import contextlib
import subprocess
import threading
from pathlib import Path
from typing import Final

from iamata.engines.comet.broadcasting import Broadcast, RpcBroadcast
from iamata.model.reasons import Reason, Refused
from iamata.node.cometbft import find_cometbft

STOP_S: Final = 20.0


class StartingBroadcast:
    """Hands bundles to CometBFT, which it starts when the first one is to be sent."""

    def __init__(self, home: Path, *, folder: Path, log: Path, rpc: str) -> None:
        self._home = home
        self._folder = folder
        self._log = log
        self._send: Broadcast = RpcBroadcast(rpc)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()
        self._is_closed = False

    def __call__(self, bundle: bytes) -> None:
        """Hand a bundle in; while CometBFT is on its way up, refuse for now."""
        try:
            self._send(bundle)
        except Refused as refused:
            if refused.reason is not Reason.NODE_UNREACHABLE:
                raise
            self._start()
            what = f"CometBFT is on its way up; its log is {self._log}"
            raise Refused(Reason.NODE_UNREACHABLE, what) from refused

    def close(self) -> None:
        """Stop what was started here, and start nothing more."""
        with self._guard:
            self._is_closed = True
            process = self._process
        if process is None:
            return
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        process.kill()
        process.wait()

    def _start(self) -> None:
        with self._guard:
            if self._is_closed or (self._process is not None and self._process.poll() is None):
                return
            self._log.parent.mkdir(mode=0o700, exist_ok=True)
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603  the program that this node is made of
                    [find_cometbft(), "start", "--home", str(self._folder)],
                    cwd=self._home,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
