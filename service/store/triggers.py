"""Append-only by trigger: the engine itself refuses UPDATE and DELETE, whoever asks.

What may be erased (salts, openings) and what has a state (incidents, notices, deliveries) is not listed.
"""

#: Tables that only grow, in alphabetical order.
APPEND_ONLY = (
    "agreement_bindings",
    "audit_entries",
    "audit_subjects",
    "decisions",
    "delivery_attempts",
    "inbox_items",
    "incident_facts",
    "log_checkpoints",
    "log_leaves",
    "log_nodes",
    "profiles",
    "seal_proofs",
    "seal_timestamps",
    "sealed_notices",
    "sent_messages",
)

_EVENTS = ("delete", "update")


def trigger_names() -> set[str]:
    """Return the names of all triggers that must be there."""
    return {f"{table}_no_{event}" for table in APPEND_ONLY for event in _EVENTS}


def sqlite_triggers(tables: tuple[str, ...] = APPEND_ONLY) -> list[str]:
    """Return the statements that create the triggers of the tables on SQLite."""
    return [
        f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in tables
        for event in _EVENTS
    ]
