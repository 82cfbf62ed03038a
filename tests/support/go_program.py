"""Programs in Go that check what we wrote, built from ``tests/go`` with Debian's packages of Go."""

import os
import shutil
import subprocess
from pathlib import Path

_PROGRAMS = Path(__file__).parents[1] / "go"
#: Where Debian's golang-golang-x-mod-dev puts sources.
_SOURCES = Path("/usr/share/gocode")


def built_go(name, folder):
    """Build ``tests/go/NAME.go`` into a folder; return the program. Without Go the installation is not whole."""
    go = shutil.which("go")
    assert go, "Go is not here: install golang-go and golang-golang-x-mod-dev, as .ci/run does"
    environment = os.environ | {
        "GO111MODULE": "off", "GOPATH": str(_SOURCES), "GOCACHE": str(folder / "cache"), "CGO_ENABLED": "0",
    }  # fmt: skip
    command = [go, "build", "-o", folder / name, _PROGRAMS / f"{name}.go"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return folder / name
