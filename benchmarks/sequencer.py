"""Durable sequenced entries per second, on SQLite, every commit flushed.

Reference: the same rows (entry, subjects, openings, index, nodes, checkpoint) written by plain batched inserts into the
same tables without their rules, as many to a commit and in the same order, twice in the same run. Measured: entries
handed to the store in works of a batch, sequenced, signed, and their head in the head file. Leaves, hashes and
signatures are the sequencer's own to make; the reference has them made.
"""

import argparse
import asyncio
import gc
import io
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fsck import entry
from table import result_line

from notifications.audit.entry import AuditEntry
from notifications.audit.note import verifier_key
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.crypto.log_keys import LogSigners
from service.store import migrate_store, open_store
from service.store.engines.sqlite import connect
from service.system.logging import configure_logging

ORIGIN = "log.example.org"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
#: the tables, their rows in the order in which a log that grows writes them
TABLES = {
    "audit_entries": "position",
    "audit_subjects": "(position - 1) / :batch, kind, identifier, position",
    "audit_openings": "position",
    "log_leaves": "leaf_index",
    "log_nodes": "(((node_index + 1) << level) - 1) / :batch, level, node_index",
    "log_checkpoints": "size",
}


class Keys:
    """One key."""

    origin = ORIGIN

    def signers(self) -> LogSigners:
        return LogSigners((KEY,), (verifier_key(ORIGIN, KEY),))


async def sequenced(path: Path, entries: list[AuditEntry], batch: int) -> tuple[float, float, float]:
    """Return seconds and CPU seconds of appending and sequencing, and the seconds of sequencing alone."""
    migrate_store(path)
    store = open_store(path, migrate=False)
    settings = SequencerSettings(batch_seconds=0, batch_entries=batch)
    sequencer = Sequencer(store, keys=Keys(), head_path=path.with_suffix(".head"), settings=settings)
    began, cpu, alone = time.perf_counter(), time.process_time(), 0.0
    for start in range(0, len(entries), batch):
        some = entries[start : start + batch]
        await store.write(lambda tx, some=some: tx.audit.append(some))  # type: ignore[misc]  # mypy: lambda default
        start_of_round = time.perf_counter()
        await sequencer.sequence_pending()
        alone += time.perf_counter() - start_of_round
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    await store.close()
    return seconds, spent, alone


def inserted(source: Path, target: Path, batch: int) -> tuple[float, float]:
    """Return seconds and CPU seconds of writing the rows of one database into another."""
    migrate_store(target)
    with closing(connect(source, read_only=True)) as database:
        rows = {
            name: database.execute(f"SELECT * FROM {name} ORDER BY {order}", {"batch": batch}).fetchall()
            for name, order in TABLES.items()
        }
    size = len(rows["audit_entries"])
    with closing(connect(target, read_only=False)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        parts = [
            (
                f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[name][0]))})",
                [
                    rows[name][len(rows[name]) * at // size : len(rows[name]) * (at + batch) // size]
                    for at in range(0, size, batch)
                ],
            )
            for name in TABLES
        ]
        began, cpu = time.perf_counter(), time.process_time()
        for number in range(-(-size // batch)):
            database.execute("BEGIN IMMEDIATE")
            for statement, some in parts:
                database.executemany(statement, some[number])
            database.execute("COMMIT")
        return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=40_960)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    configure_logging(io.StringIO())
    entries = [entry(number) for number in range(arguments.entries)]
    # What stands before is no garbage of either: nobody is to look through it again and again.
    gc.collect()
    gc.freeze()
    ratios, by_cpu = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for run in range(arguments.runs):
            path = Path(temporary) / f"sequenced-{run}.sqlite3"
            seconds, cpu, alone = asyncio.run(sequenced(path, entries, arguments.batch))
            plain = [
                inserted(path, Path(temporary) / f"plain-{run}-{number}.sqlite3", arguments.batch) for number in (1, 2)
            ]
            reference, reference_cpu = (statistics.mean(values) for values in zip(*plain, strict=True))
            ratios.append(reference / seconds)
            by_cpu.append(reference_cpu / cpu)
            print(
                f"sequenced {arguments.entries / seconds:9,.0f}/s ({cpu:.2f} s CPU; sequencing alone {alone:.2f} s)   "
                f"plain {arguments.entries / reference:9,.0f}/s ({reference_cpu:.2f} s CPU)   ratio {ratios[-1]:.2f}"
            )
    print(f"ratio by CPU {statistics.median(by_cpu):.2f}")
    print(result_line("sequencer", statistics.median(ratios), at_least=0.50))


if __name__ == "__main__":
    main()
