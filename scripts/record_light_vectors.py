"""Record vectors/light from a run of the real CometBFT: four validators, its own kvstore, on loopback.

    .venv/bin/python scripts/record_light_vectors.py .venv/bin/cometbft vectors/light

The run: blocks by all four; one validator's weight is raised to more than two thirds; the others stop,
and it goes on alone, so that the genesis alone no longer vouches for what it signs. Keys are drawn for
the run and thrown away.
"""

import base64
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from iamata.crypto.ed25519 import SigningKey
from iamata.model.canonical import encode_struct
from iamata.model.ids import decode_digest
from iamata.testing.validators import CometNetwork, found_validators

MEMBERS: Final = ("hospital-a", "hospital-b", "hospital-c", "regulator")
GREAT_POWER: Final = 100
WHY: Final = (
    "Recorded from four processes of CometBFT 0.38.25 with its kvstore: what a light client must take and "
    "refuse. At `raised` the weight of one validator is over two thirds; at `alone` the three others are "
    "dead, so that less than a third of the genesis' weight has signed. The keys were drawn for this run."
)


def main() -> None:
    """Run a network, record it, and end it."""
    program, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    seeds = [os.urandom(32) for _ in MEMBERS]
    genesis = found_validators(MEMBERS, seeds, name="Light vectors")
    with tempfile.TemporaryDirectory() as folder:
        network = CometNetwork(program, Path(folder), genesis, seeds)
        network.start()
        try:
            heights = drive(network, SigningKey.from_seed(seeds[0]))
            write(network, target, heights)
        finally:
            network.kill()


def drive(network: CometNetwork, key: SigningKey) -> dict[str, int]:
    """Let the network do what is to be recorded; return the heights at which it did."""
    network.await_height(1)
    heights = {"first": 1, "changed": network.store("a=1")}
    public = base64.b64encode(decode_digest(key.key_id)).decode("ascii")
    heights["raising"] = network.store(f"val=ed25519!{public}!{GREAT_POWER}")
    network.store("b=2")
    heights["raised"] = heights["raising"] + 2
    network.kill(1, 2, 3)
    heights["alone"] = network.store("c=3") + 1
    network.store("d=4")
    return heights


def write(network: CometNetwork, target: Path, heights: dict[str, int]) -> None:
    """Write the genesis, every light block, and some answers of the RPC as they were."""
    target.mkdir(parents=True)
    (target / "genesis.json").write_bytes(encode_struct(network.genesis))
    rpc = network.connect()
    lights = [encode_struct(rpc.read_light_block(height)) for height in range(1, heights["alone"] + 1)]
    rpc.close()
    (target / "chain.ndjson").write_bytes(b"".join(one + b"\n" for one in lights))
    answers = {
        name: {part: network.ask(part, height=str(height)) for part in ("commit", "validators", "block")}
        for name, height in heights.items()
    }
    note = {"why": WHY, "heights": heights, "answers": answers}
    (target / "rpc.json").write_text(json.dumps(note, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
