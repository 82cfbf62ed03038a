"""Check one range of the log: entries, openings and stored nodes are compared with the rebuilt tree.

A range does not depend on earlier ranges, so several processes can check one range each. ``check`` combines their
results.
"""

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, repeat

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.merkle import HASH_BYTES
from notifications.audit.note import VerifierKey
from notifications.audit.rebuilding import RANGE_LEAVES, Range, rebuild_range
from notifications.canonical_json import timestamp_text
from notifications.errors import InvalidInputError, VerificationError
from service.audit_log.fsck.findings import CHECKPOINTS, ENTRIES, OPENINGS, TREE, RangeFound
from service.audit_log.fsck.rows import ROWS_OF, WITH_ROWS, RowChecks
from service.audit_log.fsck.together import ANNOUNCEMENT, COMMITMENT, INCIDENT, NOTICE, subjects_if_agreeing
from service.store.maintenance.inspection import Inspection
from service.store.sql.encoding import from_microseconds
from service.store.sql.session import Row

_sha256 = hashlib.sha256
#: Number of entries in memory at a time; so few stay in the processor's cache between two comparisons.
_AT_ONCE = 512
_UUID_TEXT = 36
_IDENTIFIER_BYTES = 16
#: Microseconds.
_SECOND = 1_000_000
# The members of a canonical leaf are in order, and every quote inside a text is escaped. So each of these marks occurs
# exactly once, where its member begins. A leaf that is not canonical is found when the tree is compared.
_COMMITMENTS, _ID, _TYPE = b'"commitments":{', b'},"id":"', b'},"type":"'
_SUBJECTS, _AT = b'","subjects":{', b'","at":"'


#: Called between two parts of the work with the number of entries checked since the last call.
YieldControl = Callable[[int], None]


def subjects_hash(subjects: Iterable[tuple[str, int]]) -> int:
    """Return the sum of the hashes of subjects: each ``kind":"identifier`` and a position. It differs between runs.

    Nothing but functions of the interpreter in C works on the single subjects: a log has millions of them.
    """
    return sum(map(hash, subjects))


def check_range(
    inspection: Inspection,
    start: int,
    end: int,
    keys: Sequence[VerifierKey],
    breathe: YieldControl = lambda _: None,
    *,
    rows: bool = True,
) -> RangeFound:
    """Check the entries from ``start`` to before ``end``, at most one range.

    1. Entries: indices have no gap and are in the order of positions; each row has the id, the time, the
       incident, the notice, the kind and the actor that its leaf states.
    2. Openings: each opens its commitment; missing openings are reported by customer.
    3. Rows of entries: see ``service.audit_log.fsck.rows``.
    4. Tree: every stored node is the hash of its children.
    5. Checkpoints: each is signed by the log; the range's part of its root is computed.

    Without ``rows`` only the log is checked: not the ids, and neither 2. nor 3.
    """
    found = RangeFound(start, end)
    hashes: list[bytes] = []
    first = None if rows else inspection.first_position(start, end)
    beside = RowChecks(inspection, found, keys)
    for at in range(start, end, _AT_ONCE):
        until = min(at + _AT_ONCE, end)
        # 1. If the indices have no gap, only the leaves are read; otherwise the fault is located.
        if first is not None and len(leaves := inspection.leaves(first + at - start, first + until - start - 1)) == (
            until - at
        ):
            hashes += [_sha256(b"\x00" + leaf).digest() for (leaf,) in leaves]
            found.positions = (first, first + until - start - 1)
            found.count(ENTRIES, until - at)
            breathe(until - at)
            continue
        entries = inspection.entries(at, until)
        if not _in_order(found, inspection, entries, at, until):
            found.broken = True
            return found
        hashes += [_sha256(b"\x00" + leaf).digest() for _, _, _, leaf, *_ in entries]
        # 2. and 3.
        if rows:
            _compare_entries(found, beside, inspection, entries)
        else:
            _compare_columns(found, entries)
        breathe(until - at)
    # 4.
    made = rebuild_range(start, hashes)
    _compare_nodes(found, inspection, made)
    if end - start == RANGE_LEAVES:
        found.root = made.levels[-1]
    # 5.
    for size, note in inspection.checkpoints(start, end):
        try:
            checkpoint = verify_checkpoint(note, *keys)
        except (InvalidInputError, VerificationError) as error:
            found.differs(CHECKPOINTS, f"checkpoint of size {size}", str(error))
            continue
        if checkpoint.size != size:
            found.differs(CHECKPOINTS, f"checkpoint of size {size}", f"states the size {checkpoint.size}")
        else:
            found.parts.append((size, checkpoint.root, made.part_of_root(size)))
        found.count(CHECKPOINTS)
    return found


