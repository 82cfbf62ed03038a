"""Append-only by trigger: the engine itself refuses UPDATE, DELETE and REPLACE, whoever asks.

What may be erased (salts, openings) and what has a state (incidents, notices, deliveries) is not listed.
"""

#: Tables that only grow, and what identifies a row: every key by which REPLACE could push an older row out.
#: ``audit_subjects`` has none to guard, because all its columns are the key.
APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "acknowledgements": (("position",), ("id",), ("notice_id", "by")),
    "agreement_bindings": (("position",),),
    "audit_entries": (("position",), ("id",)),
    "audit_subjects": (),
    "call_records": (("position",), ("id",)),
    "checkpoint_cosignatures": (("size", "witness"),),
    "checkpoint_timestamps": (("size",),),
    "decisions": (("position",), ("id",)),
    "delivery_attempts": (("position",), ("id",), ("delivery_id", "number")),
    "inbox_items": (("position",), ("notice_id",)),
    "incident_facts": (("incident_id", "version"),),
    "log_checkpoints": (("size",),),
    "log_leaves": (("leaf_index",), ("position",)),
    "log_nodes": (("level", "node_index"),),
    "notice_openings": (("position",), ("notice_id", "by")),
    "profiles": (("position",), ("id",), ("customer_id", "version")),
    "reachability_checks": (("position",), ("id",)),
    "returned_messages": (("position",), ("id",)),
    "seal_proofs": (("notice_id",),),
    "seal_timestamps": (("notice_id",),),
    "sealed_notices": (("position",), ("notice_id",)),
    "sent_messages": (("delivery_id", "number"),),
}


def sqlite_triggers() -> dict[str, str]:
    """Return name to CREATE TRIGGER statement, as they must stand in a SQLite database."""
    triggers = {}
    for table, keys in APPEND_ONLY.items():
        for event in ("delete", "update"):
            triggers[f"{table}_no_{event}"] = (
                f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        if keys:
            taken = " OR ".join(_exists(table, key) for key in keys)
            triggers[f"{table}_no_replace"] = (
                f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: exists already'); END"
            )
    return triggers


def _exists(table: str, key: tuple[str, ...]) -> str:
    equal = " AND ".join(f"{_quoted(column)} = NEW.{_quoted(column)}" for column in key)
    return f"EXISTS (SELECT 1 FROM {table} WHERE {equal})"  # noqa: S608 - the names stand in this file


def _quoted(column: str) -> str:
    # The one name among them that SQL keeps for itself.
    return '"by"' if column == "by" else column
