"""Check of the whole log: the tree made again from the entries, and everything that stands beside it compared.

1. The rules that keep rows from being changed stand.
2. Entries, openings, rows, nodes and checkpoints, a range at a time, by one process or several: ``ranges``.
3. Ranges put together: nodes above them, the root of every checkpoint, the head in the database and the one published;
   what the timestamp authority and witnesses said of heads.
4. What finds the entries: as many subjects as leaves name, and the same ones.
5. Openings and rows that are gone: a later entry says of their customer that its data was erased, 21 days after it was
   told (9.7, 12).
6. No row stands that no entry speaks of.

Each step tells the first difference it finds. Memory holds one range, whatever the size of the log. The log may grow
meanwhile; what is checked is the head found at the beginning. Not guarded: a database that was made anew as a whole,
with head file and log key; witnesses outside, and every notice in a mailbox, are what shows that.
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
from notifications.customer.erasure import NOTICE_DAYS
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
from service.audit_log.fsck.ranges import YieldControl, check_range, subject_hash
from service.audit_log.fsck.rows import rows_without_entries
from service.audit_log.published_head import read_head
from service.store.maintenance.inspection import Inspection, inspected

#: So many entries are looked at together where a difference was found.
_AT_ONCE = 1024


@dataclass(slots=True)
class Report:
    """What a check found."""

    #: entries under the checkpoint that was checked
    size: int
    differences: list[Difference] = field(default_factory=list)
    #: what was compared, by the step
    counts: dict[str, int] = field(default_factory=dict)
    #: customers whose data was erased, as the log says, and openings and rows that are gone with it
    erased_customers: int = 0
    erased: int = 0

    @property
    def first(self) -> Difference | None:
        """The first difference, in the order of the steps."""
        return min(self.differences, key=lambda difference: STEPS.index(difference.step), default=None)


@dataclass(slots=True)
class _Whole:
    """What the ranges come to, put together from left to right."""

    spine: RightEdge = field(default_factory=RightEdge)
    #: last position of each range, and the sum of what finds its entries
    positions: list[int] = field(default_factory=list)
    subjects: list[int] = field(default_factory=list)
    erased: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    said_erased: dict[str, int] = field(default_factory=dict)
    noticed: dict[str, datetime] = field(default_factory=dict)
    erasures: list[tuple[int, str, datetime]] = field(default_factory=list)
    #: root and size of the whole, once its last range is there
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
    """Check the log of a database; raises StoreUnavailableError, and OSError where the head file cannot be read.

    ``begins`` is told how many entries there are, ``breathe`` now and then how many more were checked. More than one
    process is used for more than one range. Without ``rows`` the log alone is checked: entries, tree, checkpoints and
    the published head, not steps 4 to 6 nor the rows of step 2. ``others`` are whose word on heads is verified.
    """
    with inspected(location) as inspection:
        published = read_head(head_path)
        with inspection.snapshot():
            size, head = inspection.tx.log.size(), inspection.tx.log.checkpoint()
            report = Report(size)
            # 1.
            for name in inspection.unguarded():
                report.differences.append(Difference(GUARDS, name, "does not stand as it was written"))
                break
            report.differences += _beyond(inspection, size)
        begins(size)
        # 2. and 3.
        whole = _Whole()
        for found in _ranges(location, inspection, size, keys, processes, breathe, rows=rows):
            if not _put_together(whole, found, inspection, report):
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
    """Yield what stands behind the head; in one snapshot there is nothing."""
    indices = inspection.indices()
    if indices != size:
        yield Difference(ENTRIES, f"index {min(size, indices)}", f"is where {indices} indices and the head {size} part")
    for level in range(max(inspection.levels(), size.bit_length())):
        if inspection.nodes_of_level(level) > size >> level:
            yield Difference(TREE, f"node {size >> level} of level {level}", "stands beyond the head")
            return


def _ranges(
    location: str | Path,
    inspection: Inspection,
    size: int,
    keys: Sequence[VerifierKey],
    processes: int,
    breathe: YieldControl,
    *,
    rows: bool,
) -> Iterator[RangeFound]:
    """Yield what was found in each range, from left to right."""
    starts = range(0, size, RANGE_LEAVES)
    if processes == 1 or len(starts) == 1:
        for start in starts:
            yield check_range(inspection, start, min(start + RANGE_LEAVES, size), keys, breathe, rows=rows)
        return
    # Forked, so that hashes of texts are the same in all of them, and nothing is loaded again.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(processes, len(starts)), mp_context=context) as pool:
        jobs = [(location, start, min(start + RANGE_LEAVES, size), keys, rows) for start in starts]
        for found in pool.map(_check_apart, jobs):
            breathe(found.end - found.start)
            yield found


def _check_apart(job: tuple[str | Path, int, int, Sequence[VerifierKey], bool]) -> RangeFound:
    location, start, end, keys, rows = job
    with inspected(location) as inspection:
        return check_range(inspection, start, end, keys, rows=rows)


def _put_together(whole: _Whole, found: RangeFound, inspection: Inspection, report: Report) -> bool:
    """Add what was found in the next range; returns False where nothing more can be compared."""
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
                    Difference(TREE, f"node {index} of level {level}", "is not the hash of what stands under it")
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
    """Compare the head file with the checkpoint of its size, which was compared with the entries before."""
    if note is None:
        if size:
            yield Difference(PUBLISHED, "the head file", "is missing")
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


def _compare_subjects(inspection: Inspection, whole: _Whole) -> Iterator[Difference]:
    """Compare what finds the entries with what the leaves name, by sums over each range."""
    sums = [0] * len(whole.positions)
    for kind, identifier, position in inspection.subjects(whole.positions[-1]):
        sums[bisect_left(whole.positions, position)] += subject_hash(f'{kind}":"{identifier}', position)
    for number, (stored, said) in enumerate(zip(sums, whole.subjects, strict=True)):
        if stored != said:
            yield _first_other_subject(inspection, whole, number)
            return


def _first_other_subject(inspection: Inspection, whole: _Whole, number: int) -> Difference:
    """Name the first entry of a range that is found by something else than its leaf names."""
    last, before = whole.positions[number], whole.positions[number - 1] if number else 0
    stored: dict[int, set[str]] = {}
    for kind, identifier, position in inspection.subjects(last):
        if position > before:
            stored.setdefault(position, set()).add(f'"{kind}":"{identifier}"')
    start = number * RANGE_LEAVES
    for at in range(start, start + RANGE_LEAVES, _AT_ONCE):
        for index, position, _, leaf in inspection.entries(at, at + _AT_ONCE):
            begin = leaf.rindex(b'"subjects":{') + len(b'"subjects":{')
            text = leaf[begin : leaf.index(b'},"type":"', begin)].decode() if leaf[begin:][:1] != b"}" else ""
            if set(filter(None, text.split(","))) != stored.get(position, set()):
                return Difference(SUBJECTS, f"index {index}", "is found by other subjects than its leaf names")
    return Difference(SUBJECTS, f"positions {before + 1} to {last}", "are found by other subjects than leaves name")


def _compare_erasures(report: Report, whole: _Whole) -> None:
    """Compare what is gone with what the log says was erased, later than all of it and 21 days after a notice."""
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
        if (noticed is None or at - noticed < timedelta(days=NOTICE_DAYS)) and not any(
            difference.step == ERASURES for difference in report.differences
        ):
            said = "without a formal notice" if noticed is None else f"{(at - noticed).days} days after its notice"
            report.differences.append(Difference(ERASURES, f"index {index}", f"says that a customer was erased {said}"))


def _first_index(item: tuple[str, tuple[int, int, int]]) -> int:
    return item[1][1]


__all__ = ["Report", "check_log"]