def _in_order(found: RangeFound, inspection: Inspection, entries: Sequence[Row], start: int, end: int) -> bool:
    """Return whether the entries are complete; otherwise nothing else of the range can be compared."""
    expected = found.positions[1] + 1 if found.positions[1] else None
    for index, entry in enumerate(entries, start):
        if entry[0] != index:
            found.differs(ENTRIES, f"index {index}", f"has no entry; the next entry is at {entry[0]}")
            return False
        if expected is not None and entry[1] != expected:
            between = inspection.appended(expected, entry[1] - 1)
            if entry[1] < expected or between:
                found.differs(ENTRIES, f"index {index}", f"is at position {entry[1]}, not {expected}")
                return False
        expected = entry[1] + 1
    if len(entries) < end - start:
        found.differs(ENTRIES, f"index {start + len(entries)}", "has no entry")
        return False
    found.positions = (found.positions[0] or entries[0][1], entries[-1][1])
    found.count(ENTRIES, len(entries))
    return True


def _compare_entries(found: RangeFound, rows: RowChecks, inspection: Inspection, entries: Sequence[Row]) -> None:
    """Compare columns, openings and rows: of entries that agree with their leaves together, of others one by one."""
    openings = sorted(inspection.openings(entries[0][1], entries[-1][1]))
    if _compare_together(found, rows, entries, openings):
        return
    # Where customers were erased, entries without their openings are among the others.
    opened = Counter(position for position, *_ in openings)
    for is_whole, run in groupby(entries, lambda entry: _committed(entry[3]).count(b":") == opened[entry[1]]):
        some = list(run)
        first, end = bisect_left(openings, (some[0][1],)), bisect_left(openings, (some[-1][1] + 1,))
        if not (is_whole and _compare_together(found, rows, some, openings[first:end])):
            _compare_columns(found, some)
            _compare_openings(found, rows, some, openings[first:end])


def _compare_together(found: RangeFound, rows: RowChecks, entries: Sequence[Row], openings: Sequence[Row]) -> bool:
    """Compare entries that agree with their leaves in everything; return False if they do not, or may not."""
    subjects = subjects_if_agreeing(entries, openings)
    if subjects is None:
        return False
    found.count(OPENINGS, len(openings))
    found.subjects += subjects_hash(subjects)
    if not WITH_ROWS.isdisjoint({entry[7] for entry in entries}):
        opened: dict[int, dict[str, bytes]] = {}
        for position, name, _, value in openings:
            opened.setdefault(position, {})[name] = value
        for index, position, _, leaf, *_ in entries:
            if leaf.endswith(ROWS_OF):
                rows.compare(index, leaf, opened.get(position, {}))
    return True


def _compare_columns(found: RangeFound, entries: Sequence[Row]) -> None:
    """Compare the columns of entries with their leaves, one by one."""
    for index, _, identifier, leaf, recorded_at, incident_id, notice_id, *codes in entries:
        at = leaf.find(_ID) + len(_ID)
        if leaf[at : at + _UUID_TEXT].replace(b"-", b"") != identifier.hex().encode():
            found.differs(ENTRIES, f"index {index}", "has another id than its leaf states")
            break
        if not _says(leaf, recorded_at, incident_id, notice_id):
            found.differs(ENTRIES, f"index {index}", "is listed with another time or subject than its leaf states")
            break
        if not _has_codes(leaf, *codes):
            found.differs(ENTRIES, f"index {index}", "is listed with another kind or actor than its leaf states")
            break


