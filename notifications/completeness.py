"""Was everyone who was owed a notice told, and when: an account of the whole log, from its leaves alone.

What it rests on is stated in it: the tree's size, its root, and the index of every entry that a line was made from.
Whoever makes it from all leaves under a checkpoint compares the root, so that no entry can be left out, changed or
added. Whoever holds some leaves only (a bundle, one customer) can check that each of them stands in the tree, not that
there are no others: ``account`` refuses to make an account of those.

Not verified here: the checkpoint's signature; that what was recorded is true; documents and mails, which leaves commit
to. A console inbox counts as told (11.1.1.2), a mail from the moment the next relay took it, unless it came back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from notifications.audit.entry import Leaf, parse_leaf
from notifications.audit.merkle import EMPTY_ROOT, leaf_hash, node_hash
from notifications.canonical_json import parse_timestamp
from notifications.errors import VerificationError

_TELLING = frozenset({"ContentConsignment", "RelayToNonERDS"})
_FAILED = "RelayToNonERDSFailure"


class Standing(StrEnum):
    """How one customer stands in one incident, at the moment of the account."""

    TOLD = "told"
    LATE = "late"
    MISSING = "missing"
    #: owed, not told, and the time for it is not over
    AWAITED = "awaited"
    #: the last decision waits for a fact
    PENDING = "pending"
    #: registered before the incident was declared, and no decision about it
    UNDECIDED = "undecided"
    #: decided that it is not told, with reasons
    NOT_OWED = "not_owed"


@dataclass(frozen=True, slots=True)
class Line:
    """One customer in one incident."""

    incident: str
    #: the customer's pseudonym
    customer: str
    standing: Standing
    #: last decision: its verdict, reasons and clauses; empty where there is none
    verdict: str
    reasons: tuple[str, ...]
    clauses: tuple[str, ...]
    #: earliest time that a decision to tell stated: a later decision cannot move a missed one
    due_at: datetime | None
    due_kind: str | None
    told_at: datetime | None
    #: told after it was due by so much
    delay: timedelta | None
    #: released by one person where two were asked for
    overridden: bool
    #: every entry about this customer in this incident, in order
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What a whole log says of who was told."""

    tree_size: int
    root: bytes
    as_of: datetime
    #: by incident, then by customer
    lines: tuple[Line, ...]

    def standing_at(self, *standings: Standing) -> tuple[Line, ...]:
        """Return the lines that stand so."""
        return tuple(line for line in self.lines if line.standing in standings)

    @property
    def complete(self) -> bool:
        """Whether nobody was told late, is missing, or was passed over."""
        return not self.standing_at(Standing.LATE, Standing.MISSING, Standing.UNDECIDED)


@dataclass(slots=True)
class _Case:
    decisions: list[Leaf] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    #: delivery to the moment that told
    told: dict[str, datetime] = field(default_factory=dict)
    overridden: bool = False


def account(leaves: Iterable[bytes], tree_size: int, root: bytes, as_of: datetime) -> Account:
    """Return the account of a log; raises VerificationError unless these are all leaves under the root, in order.

    1. Read each leaf, sort it to its incident and customer, and add its hash to the tree.
    2. Compare size and root with the checkpoint's.
    3. Per incident, each customer that was decided about or registered before it was declared: how it stands.
    """
    cases: dict[tuple[str, str], _Case] = {}
    declared: dict[str, int] = {}
    registered: dict[str, int] = {}
    peaks: list[tuple[int, bytes]] = []
    count = 0
    # 1.
    for index, data in enumerate(leaves):
        leaf = parse_leaf(data)
        _sort(index, leaf, cases, declared, registered)
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
    for incident, at in declared.items():
        for customer, since in registered.items():
            if since < at:
                cases.setdefault((incident, customer), _Case())
    lines = tuple(
        _line(incident, customer, case, as_of)
        for (incident, customer), case in sorted(cases.items(), key=lambda item: item[0])
    )
    return Account(tree_size, root, as_of, lines)


def _sort(
    index: int, leaf: Leaf, cases: dict[tuple[str, str], _Case], declared: dict[str, int], registered: dict[str, int]
) -> None:
    incident, customer = leaf.subjects.get("incident"), leaf.subjects.get("customer")
    if leaf.type == "incident.declared" and incident is not None:
        declared.setdefault(incident, index)
    if leaf.type == "customer.registered" and customer is not None:
        registered.setdefault(customer, index)
    if incident is None or customer is None:
        return
    case = cases.setdefault((incident, customer), _Case())
    case.indices.append(index)
    delivery, event = leaf.subjects.get("delivery", ""), leaf.detail.get("event")
    if leaf.type == "decision.recorded":
        case.decisions.append(leaf)
    elif leaf.type == "notice.released":
        case.overridden |= leaf.detail.get("override") is True
    elif leaf.type == "delivery.attempted" and event in _TELLING:
        case.told.setdefault(delivery, leaf.at)
    elif leaf.type == "delivery.returned" and event == _FAILED:
        case.told.pop(delivery, None)


def _line(incident: str, customer: str, case: _Case, as_of: datetime) -> Line:
    last = case.decisions[-1] if case.decisions else None
    verdict = "" if last is None else str(last.detail.get("verdict"))
    owed = [
        (parse_timestamp(due), str(leaf.detail.get("due_kind")))
        for leaf in case.decisions
        if leaf.detail.get("verdict") == "notify" and isinstance(due := leaf.detail.get("due_at"), str)
    ]
    due_at, due_kind = min(owed, default=(None, None))
    told_at = min(case.told.values(), default=None)
    delay = told_at - due_at if told_at is not None and due_at is not None and told_at > due_at else None
    return Line(
        incident=incident,
        customer=customer,
        standing=_standing(verdict, due_at, told_at, as_of),
        verdict=verdict,
        reasons=_codes(last, "reasons"),
        clauses=_codes(last, "clauses"),
        due_at=due_at,
        due_kind=due_kind,
        told_at=told_at,
        delay=delay,
        overridden=case.overridden,
        indices=tuple(case.indices),
    )


def _standing(verdict: str, due_at: datetime | None, told_at: datetime | None, as_of: datetime) -> Standing:
    if told_at is not None:
        return Standing.LATE if due_at is not None and told_at > due_at else Standing.TOLD
    match verdict:
        case "":
            return Standing.UNDECIDED
        case "pending":
            return Standing.PENDING
        case "do_not_notify":
            return Standing.NOT_OWED
        case _:
            return Standing.AWAITED if due_at is not None and as_of <= due_at else Standing.MISSING


def _codes(leaf: Leaf | None, name: str) -> tuple[str, ...]:
    value = None if leaf is None else leaf.detail.get(name)
    return tuple(value) if isinstance(value, list) else ()
