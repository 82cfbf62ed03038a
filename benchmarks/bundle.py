"""Evidence bundle of one incident: `greffier bundle` and `greffier verify`, each a process of its own, and its memory.

Reference: the same with a tenth of the notices, in the same run. Memory is flat where the peak of the large one is no
more than 1.3 times that of the small one. Each customer has one contact, so that a notice is one mail; the installation
is real, the sink is Postfix's ``smtp-sink``.
"""

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import result_line

_GREFFIER = str(Path(sys.executable).with_name("greffier"))


async def _fill(folder: Path, notices: int) -> str:
    """Dispatch one incident to so many customers; returns its ticket once the log has all of it."""
    # What this loads would count as the memory of whatever this process starts later: it is loaded in one of its own.
    from dispatch import installation, smtp_sink  # noqa: PLC0415 - only in this process, see above

    from notifications.ports import Page  # noqa: PLC0415 - only in this process, see above

    with smtp_sink() as port:
        async with installation(folder, port, notices, 1) as running:
            await running.dispatch()
            ticket = await running.parts.store.read(lambda tx: tx.incidents.page(Page(1))[0][0].ticket)
            while pending := await running.parts.store.read(lambda tx: tx.audit.pending(10_000)):
                await running.parts.sequencer.included(pending[-1].entry_id)
    return ticket


def _filled(folder: Path, notices: int) -> str:
    command = [sys.executable, __file__, "--fill", str(folder), "--notices", str(notices)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _run(*words: str) -> tuple[float, float]:
    """Run a command; returns seconds and its peak memory in MiB."""
    start = time.perf_counter()
    process = os.posix_spawn(_GREFFIER, [_GREFFIER, *words], os.environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{words[0]} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def _measure(notices: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        data, made = Path(name) / "data", Path(name) / "made.zip"
        ticket = _filled(data, notices)
        seconds, made_in = _run("bundle", "--data", str(data), "--incident", ticket, "-o", str(made))
        verified, verified_in = _run("verify", str(made), "--trust", str(data / "trust"))
        size = made.stat().st_size / 2**20
        print(f"{notices} notices, {size:.0f} MiB")
        print(f"  bundle  {seconds:6.1f} s, {notices / seconds:6.0f} notices/s, peak {made_in:.0f} MiB")
        print(
            f"  verify  {verified:6.1f} s, {notices / verified:6.0f} notices/s, peak {verified_in:.0f} MiB", flush=True
        )
        return made_in, verified_in


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notices", type=int, default=10_000)
    parser.add_argument("--fill", type=Path, help="only make an installation here, and print the incident's ticket")
    arguments = parser.parse_args()
    if arguments.fill is not None:
        import uvloop  # noqa: PLC0415 - only in the process that fills

        from service.system.logging import configure_logging  # noqa: PLC0415 - only in the process that fills

        configure_logging(io.StringIO())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(runner.run(_fill(arguments.fill, arguments.notices)))
        return
    small, large = _measure(arguments.notices // 10), _measure(arguments.notices)
    for what, before, after in zip(("bundle", "verify"), small, large, strict=True):
        print(result_line(f"{what}_memory", after / before, at_most=1.3))


if __name__ == "__main__":
    sys.exit(main())
