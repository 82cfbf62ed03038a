"""Check of the whole log: rebuild the tree from the entries, and compare every record that depends on the log.

1. The database triggers that forbid changes of rows exist.
2. Entries, openings, rows, nodes and checkpoints are compared range by range, by one process or several: ``ranges``.
3. The ranges are combined: the nodes above them, the root of every checkpoint, the head in the database, the published
   head, and the timestamps and cosignatures of heads.
4. The index of subjects names the same subjects as the leaves, and as many.
5. For every missing opening or row, a later entry says that its customer was erased, after the days of the formal
   notice of the erasure.
6. Every row has an entry in the log.

Each step reports the first difference that it finds. Memory use is bounded by one range. The log may grow during the
check; the check covers the head that it found at its start. Not detected: an attacker who replaced the whole database
together with the head file and the log key. External witnesses and the notices in customers' mailboxes show that.
"""

import multiprocessing
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.note import VerifierKey
from notifications.audit.rebuilding import RANGE_LEAVES, RightEdge
from notifications.errors import InvalidInputError, VerificationError
from service.audit_log.fsck.findings import (
    CHECKPOINTS,
    ENTRIES,
    ERASURES,
    GUARDS,
    PUBLISHED,
    STEPS,
    SUBJECTS,
    TREE,
    Difference,
    RangeFound,
)
from service.audit_log.fsck.heads import ExternalHeads, compare_heads
from service.audit_log.fsck.ranges import YieldControl, check_range, subjects_hash
from service.audit_log.fsck.rows import rows_without_entries
from service.audit_log.published_head import read_head
from service.store.maintenance.inspection import Inspection, inspected

#: Number of entries that are read together when a difference is located.
_AT_ONCE = 1024


@dataclass(slots=True)
class Report:
    """The result of a check."""

    #: entries under the checkpoint that was checked
    size: int
    differences: list[Difference] = field(default_factory=list)
    #: number of compared records, by step
    counts: dict[str, int] = field(default_factory=dict)
    #: number of customers that were erased according to the log, and number of openings and rows erased with them
    erased_customers: int = 0
    erased: int = 0

    @property
    def first(self) -> Difference | None:
        """Return the first difference in the order of the steps, or None."""
        return min(self.differences, key=lambda difference: STEPS.index(difference.step), default=None)


@dataclass(slots=True)
class _CombinedRanges:
    """The combined results of the ranges, from left to right."""

    spine: RightEdge = field(default_factory=RightEdge)
    #: last position of each range, and the sum of its subject hashes
    positions: list[int] = field(default_factory=list)
    subjects: list[int] = field(default_factory=list)
    erased: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    said_erased: dict[str, int] = field(default_factory=dict)
    noticed: dict[str, tuple[datetime, int]] = field(default_factory=dict)
    erasures: list[tuple[int, str, datetime]] = field(default_factory=list)
    #: a position and the sum of the hashes of the subjects stored up to it, if a process made it beside the ranges
    stored: tuple[int, int] | None = None
    #: size and root of the tree, once the last range was added
    root: tuple[int, bytes] | None = None


def check_log(
    location: str | Path,
    keys: Sequence[VerifierKey],
    head_path: Path,
    *,
    processes: int = 1,
    rows: bool = True,
    others: ExternalHeads | None = None,
    breathe: YieldControl = lambda _: None,
    begins: YieldControl = lambda _: None,
) -> Report:
    """Check the log of a database; raises StoreUnavailableError, and OSError if the head file cannot be read.

    ``begins`` is called with the number of entries, ``breathe`` repeatedly with the number of entries checked since the
    last call. Several processes are used if there are several ranges. Without ``rows`` only the log is checked
    (entries, tree, checkpoints and the published head), but not steps 4 to 6 and the rows of step 2. ``others`` has the
    authorities and witnesses whose statements about heads are verified.
    """
    with inspected(location) as inspection:
        published = read_head(head_path)
        with inspection.snapshot():
            size, head = inspection.tx.log.size(), inspection.tx.log.checkpoint()
            report = Report(size)
            # 1.
            for name in inspection.unguarded():
                report.differences.append(Difference(GUARDS, name, "is missing or was changed"))
                break
            report.differences += _beyond(inspection, size)
        begins(size)
        # 2. and 3.
        whole = _CombinedRanges()
        for found in _ranges(location, inspection, size, keys, processes, breathe, whole, rows=rows):
            if not _combine(whole, found, inspection, report):
                return report
        root = whole.root
        if root is not None:
            _compare_head(report, keys, "the head in the database", head, root)
        report.differences += _compare_published(inspection, keys, published, size)
        report.differences += compare_heads(inspection, others or ExternalHeads(), report.counts)
        if not rows:
            return report
        # 4.
        if whole.positions:
            report.differences += _compare_subjects(inspection, whole)
        # 5.
        _compare_erasures(report, whole)
        # 6.
        report.differences += rows_without_entries(inspection, (whole.positions or [0])[-1], report.counts)
    return report


