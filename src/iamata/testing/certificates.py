"""A certificate for nodes on this machine's loopback, made by openssl: for tests and measurements."""

import subprocess
from pathlib import Path
from typing import Final

CERTIFICATE: Final = "certificate.pem"
KEY: Final = "key.pem"


def make_certificate(folder: Path, openssl: Path) -> tuple[Path, Path]:
    """Make a key on P-256 and a certificate for 127.0.0.1 that signs itself; return their files."""
    certificate, key = folder / CERTIFICATE, folder / KEY
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    files = ("-keyout", str(key), "-out", str(certificate))
    names = ("-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1")
    command = [str(openssl), "req", "-x509", *curve, *files, "-days", "1", *names]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603  a fixed command
    return certificate, key
