"""SIGKILL and EIO at each write of the sequencer, injected into the real system call; then the log is whole.

strace takes a process that sequences to its n-th write, sync or rename of the database, its write-ahead log or the head
file, or to its n-th message to the database server, and lets that one fail or kills the process there.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from faults.sequencing import VERIFIER
from service.audit_log.fsck.check import check_log
from service.store import open_store
from support.commands import Command
from support.postgresql_server import postgresql_server
from support.records import make_entry
from support.sqlite_file import new_database


def _may_trace():
    strace = shutil.which("strace")
    if strace is None:
        return False
    return subprocess.run([strace, "-o", os.devnull, "true"], check=False, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not _may_trace(), reason="strace is not here, or may not trace")
ENTRIES = 10
#: what changes a file; of a descriptor that strace was not told of it is let be
WRITES = ("pwrite64", "write", "fdatasync", "fsync", "rename", "ftruncate")


def sequence(database, folder, *inject, paths=()):
    """Sequence in a process of its own, traced where something is injected; returns its status and what was traced."""
    arguments = [database, folder / "log-head", *(["traced"] if inject else [])]
    with (folder / "log").open("ab") as log:
        process = Command(arguments, stdout=log, stderr=log, program="faults.sequencing:main")
    if not inject:
        return process.wait(60), ""
    trace = folder / "trace"
    _until(process.pid, "State:\tT")
    command = ["strace", "-f", "-qq", "-o", str(trace), "-p", str(process.pid)]
    command += [argument for path in paths for argument in ("-P", str(path))]
    command += [argument for one in inject for argument in ("-e", one)]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    _until(process.pid, "TracerPid:\t", but="TracerPid:\t0\n")
    process.send_signal(signal.SIGCONT)
    status = process.wait(60)
    tracer.wait(20)
    return status, trace.read_text()


def _until(pid, line, but=None):
    """Wait until the status of a process says something, which nothing tells."""
    while line not in (said := Path(f"/proc/{pid}/status").read_text()) or (but is not None and but in said):
        time.sleep(0.002)


def calls(traced):
    """Return how often each call was made by the thread that made it most often."""
    by_thread = Counter()
    for line in traced.splitlines():
        thread, _, rest = line.partition(" ")
        name = rest.strip().partition("(")[0]
        if "(" in rest and not name.startswith("<"):
            by_thread[thread, name] += 1
    most = Counter()
    for (_, name), count in by_thread.items():
        most[name] = max(most[name], count)
    return most


def whole(location, folder):
    report = check_log(location, [VERIFIER], folder / "log-head")
    assert not report.differences, report.differences
    assert report.size == report.counts["entries"] == ENTRIES


async def filled(location):
    store = open_store(location, migrate=False)
    for _ in range(ENTRIES):
        entry = make_entry(type="session.ended", openings=[("payload", b"x" * 300)])
        await store.write(lambda tx, entry=entry: tx.audit.append([entry]))
    await store.close()


def at_once(strike, *arguments):
    """Return the results of calls, some of which are under way at any time: most of a call is waiting."""
    with ThreadPoolExecutor(max_workers=6) as pool:
        return list(pool.map(strike, *arguments))


def strike(run, most):
    """Let each of some calls fail, and kill the process at it; the log is whole after each."""

    def one(name, nth, kind):
        with run(f"trace={name}", f"inject={name}:{kind}:when={nth}") as (folder, location, status, traced):
            if kind == "error=EIO":
                assert "(INJECTED)" in traced, (name, nth)
                assert status == 0, (folder / "log").read_text()
            else:
                assert status == -signal.SIGKILL, (name, nth, status)
                assert sequence(location, folder)[0] == 0, (folder / "log").read_text()
            whole(location, folder)
            return kind

    calls_to_strike = [
        (name, nth, kind)
        for name, count in most.items()
        for nth in range(1, count + 1)
        for kind in ("signal=KILL", "error=EIO")
    ]
    struck = Counter(at_once(one, *zip(*calls_to_strike, strict=True)))
    assert struck["signal=KILL"] == struck["error=EIO"] == sum(most.values())


async def test_sqlite_at_each_write(tmp_path):
    pending = new_database(tmp_path / "pending.sqlite3")
    await filled(pending)

    @contextmanager
    def run(*inject):
        with TemporaryDirectory(dir=tmp_path) as name:
            folder = Path(name)
            database = folder / "db.sqlite3"
            shutil.copy(pending, database)
            files = [database, folder / "db.sqlite3-wal", folder / "log-head.new", folder / "log-head", folder]
            status, traced = sequence(database, folder, *inject, paths=files)
            yield folder, database, status, traced

    with run(f"trace={','.join(WRITES)}") as (folder, database, status, traced):
        assert status == 0, (folder / "log").read_text()
        whole(database, folder)
    most = calls(traced)
    assert most["pwrite64"] > 10
    assert most["fdatasync"] > 1
    assert most["rename"] == 2
    strike(run, most)


@pytest.fixture
async def on_postgresql(tmp_path):
    """Runs on copies of a database where all is pending, each in a folder of its own."""
    server = postgresql_server()
    pending = server.database()
    await filled(pending)

    @contextmanager
    def run(*inject, paths=()):
        with TemporaryDirectory(dir=tmp_path) as name:
            folder, database = Path(name), server.copy_of(pending)
            files = [folder / path for path in paths]
            status, traced = sequence(database, folder, *inject, paths=files)
            yield folder, database, status, traced
            # A hundred of them would be a gigabyte.
            server.drop(database)

    return run


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["signal=KILL", "error=EIO"])
def test_postgresql_at_each_message(on_postgresql, kind):
    with on_postgresql("trace=sendto") as (folder, database, status, traced):
        assert status == 0, (folder / "log").read_text()
        whole(database, folder)
    messages = calls(traced)["sendto"]
    assert messages > 10

    def one(nth):
        with on_postgresql("trace=sendto", f"inject=sendto:{kind}:when={nth}") as (folder, database, status, traced):
            if kind == "signal=KILL":
                # How often it looks anew differs: one that needed fewer messages has ended.
                assert status in {0, -signal.SIGKILL}, (folder / "log").read_text()
                struck = status != 0
                assert sequence(database, folder)[0] == 0, (folder / "log").read_text()
            else:
                # libpq takes a message that failed for sent and waits for the answer, the server for the message: until
                # one of them hangs up.
                assert status == 0, (folder / "log").read_text()
                struck = "(INJECTED)" in traced
            whole(database, folder)
            return struck

    assert sum(at_once(one, range(1, messages + 1))) > messages // 2


def test_postgresql_at_each_write_of_the_head(on_postgresql):
    head_file = ("log-head.new", "log-head", ".")
    with on_postgresql(f"trace={','.join(WRITES)}", paths=head_file) as (folder, database, status, traced):
        assert status == 0, (folder / "log").read_text()
        whole(database, folder)
    most = calls(traced)
    assert most["rename"] == 2
    strike(partial(on_postgresql, paths=head_file), most)


async def test_postgresql_that_hangs_up_again_and_again(tmp_path):
    server = postgresql_server()
    database = server.database()
    await filled(database)
    name = database.split("@/")[1].partition("?")[0]
    statement = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    sequencing = asyncio.create_task(asyncio.to_thread(sequence, database, tmp_path))
    for _ in range(30):
        await asyncio.to_thread(server.execute, statement)
    status, _ = await sequencing
    assert status == 0, (tmp_path / "log").read_text()
    whole(database, tmp_path)
