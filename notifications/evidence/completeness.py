"""The completeness report: was every customer that was owed a notice notified, and when? Made from the whole log.

The report states its basis: the size and the root of the tree, and the index of every entry behind a line. It is made
from all leaves under a checkpoint, and the root is compared, so that no entry can be omitted, changed or added. A
reader who has only some leaves (those of a bundle, or of one customer) can check that each of them is in the tree, but
not that they are all: ``completeness_report`` refuses these.

Not verified here: the signature of the checkpoint; whether the records are true; the documents and mails to which the
leaves commit. ``notifications.evidence.notification_report`` has the statuses of a customer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from notifications.audit.entry import parse_leaf
from notifications.audit.merkle import EMPTY_ROOT, leaf_hash, node_hash
from notifications.errors import VerificationError
from notifications.evidence.notification_report import NotificationReport
from notifications.evidence.notification_report_builder import ReportBuilder


@dataclass(frozen=True, slots=True)
class CompletenessReport(NotificationReport):
    """The report of who was notified, from a whole log."""

    tree_size: int
    root: bytes


def completeness_report(leaves: Iterable[bytes], tree_size: int, root: bytes, as_of: datetime) -> CompletenessReport:
    """Return the report of a log; raises VerificationError unless these are all leaves under the root, in order.

    1. Read each leaf, add it to the report, and add its hash to the tree.
    2. Compare size and root with those of the checkpoint.
    3. For each incident and announcement, return the status of each customer that has a decision or was registered
       before it was declared.
    """
    builder = ReportBuilder()
    peaks: list[tuple[int, bytes]] = []
    count = 0
    # 1.
    for index, data in enumerate(leaves):
        builder.take(index, parse_leaf(data))
        level, hashed = 0, leaf_hash(data)
        while peaks and peaks[-1][0] == level:
            hashed = node_hash(peaks.pop()[1], hashed)
            level += 1
        peaks.append((level, hashed))
        count = index + 1
    # 2.
    if count != tree_size:
        raise VerificationError("completeness", f"the checkpoint covers {tree_size} entries, {count} are here")
    computed = peaks.pop()[1] if peaks else EMPTY_ROOT
    while peaks:
        computed = node_hash(peaks.pop()[1], computed)
    if computed != root:
        raise VerificationError("completeness", "the entries do not make the checkpoint's root")
    # 3.
    found = builder.findings(as_of, whole=True)
    return CompletenessReport(
        as_of, found.lines, found.overrides, found.incidents, found.exercises, found.announcements, tree_size, root
    )
