"""Check of a whole log of 1,000,000 entries, as ``greffier fsck`` does it; on SQLite.

Reference: bare SHA-256 over the same leaves, each hashed as a leaf of the tree is, one process, in memory, before and
after in the same run. Reading the leaves from the database and hashing them is reported beside it. Entries are of the
size and shape of those that a delivery leaves, each with five subjects and a commitment that opens. *Log* is ``greffier
fsck --log-only``: the tree made again, every node, checkpoint and the published head compared. *Everything* also opens
each commitment and compares what finds the entries. Memory is the highest resident size of one process, beyond that
at the beginning.
"""

import argparse
import gc
import hashlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from table import result_line

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint
from notifications.audit.entry import AuditEntry, Opening, leaf_bytes
from notifications.audit.merkle import append_leaves, complete_subtrees, leaf_hash
from notifications.audit.note import verifier_key
from service.audit_log.fsck.check import check_log
from service.store import migrate_store
from service.store.engines.sqlite import connect
from service.store.log.audit import INSERT_ENTRY, row_of_entry

ORIGIN = "log.example.org"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
_BATCH = 4096


def entry(number: int) -> AuditEntry:
    """Return an entry of the size and shape of ``delivery.attempted``, under a name that claims no row."""
    name = [str(UUID(int=kind << 64 | number)) for kind in range(1, 6)]
    return AuditEntry(
        id=UUID(int=number + 1),
        type="benchmark.attempted",
        at=datetime(2026, 3, 2, 10, 0, 0, number % 1_000_000, tzinfo=UTC),
        actor="system:worker",
        subjects={
            "incident": name[0],
            "customer": hashlib.sha256(name[1].encode()).hexdigest(),
            "notice": name[2],
            "delivery": name[3],
            "contact": name[4],
        },
        detail={
            "channel": "email",
            "form": "full",
            "form_reason": "encrypted",
            "number": 1,
            "event": "RelayToNonERDS",
            "outcome": "accepted",
            "code": 250,
            "enhanced_status": "2.0.0",
            "tls": "TLSv1.3",
            "state": "sent",
            "started_at": "2026-03-02T10:00:00.000000Z",
            "next_attempt_at": None,
            "message_sha256": hashlib.sha256(name[3].encode()).hexdigest(),
        },
        openings=(Opening("payload", hashlib.sha256(name[4].encode()).digest(), b'{"queue_id":"%d"}' % number),),
    )


def fill(path: Path, count: int) -> None:
    """Write the rows of a log of so many entries, as the sequencer leaves them."""
    migrate_store(path)
    database = connect(path, read_only=False)
    for setting in ("synchronous = OFF", "cache_size = -200000"):
        database.execute(f"PRAGMA {setting}")
    edge: dict[tuple[int, int], bytes] = {}
    for start in range(0, count, _BATCH):
        entries = [entry(number) for number in range(start, min(start + _BATCH, count))]
        leaves = [leaf_bytes(item) for item in entries]
        known = edge
        grown = append_leaves(
            start, lambda wanted, known=known: [known[node] for node in wanted], map(leaf_hash, leaves)
        )  # type: ignore[misc]  # mypy knows no defaults of lambdas
        made = {(level, index): hashed for level, index, hashed in grown.nodes}
        edge = {node: made.get(node) or known[node] for node in complete_subtrees(0, grown.size)}
        numbered = list(enumerate(zip(entries, leaves, strict=True), start + 1))
        database.execute("BEGIN")
        database.executemany(INSERT_ENTRY, [row_of_entry(at, item, leaf) for at, (item, leaf) in numbered])
        named = [(*pair, position) for position, (item, _) in numbered for pair in item.subjects.items()]
        database.executemany("INSERT INTO audit_subjects (kind, identifier, position) VALUES (?, ?, ?)", named)
        opened = [(at, one.name, one.salt, one.value) for at, (item, _) in numbered for one in item.openings]
        database.executemany("INSERT INTO audit_openings (position, name, salt, value) VALUES (?, ?, ?, ?)", opened)
        database.executemany("INSERT INTO log_leaves VALUES (?, ?)", [(at - 1, at) for at, _ in numbered])
        database.executemany("INSERT INTO log_nodes VALUES (?, ?, ?)", grown.nodes)
        note = sign_checkpoint(KEY, Checkpoint(ORIGIN, grown.size, grown.root))
        database.execute("INSERT INTO log_checkpoints VALUES (?, ?)", (grown.size, note))
        database.execute("COMMIT")
    path.with_suffix(".head").write_bytes(note)
    database.close()


