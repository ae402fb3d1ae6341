"""What lies in the repository is fit for others: no place of one machine, no address, no idle part."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from sources import ROOT, find_imports, read_product

LOCKS: Final = ("requirements/runtime.txt", "requirements/dev.txt")
MODULES: Final = {
    "google-re2": "re2",
    "prometheus-client": "prometheus_client",
    "protobuf": "google",
    "pynacl": "nacl",
}
"""Distributions whose module has another name."""

# Character classes keep these patterns from finding themselves.
MACHINE_PLACE: Final = re.compile(r"(?<![\w.$}-])/(?:roo[t]|wor[k]|hom[e]/\w+|User[s]/\w+|tm[p]/v)/")
REGISTRY: Final = re.compile(
    r"(?:py[p]i\.org|python[h]osted|npm[j]s|proxy\.golan[g]|crate[s]\.io|repo\d?\.mave[n])", re.IGNORECASE
)


def read_texts() -> dict[str, str]:
    """Read every text file that git tracks or would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so nothing says which files belong to it")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    paths = [ROOT / name for name in names.split("\0") if name]
    texts = {path: path.read_bytes() for path in paths if path.is_file()}
    return {
        str(path.relative_to(ROOT)): raw.decode("utf-8", "replace")
        for path, raw in texts.items()
        if b"\0" not in raw
    }


@pytest.mark.parametrize("pattern", [MACHINE_PLACE, REGISTRY], ids=["machine", "registry"])
def test_no_file_names_a_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    found = [
        f"{name}:{number}"
        for name, text in read_texts().items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]

    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pins = re.findall(r"^[A-Za-z0-9][\w.-]*==", text, re.MULTILINE)

    assert len(pins) > 0
    assert "://" not in text
    assert "--index" not in text
    assert "@ " not in text
    assert all(
        "--hash=sha256:" in part for part in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    )


def test_both_locks_agree() -> None:
    runtime, dev = (
        set(re.findall(r"^[A-Za-z0-9][^\\]*==\S+", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))
        for lock in LOCKS
    )

    assert runtime - dev == set()


def test_every_runtime_part_is_used_and_every_used_part_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[<>=\[; ]", part)[0].lower() for part in project["dependencies"]]
    imported = {
        module.partition(".")[0] for source in read_product() for module, _ in find_imports(source.tree)
    }
    foreign = imported - set(sys.stdlib_module_names) - {"iamata"}

    assert {MODULES.get(name, name) for name in names} == foreign


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = Path(ROOT / "LICENSE").read_text(encoding="utf-8")

    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability." in text
