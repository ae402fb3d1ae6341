"""Generate the messages of ABCI from CometBFT's own definitions, of the version that tools/go.mod pins.

Two things are taken out of the definitions, and neither is on the wire: options of a Go code generator,
and the names of packages and files, so that another library may bring the same definitions along.
"""

import contextlib
import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import grpc_tools  # type: ignore[import-untyped]
from grpc_tools import protoc

ROOT: Final = Path(__file__).resolve().parents[1]
MODULE: Final = "github.com/cometbft/cometbft"
PLACE: Final = "iamata/engines/comet/protocol"
SOURCES: Final = {
    "tendermint/abci/types.proto": "abci.proto",
    "tendermint/crypto/keys.proto": "keys.proto",
    "tendermint/crypto/proof.proto": "proof.proto",
    "tendermint/types/params.proto": "params.proto",
    "tendermint/types/validator.proto": "validator.proto",
}
"""Where a definition lies in the module, and what it is called here."""

_GO_OPTIONS: Final = re.compile(r"\s*\[[^\[\]]*gogoproto[^\[\]]*\]")
_FILE_OPTIONS: Final = re.compile(r"^\s*option\s*(?:\(gogoproto\.|go_package)[^;]*;\n", re.MULTILINE)


def main() -> None:
    """Write the stubs into the package, or into the folder that is named."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src"
    generate(find_definitions(), place)


def find_definitions() -> Path:
    """Return the folder of the pinned module's definitions; Go fetches it and checks it against go.sum."""
    command = ["go", "mod", "download", "-json", MODULE]
    answer = subprocess.run(command, cwd=ROOT / "tools", check=True, capture_output=True, text=True)  # noqa: S603
    return Path(json.loads(answer.stdout)["Dir"]) / "proto"


def generate(definitions: Path, place: Path) -> None:
    """Write a module and its types for each definition."""
    with tempfile.TemporaryDirectory() as name:
        renamed = Path(name) / PLACE
        renamed.mkdir(parents=True)
        for source, target in SOURCES.items():
            text = (definitions / source).read_text(encoding="utf-8")
            (renamed / target).write_text(rename(text), encoding="utf-8")
        well_known = str(Path(grpc_tools.__file__).with_name("_proto"))
        arguments = [f"-I{name}", f"-I{well_known}", f"--python_out={place}", f"--pyi_out={place}"]
        complaints = io.StringIO()
        with contextlib.redirect_stderr(complaints):
            code = protoc.main(["protoc", *arguments, *(f"{PLACE}/{one}" for one in SOURCES.values())])
    if code:
        message = f"the definitions could not be compiled: {complaints.getvalue()}"
        raise SystemExit(message)


def rename(text: str) -> str:
    """Give a definition our names, and leave out what only Go's generator reads."""
    text = text.replace('import "gogoproto/gogo.proto";\n', "")
    text = _GO_OPTIONS.sub("", _FILE_OPTIONS.sub("", text))
    for source, target in SOURCES.items():
        text = text.replace(f'"{source}"', f'"{PLACE}/{target}"')
    return re.sub(r"\btendermint\.(abci|crypto|types)\b", r"iamata.comet.\1", text)


if __name__ == "__main__":
    main()
