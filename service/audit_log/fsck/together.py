"""Compare many entries with their leaves at once, by functions of the interpreter in C: a log has millions.

The comparisons are those of ``ranges``: id, time, incident, notice, kind, actor, and every commitment with its
opening. Where something is not as it usually is, nothing is said here, and ``ranges`` compares entry by entry.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain, repeat

from notifications.canonical_json import timestamp_text
from service.store.sql.encoding import from_microseconds
from service.store.sql.session import Row

COMMITMENT = b"greffier/commitment/v1\n"
_ID = b'},"id":"'
_UUID_TEXT, _IDENTIFIER_BYTES = 36, 16
_BEFORE_ID, _BEFORE_SUBJECTS = len(_ID), len(_ID) + _UUID_TEXT + len(b'","subjects":{')
#: Microseconds.
_SECOND = 1_000_000
#: Subjects that columns repeat, as a leaf begins to write them. One column is for incidents and announcements.
INCIDENT, ANNOUNCEMENT, NOTICE = b'"incident":"', b'"announcement":"', b'"notice":"'
_DASHES = (8, 13, 18, 23)


def subjects_if_agreeing(entries: Sequence[Row], openings: Sequence[Row]) -> Iterable[tuple[str, int]] | None:
    """Return the subjects of entries, with positions, if everything agrees with the leaves; otherwise None.

    ``openings`` are all of these entries, in the order of positions and names. The order of entries is not checked.
    """
    _, positions, ids, leaves, times, incidents, notices, kinds, actors = zip(*entries, strict=True)
    try:
        # Every byte of a leaf up to its details: actor, time and commitments.
        heads = _heads(positions, times, actors, openings)
        ends = {kind: f'}},"type":"{kind}","v":1}}'.encode() for kind in set(kinds)}
        tails = [ends[kind] for kind in kinds]
        if not (all(map(bytes.startswith, leaves, heads)) and all(map(bytes.endswith, leaves, tails))):
            return None
        begins = [leaf.find(_ID) for leaf in leaves]
        stated = [leaf[at + _BEFORE_ID : at + _BEFORE_ID + _UUID_TEXT] for leaf, at in zip(leaves, begins, strict=True)]
        if not _are(ids, stated):
            return None
        subjects = [
            leaf[at + _BEFORE_SUBJECTS : -len(tail)] for leaf, at, tail in zip(leaves, begins, tails, strict=True)
        ]
        about = [(each.partition(INCIDENT)[2] or each.partition(ANNOUNCEMENT)[2])[:_UUID_TEXT] for each in subjects]
        of_notices = [each.partition(NOTICE)[2][:_UUID_TEXT] for each in subjects]
        for named, column in ((about, incidents), (of_notices, notices)):
            if list(map(bool, named)) != [each is not None for each in column]:
                return None
            if not _are([each for each in column if each is not None], list(filter(None, named))):
                return None
        numbers = [each.count(b'":"') for each in subjects]
        pairs = b",".join(filter(None, subjects)).decode()[1:-1].split('","')
    except (TypeError, ValueError, OverflowError):
        # A column of another type, or a leaf that is no text.
        return None
    if len(pairs) != sum(numbers):
        return None
    return zip(pairs, chain.from_iterable(map(repeat, positions, numbers)), strict=True)


def _heads(
    positions: Sequence[int], times: Sequence[int], actors: Sequence[str], openings: Sequence[Row]
) -> list[bytes]:
    """Return how each leaf must begin; raises ValueError or OverflowError for a column that no leaf has."""
    sha256 = hashlib.sha256
    committed = dict.fromkeys(positions, "")
    for at, name, salt, value in openings:
        digest = sha256(b"%b%b\n%b%b" % (COMMITMENT, name.encode(), salt, value)).hexdigest()
        text = f'"{name}":"{digest}"'
        committed[at] = f"{committed[at]},{text}" if committed[at] else text
    seconds = {
        second: timestamp_text(from_microseconds(second * _SECOND)).partition(".")[0]
        for second in {time // _SECOND for time in times}
    }
    return [
        f'{{"actor":"{actor}","at":"{seconds[time // _SECOND]}.{time % _SECOND:06d}Z",'
        f'"commitments":{{{text}}},"detail":{{'.encode()
        for actor, time, text in zip(actors, times, committed.values(), strict=True)
    ]


def _are(identifiers: Sequence[bytes], texts: Sequence[bytes]) -> bool:
    """Return whether identifiers are those that texts of 36 bytes say, in order; raises TypeError if one is none.

    All are compared at once: the digits, and that each has its dashes where they belong.
    """
    said = b"".join(texts)
    return (
        set(map(len, identifiers)) <= {_IDENTIFIER_BYTES}
        and all(said[at::_UUID_TEXT] == b"-" * len(texts) for at in _DASHES)
        and said.replace(b"-", b"") == b"".join(identifiers).hex().encode()
    )
