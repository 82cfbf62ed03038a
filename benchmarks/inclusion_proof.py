"""One inclusion proof from a log of 1,000,000 entries against one from a log of 10,000; on SQLite.

Each proof is of an entry chosen at random, read from the database as ``/proofs`` and seals do, and verified once. The
two logs take turns, so that both have the same machine.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from fsck import fill
from table import result_line

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.merkle import inclusion_proof, leaf_hash, verify_inclusion
from service.store import migrate_store
from service.store.maintenance.inspection import Inspection, inspected


def prove(log: Inspection, size: int, root: bytes, index: int) -> tuple[float, float]:
    """Return seconds and CPU seconds of one proof."""
    began, cpu = time.perf_counter(), time.process_time()
    proof = inclusion_proof(index, size, log.tx.log.node_hashes)
    seconds, spent = time.perf_counter() - began, time.process_time() - cpu
    ((_, _, _, leaf),) = log.entries(index, index + 1)
    verify_inclusion(leaf_hash(leaf), index, size, proof, root)
    return seconds, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, nargs=2, default=[10_000, 1_000_000])
    parser.add_argument("--proofs", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="keep the databases here and use them again")
    arguments = parser.parse_args()
    chosen = random.Random(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        paths = [folder / f"{count}.sqlite3" for count in arguments.entries]
        for path, count in zip(paths, arguments.entries, strict=True):
            if not path.exists():
                fill(path, count)
            migrate_store(path)
        with inspected(paths[0]) as few, inspected(paths[1]) as many:
            took: list[list[tuple[float, float]]] = [[], []]
            for _ in range(arguments.proofs):
                for log, size, times in zip((few, many), arguments.entries, took, strict=True):
                    checkpoint = parse_checkpoint_note(log.tx.log.checkpoint() or b"")
                    times.append(prove(log, size, checkpoint.root, chosen.randrange(size)))
    medians = [statistics.median(seconds for seconds, _ in times) for times in took]
    cpu = [statistics.mean(spent for _, spent in times) for times in took]
    for size, median, spent in zip(arguments.entries, medians, cpu, strict=True):
        print(f"{size:>9,} entries   {median * 1e6:7.1f} µs a proof (median), {spent * 1e6:7.1f} µs CPU (mean)")
    print(f"ratio by CPU {cpu[1] / cpu[0]:.2f}")
    print(result_line("inclusion_proof", medians[1] / medians[0], at_most=2))


if __name__ == "__main__":
    main()
