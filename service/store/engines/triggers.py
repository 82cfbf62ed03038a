"""Append-only by trigger: the engine refuses UPDATE, DELETE and REPLACE from every client.

Not listed are tables whose rows may be erased (salts, openings) or have a state (incidents, notices, deliveries). Rows
of a customer may be deleted once its erasure has begun. An erasure begins at the earliest when the days
of its formal notice are over; the order states them.
"""

#: Append-only tables, and every unique key of each, because REPLACE could replace an older row by any of them.
#: ``audit_subjects`` needs none, because its key has all its columns.
APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "acknowledgements": (("position",), ("id",), ("notice_id", "by")),
    "agreement_bindings": (("position",),),
    "audit_entries": (("position",), ("id",)),
    "audit_subjects": (),
    "call_records": (("position",), ("id",)),
    "checkpoint_cosignatures": (("size", "witness"),),
    "checkpoint_timestamps": (("size",),),
    "customer_submissions": (("position",), ("id",)),
    "decisions": (("position",), ("id",)),
    "delivery_attempts": (("position",), ("id",), ("delivery_id", "number")),
    "inbox_items": (("position",), ("notice_id",)),
    "duty_assessments": (("position",), ("incident_id", "version")),
    "incident_facts": (("incident_id", "version"),),
    "interventions": (("position",), ("incident_id", "number")),
    "issued_reports": (("position",), ("period", "customer", "number")),
    "legal_profiles": (("position",), ("customer_id", "version")),
    "log_checkpoints": (("size",),),
    "log_leaves": (("leaf_index",), ("position",)),
    "log_nodes": (("level", "node_index"),),
    "notice_openings": (("position",), ("notice_id", "by")),
    "notice_pdfs": (("notice_id", "language", "time_zone"),),
    "profiles": (("position",), ("id",), ("customer_id", "version")),
    "reachability_checks": (("position",), ("id",)),
    "report_drafts": (("position",), ("incident_id", "duty_id", "version")),
    "report_pdfs": (("position",), ("period", "customer", "number", "language")),
    "report_submissions": (("position",), ("id",)),
    "returned_messages": (("position",), ("id",)),
    "seal_proofs": (("notice_id",),),
    "seal_timestamps": (("notice_id",),),
    "sealed_notices": (("position",), ("notice_id",)),
    "sent_messages": (("delivery_id", "number"),),
    "shared_timestamps": (("notice_id",),),
}

_BEGUN = "SELECT 1 FROM erasure_orders o WHERE o.begun_at IS NOT NULL"
_OF_CUSTOMER = f"{_BEGUN} AND o.customer_id = OLD.customer_id"
_OF_NOTICE = f"{_BEGUN} AND o.customer_id = (SELECT n.customer_id FROM notices n WHERE n.id = OLD.notice_id)"  # noqa: S608 - this file's own words
_OF_DELIVERY = f"{_BEGUN} AND o.customer_id = (SELECT d.customer_id FROM deliveries d WHERE d.id = OLD.delivery_id)"  # noqa: S608 - this file's own words
_OF_TASK = f"{_BEGUN} AND o.customer_id = (SELECT t.customer_id FROM call_tasks t WHERE t.id = OLD.task_id)"  # noqa: S608 - this file's own words

#: Append-only tables from which an erasure may delete rows of a customer, and the condition for the row ``OLD``.
ERASABLE: dict[str, str] = {
    "acknowledgements": _OF_CUSTOMER,
    "agreement_bindings": _OF_CUSTOMER,
    "call_records": _OF_TASK,
    "customer_submissions": _OF_CUSTOMER,
    "decisions": _OF_CUSTOMER,
    "delivery_attempts": _OF_DELIVERY,
    "inbox_items": _OF_CUSTOMER,
    "legal_profiles": _OF_CUSTOMER,
    "notice_openings": _OF_CUSTOMER,
    "notice_pdfs": _OF_NOTICE,
    "profiles": _OF_CUSTOMER,
    "reachability_checks": _OF_CUSTOMER,
    # One of the report on all customers names several of them.
    "report_pdfs": _BEGUN,
    # A bounce without a delivery may still name a person, so any erasure may delete it.
    "returned_messages": f"{_OF_DELIVERY} UNION ALL {_BEGUN} AND OLD.delivery_id IS NULL",
    "seal_proofs": _OF_NOTICE,
    "seal_timestamps": _OF_NOTICE,
    "sealed_notices": _OF_NOTICE,
    "sent_messages": _OF_DELIVERY,
    "shared_timestamps": _OF_NOTICE,
}
#: Rows that are about several customers, or about the provider: an erasure only removes one customer's part.
BLANKED: dict[str, str] = {
    "incident_facts": f"{_BEGUN} AND OLD.incident_id = NEW.incident_id AND OLD.version = NEW.version",
    # Words about the provider's own duties that name the customer. All else of the row stays.
    "duty_assessments": (
        f"{_BEGUN} AND OLD.position = NEW.position AND OLD.incident_id = NEW.incident_id AND OLD.version = NEW.version"
        " AND OLD.answers = NEW.answers AND OLD.recorded_at = NEW.recorded_at AND OLD.recorded_by = NEW.recorded_by"
    ),
    "report_drafts": (
        f"{_BEGUN} AND OLD.position = NEW.position AND OLD.incident_id = NEW.incident_id AND OLD.version = NEW.version"
        " AND OLD.duty_id = NEW.duty_id AND OLD.recorded_at = NEW.recorded_at AND OLD.recorded_by = NEW.recorded_by"
    ),
}

