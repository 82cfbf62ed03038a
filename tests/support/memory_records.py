"""The content of the in-memory store, and the functions that its repositories share."""

import copy
from dataclasses import dataclass, field, fields

from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError


@dataclass
class Records:
    """All records; dicts keep the order of creation."""

    responses: dict = field(default_factory=dict)
    tickets: dict = field(default_factory=dict)
    incidents: dict = field(default_factory=dict)
    overviews: dict = field(default_factory=dict)
    facts: dict = field(default_factory=dict)
    interventions: dict = field(default_factory=dict)
    customers: dict = field(default_factory=dict)
    salts: dict = field(default_factory=dict)
    bindings: list = field(default_factory=list)
    contacts: dict = field(default_factory=dict)
    profiles: dict = field(default_factory=dict)
    decisions: dict = field(default_factory=dict)
    notices: dict = field(default_factory=dict)
    sealed: dict = field(default_factory=dict)
    sealed_entries: dict = field(default_factory=dict)
    pdfs: dict = field(default_factory=dict)
    timestamp_refusals: dict = field(default_factory=dict)
    deliveries: dict = field(default_factory=dict)
    leases: dict = field(default_factory=dict)
    attempts: dict = field(default_factory=dict)
    messages: dict = field(default_factory=dict)
    inbox: dict = field(default_factory=dict)
    entries: dict = field(default_factory=dict)
    openings: dict = field(default_factory=dict)
    sequenced: list = field(default_factory=list)
    nodes: dict = field(default_factory=dict)
    checkpoint: bytes | None = None
    cosignatures: dict = field(default_factory=dict)
    stamps: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)
    turns: dict = field(default_factory=dict)
    notice_leases: dict = field(default_factory=dict)
    endpoints: dict = field(default_factory=dict)
    secrets: dict = field(default_factory=dict)
    returned: dict = field(default_factory=dict)
    opened: dict = field(default_factory=dict)
    acknowledged: dict = field(default_factory=dict)
    questions: dict = field(default_factory=dict)
    feedback: dict = field(default_factory=dict)
    escalations: dict = field(default_factory=dict)
    call_tasks: dict = field(default_factory=dict)
    call_records: dict = field(default_factory=dict)
    checks: dict = field(default_factory=dict)
    pauses: dict = field(default_factory=dict)
    legal_profiles: dict = field(default_factory=dict)
    assessments: dict = field(default_factory=dict)
    submissions: dict = field(default_factory=dict)
    report_drafts: dict = field(default_factory=dict)
    timers: dict = field(default_factory=dict)
    announced: dict = field(default_factory=dict)
    customer_submissions: dict = field(default_factory=dict)
    letters: dict = field(default_factory=dict)

    def copied(self):
        return Records(**{member.name: copy.copy(getattr(self, member.name)) for member in fields(self)})


def page_of(listing, page, items, cursor_key, *, newest_first=False):
    """Return one page of ``items``, which are in order of creation; the cursor is the last item's key."""
    if page.limit < 1:
        raise InvalidInputError(Fault("limit", "must be at least 1"))
    ordered = list(reversed(items)) if newest_first else list(items)
    start = 0
    if page.cursor is not None:
        keys = [f"{listing}-{cursor_key(item)}" for item in ordered]
        if page.cursor not in keys:
            raise InvalidInputError(Fault("cursor", "is not a cursor of this list"))
        start = keys.index(page.cursor) + 1
    kept = ordered[start : start + page.limit]
    more = start + page.limit < len(ordered)
    return kept, f"{listing}-{cursor_key(kept[-1])}" if more else None


def within(page, items, *, at, customer_id=None, served=None):
    """Return the items that an extent of the page covers; ``at``, ``customer_id`` and ``served`` read an item."""

    def covers(extent, item):
        moment = at(item)
        return (
            (extent.customer_id is None or extent.customer_id == customer_id(item))
            and (extent.starts_at is None or extent.starts_at <= moment)
            and (extent.ends_at is None or moment < extent.ends_at)
            and (not extent.served_only or served(item))
        )

    return [item for item in items if page.within is None or any(covers(extent, item) for extent in page.within)]


def of(items, name, value):
    return [item for item in items if value is None or getattr(item, name) == value]


class MemoryRepository:
    def __init__(self, tx):
        self._tx, self._records = tx, tx.records

    def _writing(self, kind=None):
        if self._tx.read_only:
            raise RuntimeError("a read must not write")
        if kind:
            self._tx.changed.add(kind)

    def _add(self, where, key, value):
        if key in where:
            raise StateConflictError(f"a record with this identity exists already ({key})")
        where[key] = value

    def _refer(self, where, key):
        if key not in where:
            raise StateConflictError(f"the record refers to one that does not exist ({key})")

    def _replace(self, kind, where, record, expected):
        if record.version != expected + 1:
            raise ValueError(f"version {record.version} does not follow {expected}")
        current = where.get(record.id)
        if current is None:
            raise NotFoundError(kind, record.id)
        if current.version != expected:
            raise VersionMismatchError(kind, record.id, expected, current.version)
        where[record.id] = record
