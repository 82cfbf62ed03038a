"""Was everyone who was owed a notice told, and when: an account of the whole log, from its leaves alone.

What it rests on is stated in it: the tree's size, its root, and the index of every entry that a line was made from.
Whoever makes it from all leaves under a checkpoint compares the root, so that no entry can be left out, changed or
added. Whoever holds some leaves only (a bundle, one customer) can check that each of them stands in the tree, not that
there are no others: ``account`` refuses to make an account of those.

Not verified here: the checkpoint's signature; that what was recorded is true; documents and mails, which leaves commit
to. How a customer stands is told by ``notifications.evidence.notification_report``.
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
class Account(NotificationReport):
    """What a whole log says of who was told."""

    tree_size: int
    root: bytes


def account(leaves: Iterable[bytes], tree_size: int, root: bytes, as_of: datetime) -> Account:
    """Return the account of a log; raises VerificationError unless these are all leaves under the root, in order.

    1. Read each leaf, take it into the account, and add its hash to the tree.
    2. Compare size and root with the checkpoint's.
    3. Per incident, each customer that was decided about or registered before it was declared: how it stands.
    """
    accounting = ReportBuilder()
    peaks: list[tuple[int, bytes]] = []
    count = 0
    # 1.
    for index, data in enumerate(leaves):
        accounting.take(index, parse_leaf(data))
        level, hashed = 0, leaf_hash(data)
        while peaks and peaks[-1][0] == level:
            hashed = node_hash(peaks.pop()[1], hashed)
            level += 1
        peaks.append((level, hashed))
        count = index + 1
    # 2.
    if count != tree_size:
        raise VerificationError("completeness", f"the checkpoint covers {tree_size} entries, {count} are here")
    made = peaks.pop()[1] if peaks else EMPTY_ROOT
    while peaks:
        made = node_hash(peaks.pop()[1], made)
    if made != root:
        raise VerificationError("completeness", "the entries do not make the checkpoint's root")
    # 3.
    made_of = accounting.findings(as_of, whole=True)
    return Account(as_of, made_of.lines, made_of.overrides, made_of.incidents, tree_size, root)