_DAY_MICROSECONDS = 86_400 * 1_000_000
_ORDER_MAY_CHANGE = (
    "OLD.begun_at IS NULL AND NEW.customer_id = OLD.customer_id AND NEW.notice_days = OLD.notice_days AND "
    "COALESCE(NEW.announced_at, 0) = COALESCE(OLD.announced_at, 0) AND (OLD.noticed_at IS NULL AND "
    "NEW.begun_at IS NULL OR NEW.noticed_at = OLD.noticed_at AND "
    f"NEW.begun_at >= OLD.noticed_at + OLD.notice_days * {_DAY_MICROSECONDS} AND "
    "NEW.begun_at >= COALESCE(OLD.announced_at, 0))"
)
_ERASURE_KEEPS = (
    "pseudonym", "ordered_at", "noticed_at", "erased_at", "erased_rows", "compacted_at", "document", "signature",
    "timestamp", "certified_at",
)  # fmt: skip


def order_rules(unequal: str) -> dict[str, tuple[str, str, str, str]]:
    """Return name to (table, event, refusing condition, message) for orders and erasures.

    ``unequal`` is the engine's operator for "differs, null included".
    """
    changed = " OR ".join(f"OLD.{name} IS NOT NULL AND NEW.{name} {unequal} OLD.{name}" for name in _ERASURE_KEEPS)
    return {
        "erasure_orders_no_begin": (
            "erasure_orders", "INSERT", "NEW.begun_at IS NOT NULL OR NEW.notice_days < 1",
            "an erasure begins after its notice",
        ),
        "erasure_orders_no_change": (
            "erasure_orders", "UPDATE", f"({_ORDER_MAY_CHANGE}) IS NOT TRUE",
            "an erasure begins when the days of its notice are over",
        ),
        "erasure_orders_no_end": (
            "erasure_orders", "DELETE",
            "OLD.begun_at IS NOT NULL AND EXISTS (SELECT 1 FROM customers c WHERE c.id = OLD.customer_id)",
            "an erasure ends with its customer",
        ),
        "erasures_no_delete": ("erasures", "DELETE", "1 = 1", "erasures is append-only"),
        "erasures_no_change": ("erasures", "UPDATE", changed, "what is said of an erasure stands"),
    }  # fmt: skip


def sqlite_triggers() -> dict[str, str]:
    """Return the name and the CREATE TRIGGER statement of every trigger of a SQLite database."""
    triggers = {}
    for table, keys in APPEND_ONLY.items():
        for event, unless in (("delete", ERASABLE.get(table)), ("update", BLANKED.get(table))):
            when = "" if unless is None else f"WHEN NOT EXISTS ({unless}) "
            triggers[f"{table}_no_{event}"] = (
                f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} {when}"
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        if keys:
            taken = " OR ".join(_exists(table, key) for key in keys)
            triggers[f"{table}_no_replace"] = (
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: exists already'); END"
            )
    for name, (table, event, refuses, said) in order_rules("IS NOT").items():
        triggers[name] = (
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {refuses} BEGIN SELECT RAISE(ABORT, '{said}'); END"
        )
    return triggers


def _exists(table: str, key: tuple[str, ...]) -> str:
    equal = " AND ".join(f"{_quoted(column)} = NEW.{_quoted(column)}" for column in key)
    return f"EXISTS (SELECT 1 FROM {table} WHERE {equal})"  # noqa: S608 - the names are constants of this file


def _quoted(column: str) -> str:
    # The only column name that is a reserved word of SQL.
    return '"by"' if column == "by" else column
