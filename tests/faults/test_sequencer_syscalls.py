"""SIGKILL and EIO at each write of the sequencer, injected into the real system call; then the log is whole.

strace takes a process that sequences to its n-th write, sync or rename of the database, its write-ahead log or the head
file, or to its n-th message to the database server, and lets that one fail or kills the process there.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from sequencing import VERIFIER

from service.audit_log.fsck.check import check_log
from service.store import migrate_store, open_store
from support.postgresql_server import postgresql_server
from support.records import make_entry


def _may_trace():
    strace = shutil.which("strace")
    if strace is None:
        return False
    return subprocess.run([strace, "-o", os.devnull, "true"], check=False, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not _may_trace(), reason="strace is not here, or may not trace")
ENTRIES = 10
#: what changes a file; of a descriptor that strace was not told of it is let be
WRITES = ("pwrite64", "write", "fdatasync", "fsync", "rename", "ftruncate")


@pytest.fixture(scope="module")
def zygote():
    """A process that has loaded the program and forks for each run."""
    with subprocess.Popen(
        [sys.executable, Path(__file__).with_name("sequencing.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


def sequence(zygote, database, folder, *inject, paths=()):
    """Sequence in a process of its own, traced where something is injected; returns its status and what was traced."""
    order = {"database": str(database), "head": str(folder / "log-head"), "log": str(folder / "log"), "traced": True}
    if not inject:
        order["traced"] = False
    zygote.stdin.write(json.dumps(order) + "\n")
    zygote.stdin.flush()
    pid = json.loads(zygote.stdout.readline())["pid"]
    trace = folder / "trace"
    tracer = None
    if inject:
        command = ["strace", "-f", "-qq", "-o", str(trace), "-p", str(pid)]
        command += [argument for path in paths for argument in ("-P", str(path))]
        command += [argument for one in inject for argument in ("-e", one)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not _traced(pid):
            time.sleep(0.002)
        os.kill(pid, signal.SIGCONT)
    status = json.loads(zygote.stdout.readline())["ended"]
    if tracer is not None:
        tracer.wait(20)
    return status, trace.read_text() if inject else ""


def _traced(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return "TracerPid:\t0" not in status


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


def strike(run, zygote, most):
    """Let each of some calls fail, and kill the process at it; the log is whole after each."""
    struck = Counter()
    for name, count in most.items():
        for nth in range(1, count + 1):
            for kind in ("signal=KILL", "error=EIO"):
                folder, location, status, traced = run(f"trace={name}", f"inject={name}:{kind}:when={nth}")
                if kind == "error=EIO":
                    assert "(INJECTED)" in traced, (name, nth)
                    assert status == 0, (folder / "log").read_text()
                else:
                    assert status == -signal.SIGKILL, (name, nth, status)
                    assert sequence(zygote, location, folder)[0] == 0, (folder / "log").read_text()
                struck[kind] += 1
                whole(location, folder)
                shutil.rmtree(folder)
    assert struck["signal=KILL"] == struck["error=EIO"] == sum(most.values())


async def test_sqlite_at_each_write(zygote, tmp_path):
    pending = tmp_path / "pending.sqlite3"
    migrate_store(pending)
    await filled(pending)
    number = 0

    def run(*inject):
        nonlocal number
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        database = folder / "db.sqlite3"
        shutil.copy(pending, database)
        files = [database, folder / "db.sqlite3-wal", folder / "log-head.new", folder / "log-head", folder]
        status, traced = sequence(zygote, database, folder, *inject, paths=files)
        return folder, database, status, traced

    folder, database, status, traced = run(f"trace={','.join(WRITES)}")
    assert status == 0, (folder / "log").read_text()
    whole(database, folder)
    most = calls(traced)
    assert most["pwrite64"] > 10
    assert most["fdatasync"] > 1
    assert most["rename"] == 2
    strike(run, zygote, most)


@pytest.fixture
async def on_postgresql(zygote, tmp_path):
    """Runs on copies of a database where all is pending, each in a folder of its own."""
    server = postgresql_server()
    pending = server.database()
    await filled(pending)
    number, database = 0, None

    def run(*inject, paths=()):
        nonlocal number, database
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        if database is not None:
            # A hundred of them would be a gigabyte.
            server.drop(database)
        database = server.copy_of(pending)
        files = [folder / path for path in paths]
        status, traced = sequence(zygote, database, folder, *inject, paths=files)
        return folder, database, status, traced

    return run


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["signal=KILL", "error=EIO"])
def test_postgresql_at_each_message(zygote, on_postgresql, kind):
    folder, database, status, traced = on_postgresql("trace=sendto")
    assert status == 0, (folder / "log").read_text()
    whole(database, folder)
    messages = calls(traced)["sendto"]
    assert messages > 10
    struck = 0
    for nth in range(1, messages + 1):
        folder, database, status, traced = on_postgresql("trace=sendto", f"inject=sendto:{kind}:when={nth}")
        if kind == "signal=KILL":
            # How often it looks anew differs: one that needed fewer messages has ended.
            assert status in {0, -signal.SIGKILL}, (folder / "log").read_text()
            struck += status != 0
            assert sequence(zygote, database, folder)[0] == 0, (folder / "log").read_text()
        else:
            # libpq takes a message that failed for sent and waits for the answer, the server for the message: until
            # one of them hangs up.
            assert status == 0, (folder / "log").read_text()
            struck += "(INJECTED)" in traced
        whole(database, folder)
    assert struck > messages // 2


def test_postgresql_at_each_write_of_the_head(zygote, on_postgresql):
    head_file = ("log-head.new", "log-head", ".")
    folder, database, status, traced = on_postgresql(f"trace={','.join(WRITES)}", paths=head_file)
    assert status == 0, (folder / "log").read_text()
    whole(database, folder)
    most = calls(traced)
    assert most["rename"] == 2
    strike(partial(on_postgresql, paths=head_file), zygote, most)


async def test_postgresql_that_hangs_up_again_and_again(zygote, tmp_path):
    server = postgresql_server()
    database = server.database()
    await filled(database)
    name = database.split("@/")[1].partition("?")[0]
    statement = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    sequencing = asyncio.create_task(asyncio.to_thread(sequence, zygote, database, tmp_path))
    for _ in range(30):
        await asyncio.to_thread(server.execute, statement)
    status, _ = await sequencing
    assert status == 0, (tmp_path / "log").read_text()
    whole(database, tmp_path)