def _beyond(inspection: Inspection, size: int) -> Iterator[Difference]:
    """Yield the records beyond the head; one snapshot of an intact log contains none."""
    indices = inspection.indices()
    if indices != size:
        yield Difference(ENTRIES, f"index {min(size, indices)}", f"is where {indices} indices and the head {size} part")
    for level in range(max(inspection.levels(), size.bit_length())):
        if inspection.nodes_of_level(level) > size >> level:
            yield Difference(TREE, f"node {size >> level} of level {level}", "is beyond the head")
            return


def _ranges(
    location: str | Path,
    inspection: Inspection,
    size: int,
    keys: Sequence[VerifierKey],
    processes: int,
    breathe: YieldControl,
    whole: _CombinedRanges,
    *,
    rows: bool,
) -> Iterator[RangeFound]:
    """Yield the result of each range, from left to right; with several processes one also sums the stored subjects."""
    starts = range(0, size, RANGE_LEAVES)
    if processes == 1 or len(starts) == 1:
        for start in starts:
            yield check_range(inspection, start, min(start + RANGE_LEAVES, size), keys, breathe, rows=rows)
        return
    # Processes are forked, so that ``hash`` of a text is the same in all of them and no module is loaded again.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(processes, len(starts)), mp_context=context) as pool:
        last = inspection.entries(size - 1, size) if rows else []
        stored = pool.submit(_subjects_in_process, location, last[0][1]) if last else None
        jobs = [(location, start, min(start + RANGE_LEAVES, size), keys, rows) for start in starts]
        for found in pool.map(_check_in_process, jobs):
            breathe(found.end - found.start)
            yield found
        whole.stored = None if stored is None else stored.result()


def _subjects_in_process(location: str | Path, last: int) -> tuple[int, int]:
    with inspected(location) as inspection:
        return last, subjects_hash(inspection.subjects(last))


def _check_in_process(job: tuple[str | Path, int, int, Sequence[VerifierKey], bool]) -> RangeFound:
    location, start, end, keys, rows = job
    with inspected(location) as inspection:
        return check_range(inspection, start, end, keys, rows=rows)


def _combine(whole: _CombinedRanges, found: RangeFound, inspection: Inspection, report: Report) -> bool:
    """Add the result of the next range; return False if nothing more can be compared."""
    known = {difference.step for difference in report.differences}
    report.differences += [difference for difference in found.differences if difference.step not in known]
    for step, count in found.counts.items():
        report.counts[step] = report.counts.get(step, 0) + count
    if found.broken:
        return False
    for size, stated, part in found.parts:
        root = whole.spine.root(part)
        if root != stated and CHECKPOINTS not in known:
            report.differences.append(
                Difference(CHECKPOINTS, f"checkpoint of size {size}", "signs another root than its entries have")
            )
            known.add(CHECKPOINTS)
        whole.root = (size, root)
    whole.positions.append(found.positions[1])
    whole.subjects.append(found.subjects)
    whole.said_erased |= found.said_erased
    whole.noticed |= found.noticed
    whole.erasures += found.erasures
    for whose, (number, first, last) in found.erased.items():
        before, index, _ = whole.erased.get(whose, (0, first, last))
        whole.erased[whose] = (before + number, index, last)
    if found.root is not None:
        for level, index, hashed in whole.spine.add(found.root):
            if TREE not in known and inspection.nodes(level, index, 1) != hashed:
                report.differences.append(
                    Difference(TREE, f"node {index} of level {level}", "is not the hash of its children")
                )
                known.add(TREE)
    return True


def _compare_head(
    report: Report, keys: Sequence[VerifierKey], what: str, note: bytes | None, root: tuple[int, bytes]
) -> None:
    try:
        checkpoint = verify_checkpoint(note or b"", *keys)
    except (InvalidInputError, VerificationError) as error:
        report.differences.append(Difference(CHECKPOINTS, what, str(error)))
        return
    if (checkpoint.size, checkpoint.root) != root:
        report.differences.append(Difference(CHECKPOINTS, what, "signs another root than the entries have"))


