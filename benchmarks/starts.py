"""How long processes take to start, and what an idle service holds.

1. ``greffier verify`` of one mail, whole process. Reference: the same interpreter that imports ``cryptography.x509``
   and ``rfc3161_client`` and ends.
2. ``greffier serve``, from its start to the first answer of /healthz. Reference: the build in the work tree that
   ``--before`` names (``git worktree add /tmp/before COMMIT``). The same with a log of ``--entries`` entries, against
   an empty one.
3. Resident memory of that process some seconds after its first answer.
Rounds of the two sides alternate. Times are processor seconds: on a busy machine elapsed seconds say how busy it is.
"""

import argparse
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import fsck
from table import result_line

from service.bootstrap.data_folder import prepare_data_folder
from service.crypto.log_keys import LogKeyFile
from service.crypto.master_key import key_passphrases, load_masters
from service.settings import load_settings
from service.system.logging import SystemClock
from support.sealed_sample import Office

_HERE = Path(__file__).parents[1]
_ROUNDS = 7
_IDLE_SECONDS = 5.0
_IDLE_MEBIBYTES = 110


def _environment(tree: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(tree)}


def _seconds(code: Sequence[str]) -> float:
    """Return the processor seconds of an interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *code], check=True, stdout=subprocess.DEVNULL, env=_environment(_HERE))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _verifying(folder: Path) -> float:
    office = Office(folder)
    mail = folder / "mail.eml"
    mail.write_bytes(office.mail(office.seal()))
    command = ["-m", "service.cli", "verify", str(mail), "--trust", str(office.files.trust)]
    reference = ["-c", "import cryptography.x509, rfc3161_client"]
    _seconds(command)
    ratios = [_seconds(command) / _seconds(reference) for _ in range(_ROUNDS)]
    return statistics.median(ratios)


def _serving(tree: Path, data: Path, *, idle: bool = False) -> tuple[float, float]:
    """Return the processor seconds of a service to its first answer, and MiB of its memory when it is idle."""
    command = [sys.executable, "-m", "service.cli", "serve", "--data", str(data), "--port", "0"]
    process = subprocess.Popen(command, cwd=tree, env=_environment(tree), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = next(line for line in process.stderr if line.startswith("serving "))
        with urllib.request.urlopen(said.split()[1].removesuffix("/api/v1") + "/healthz", timeout=60) as answer:
            answer.read()
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if idle:
            # What is measured is the memory of a service that nobody asks anything.
            time.sleep(_IDLE_SECONDS)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return seconds, int(resident.split()[1]) / 1024
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _installation(folder: Path, entries: int) -> Path:
    """Return a data folder whose log has so many entries, signed by its own key."""
    prepare_data_folder(folder, address="soc@provider.example", provider_name="Provider", now=datetime.now(UTC))
    settings = load_settings(folder)
    if entries:
        passphrases = key_passphrases(settings, load_masters(settings))
        ring = LogKeyFile(settings.keys_dir / "log.key", settings.log.origin, passphrases, SystemClock()).ring()
        fsck.KEY, fsck.ORIGIN = ring.current.private, settings.log.origin
        fsck.fill(settings.database_file, entries)
        shutil.move(settings.database_file.with_suffix(".head"), settings.head_file)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="work tree of the build to compare with")
    parser.add_argument("--entries", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        (where / "office").mkdir()
        print(result_line("verify", _verifying(where / "office"), at_most=2), flush=True)
        empty, full = _installation(where / "empty", 0), _installation(where / "full", arguments.entries)
        _serving(_HERE, empty), _serving(_HERE, full)
        pairs = [(_serving(_HERE, full)[0], _serving(_HERE, empty)[0]) for _ in range(_ROUNDS)]
        ratio = statistics.median(one / other for one, other in pairs)
        print(result_line("serve_full_log", ratio, at_most=1.2), flush=True)
        if arguments.before is not None:
            # It prepares a folder of its own, since keys and tables have changed.
            before = where / "before"
            _serving(arguments.before, before)
            pairs = [(_serving(_HERE, empty)[0], _serving(arguments.before, before)[0]) for _ in range(_ROUNDS)]
            now, then = (statistics.median(side) for side in zip(*pairs, strict=True))
            print(f"  {now:.2f} s, before {then:.2f} s of the processor")
            ratio = statistics.median(one / other for one, other in pairs)
            print(result_line("serve", ratio, at_most=0.3), flush=True)
        idle = _serving(_HERE, empty, idle=True)[1]
        print(f"  {idle:.0f} MiB of an idle service; the reference is the goal of {_IDLE_MEBIBYTES} MiB")
        print(result_line("serve_idle_memory", idle / _IDLE_MEBIBYTES, at_most=1), flush=True)


if __name__ == "__main__":
    main()