def _says(leaf: bytes, recorded_at: int, incident_id: bytes | None, notice_id: bytes | None) -> bool:
    """Return whether a leaf states what the columns beside it repeat."""
    try:
        at = _second_text(recorded_at // _SECOND) + b".%06dZ" % (recorded_at % _SECOND)
        incident, notice = _identifier_text(incident_id), NOTICE + _identifier_text(notice_id)
    except (ValueError, OverflowError):
        return False  # no time, or no identifier
    subjects = leaf[leaf.find(_SUBJECTS) : leaf.find(_TYPE)]
    # What was done about an announcement is found as what was done about an incident is.
    incident = (INCIDENT if INCIDENT in subjects else ANNOUNCEMENT) + incident
    return (
        leaf.startswith(at, leaf.find(_AT) + len(_AT))
        and (incident in subjects) is (incident_id is not None)
        and (notice in subjects) is (notice_id is not None)
    )


@lru_cache(maxsize=64)
def _second_text(second: int) -> bytes:
    """Return the text of a time up to its second; neighbouring entries share it. Raises OverflowError."""
    return timestamp_text(from_microseconds(second * _SECOND)).partition(".")[0].encode()


def _identifier_text(identifier: bytes | None) -> bytes:
    """Return the text of an identifier, empty for None; raises ValueError for what is none."""
    if identifier is None:
        return b""
    if len(identifier) != _IDENTIFIER_BYTES:
        raise ValueError("no identifier")
    digits = identifier.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()


def _has_codes(leaf: bytes, kind: str, actor: str) -> bool:
    """Return whether a leaf states this kind and this actor; neither has a character that JSON escapes."""
    return leaf.startswith(b'{"actor":"%s","at":' % actor.encode()) and leaf.endswith(
        b'},"type":"%s","v":1}' % kind.encode()
    )


def _committed(leaf: bytes) -> bytes:
    """Return the commitments of a leaf, as it writes them."""
    at = leaf.find(_COMMITMENTS) + len(_COMMITMENTS)
    return leaf[at : leaf.find(b"}", at)]


def _compare_openings(found: RangeFound, rows: RowChecks, entries: Sequence[Row], openings: Sequence[Row]) -> None:
    """Compare the openings of entries with their commitments, and the rows of entries with both, one by one."""
    opened_entries = _by_position(openings)
    following = next(opened_entries, None)
    hashed = 0
    for index, position, _, leaf, *_ in entries:
        after_id = leaf.find(_ID) + len(_ID) + _UUID_TEXT + len(_SUBJECTS)
        subjects = leaf[after_id : leaf.find(_TYPE, after_id - 1)].decode()
        if subjects:
            hashed += subjects_hash(zip(subjects[1:-1].split('","'), repeat(position)))
        committed = _committed(leaf)
        opened: dict[str, bytes] = {}
        if following is not None and following[0] == position:
            for name, salt, value in following[1]:
                label = name.encode()
                digest = hashlib.sha256(COMMITMENT + label + b"\n" + salt + value).hexdigest().encode()
                if b'"%s":"%s"' % (label, digest) not in committed:
                    found.differs(OPENINGS, f"{name} of index {index}", "does not open the commitment of the leaf")
                opened[name] = value
            following = next(opened_entries, None)
        if committed.count(b":") > len(opened):
            rows.erased(index, leaf, committed.count(b":") - len(opened))
        if leaf.endswith(ROWS_OF):
            rows.compare(index, leaf, opened)
        found.counts[OPENINGS] = found.counts.get(OPENINGS, 0) + len(opened)
    found.subjects += hashed


def _by_position(openings: Sequence[Row]) -> Iterator[tuple[int, list[tuple[str, bytes, bytes]]]]:
    """Yield the openings, grouped by entry."""
    current: list[tuple[str, bytes, bytes]] = []
    at = None
    for position, name, salt, value in openings:
        if position != at and at is not None:
            yield at, current
            current = []
        at = position
        current.append((name, salt, value))
    if at is not None:
        yield at, current


def _compare_nodes(found: RangeFound, inspection: Inspection, made: Range) -> None:
    for level, expected in enumerate(made.levels):
        first, count = made.start >> level, len(expected) // HASH_BYTES
        if not count:
            continue
        stored = inspection.nodes(level, first, count)
        if stored != expected:
            number = next(
                number
                for number in range(count)
                if stored[number * HASH_BYTES : (number + 1) * HASH_BYTES] != made.node(level, number)
            )
            what = "is not the hash of its children"
            if len(stored) != len(expected):
                what += f"; {count - len(stored) // HASH_BYTES} of its level are missing"
            index = first + number
            leaves = f"over the entries {index << level} to {((index + 1) << level) - 1}"
            found.differs(TREE, f"node {index} of level {level}, {leaves}", what)
            return
        found.count(TREE, count)