def leaves_of(path: Path) -> Iterator[list[bytes]]:
    database = connect(path, read_only=True)
    rows = database.execute("SELECT leaf FROM audit_entries ORDER BY position")
    while batch := rows.fetchmany(_BATCH):
        yield [leaf for (leaf,) in batch]
    database.close()


def bare(path: Path) -> tuple[float, float, float]:
    """Return seconds and CPU seconds of bare SHA-256 over the leaves in memory, and seconds of reading and hashing."""
    hashing = spent = 0.0
    began = time.perf_counter()
    sha256 = hashlib.sha256
    for batch in leaves_of(path):
        start, cpu = time.perf_counter(), time.process_time()
        for leaf in batch:
            sha256(b"\x00" + leaf).digest()
        hashing += time.perf_counter() - start
        spent += time.process_time() - cpu
    return hashing, spent, time.perf_counter() - began


def _peak_kib() -> int:
    """Return the highest resident size of this process, or of the largest of its children, so far."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _checked(path: Path, processes: int, *, rows: bool) -> dict[str, float]:
    """Check a log in a process of its own, so that its memory is its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        # As a command does once it is imported.
        gc.collect()
        gc.freeze()
        before = _peak_kib()
        began, cpu = time.perf_counter(), os.times()
        report = check_log(path, [verifier_key(ORIGIN, KEY)], path.with_suffix(".head"), processes=processes, rows=rows)
        wall, spent = time.perf_counter() - began, os.times()
        said = {
            "entries": report.size,
            "differences": len(report.differences),
            "seconds": wall,
            "cpu": sum(spent[:4]) - sum(cpu[:4]),
            "grown_mib": (_peak_kib() - before) / 1024,
        }
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        found: dict[str, float] = json.loads(pipe.read())
    if found["differences"]:
        raise SystemExit(f"the check found differences: {found}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, help="keep the databases here and use them again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        paths = []
        for count in (max(arguments.entries // 10, 2 << 16), arguments.entries):
            paths.append(folder / f"{count}.sqlite3")
            if not paths[-1].exists():
                fill(paths[-1], count)
            migrate_store(paths[-1])
        bare(paths[0])
        tenth = _checked(paths[0], arguments.processes, rows=False)
        before = bare(paths[1])
        log = _checked(paths[1], arguments.processes, rows=False)
        after = bare(paths[1])
        whole = _checked(paths[1], arguments.processes, rows=True)
        last = bare(paths[1])
    print(f"entries                    {arguments.entries:,}; {arguments.processes} processes")
    for hashing, spent, reading in (before, after, last):
        print(f"bare SHA-256               {hashing:.2f} s, CPU {spent:.2f} s; with reading {reading:.2f} s")
    for name, found, references in (("log", log, (before, after)), ("everything", whole, (after, last))):
        hashing, spent, reading = (sum(pair) / 2 for pair in zip(*references, strict=True))
        seconds, cpu = found["seconds"], found["cpu"]
        print(f"{name:<26} {seconds:.2f} s, CPU {cpu:.2f} s, grew by {found['grown_mib']:.1f} MiB")
        print(f"  ratio to bare            {hashing / seconds:.2f}; CPU to CPU {spent / cpu:.2f}")
        print(f"  ratio to read and hash   {reading / seconds:.2f}")
    print(f"memory of {tenth['entries']:,} entries {tenth['grown_mib']:.1f} MiB")
    for name, found, references in (("fsck_log", log, (before, after)), ("fsck_everything", whole, (after, last))):
        bare_seconds = sum(hashing for hashing, _, _ in references) / 2
        print(result_line(name, bare_seconds / found["seconds"], at_least=0.40))


if __name__ == "__main__":
    main()