def _compare_published(
    inspection: Inspection, keys: Sequence[VerifierKey], note: bytes | None, size: int
) -> Iterator[Difference]:
    """Compare the head file with the checkpoint of its size, which was already compared with the entries."""
    if note is None:
        if size:
            yield Difference(PUBLISHED, "the head file", "is missing: the setting log.head_file says where it is")
        return
    try:
        checkpoint = verify_checkpoint(note, *keys)
    except (InvalidInputError, VerificationError) as error:
        yield Difference(PUBLISHED, "the head file", str(error))
        return
    # The log may have grown, and its head been published, since the check began.
    stored = dict(inspection.checkpoints(checkpoint.size - 1, checkpoint.size)).get(checkpoint.size)
    if stored is None:
        held = inspection.tx.log.size()
        yield Difference(
            PUBLISHED,
            f"of size {checkpoint.size}",
            f"is no checkpoint of the database, which holds {held} entries: was it restored from an older backup?",
        )
    elif stored != note:
        try:
            same = verify_checkpoint(stored, *keys) == checkpoint
        except (InvalidInputError, VerificationError):
            same = False
        if not same:
            yield Difference(PUBLISHED, f"of size {checkpoint.size}", "is not the checkpoint of that size")


def _compare_subjects(inspection: Inspection, whole: _CombinedRanges) -> Iterator[Difference]:
    """Compare the index of subjects with the subjects in the leaves, by the sum of their hashes.

    Only if the sums differ are they made for each range, to find the first.
    """
    last = whole.positions[-1]
    known = whole.stored[1] if whole.stored is not None and whole.stored[0] == last else None
    if (subjects_hash(inspection.subjects(last)) if known is None else known) == sum(whole.subjects):
        return
    sums = [0] * len(whole.positions)
    for subject in inspection.subjects(last):
        sums[bisect_left(whole.positions, subject[1])] += subjects_hash([subject])
    for number, (stored, said) in enumerate(zip(sums, whole.subjects, strict=True)):
        if stored != said:
            yield _first_other_subject(inspection, whole, number)
            return


def _first_other_subject(inspection: Inspection, whole: _CombinedRanges, number: int) -> Difference:
    """Return the first entry of a range whose subjects in the index differ from those in its leaf."""
    last, before = whole.positions[number], whole.positions[number - 1] if number else 0
    stored: dict[int, set[str]] = {}
    for pair, position in inspection.subjects(last):
        if position > before:
            stored.setdefault(position, set()).add(f'"{pair}"')
    start = number * RANGE_LEAVES
    for at in range(start, start + RANGE_LEAVES, _AT_ONCE):
        for index, position, _, leaf, *_ in inspection.entries(at, at + _AT_ONCE):
            begin = leaf.rindex(b'"subjects":{') + len(b'"subjects":{')
            text = leaf[begin : leaf.index(b'},"type":"', begin)].decode() if leaf[begin:][:1] != b"}" else ""
            if set(filter(None, text.split(","))) != stored.get(position, set()):
                return Difference(SUBJECTS, f"index {index}", "is found by other subjects than its leaf names")
    return Difference(SUBJECTS, f"positions {before + 1} to {last}", "are found by other subjects than leaves name")


def _compare_erasures(report: Report, whole: _CombinedRanges) -> None:
    """Check that each missing record belongs to a later erasure in the log, once the days of its notice were over."""
    for whose, (number, index, last) in sorted(whole.erased.items(), key=_first_index):
        if last < whole.said_erased.get(whose, -1):
            report.erased += number
        elif not any(difference.step == ERASURES for difference in report.differences):
            report.differences.append(
                Difference(
                    ERASURES,
                    f"index {index}",
                    f"lacks what it commits to, and no entry says that it was erased ({number})",
                )
            )
    report.erased_customers = len({customer for _, customer, _ in whole.erasures})
    for index, customer, at in whole.erasures:
        noticed = whole.noticed.get(customer)
        if (noticed is None or at - noticed[0] < timedelta(days=noticed[1])) and not any(
            difference.step == ERASURES for difference in report.differences
        ):
            said = "without a formal notice" if noticed is None else f"{(at - noticed[0]).days} days after its notice"
            report.differences.append(Difference(ERASURES, f"index {index}", f"says that a customer was erased {said}"))


def _first_index(item: tuple[str, tuple[int, int, int]]) -> int:
    return item[1][1]


__all__ = ["Report", "check_log"]
