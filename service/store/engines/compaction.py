"""Rewrite PostgreSQL's files after an erasure, so that they contain nothing of the deleted rows.

A plain VACUUM only marks the space as free, and the bytes stay. Only rewriting a table removes them.
"""

from time import monotonic
from typing import Any

import psycopg
from psycopg import sql

from notifications.errors import StoreUnavailableError

#: Tables that an erasure deletes from or changes.
COMPACTED = (
    "accounts", "acknowledgements", "agreement_bindings", "alerts", "announced_customers",
    "api_tokens", "audit_openings", "call_records",
    "call_tasks", "contacts", "customer_salts", "customer_submissions", "customers", "decisions", "deliveries",
    "delivery_attempts", "duty_assessments", "erasure_orders", "escalations", "external_identities",
    "facts_excerpts", "feedback", "grants",
    "inbox_items", "incident_facts",
    "legal_profiles", "letter_tasks",
    "links", "membership_offers", "notice_openings", "notice_pdfs", "notice_subjects", "notices",
    "owed_evidence", "passkeys", "passwords", "pending_sign_ins", "profiles", "questions", "reachability_checks",
    "recovery_codes", "report_drafts", "report_pdfs",
    "resource_lookups", "resources", "returned_messages", "seal_proofs", "seal_timestamps", "sealed_notices",
    "search_documents", "sent_messages", "service_mails", "sessions", "shared_timestamps", "stored_responses", "totps",
    "webhook_endpoints", "webhook_secrets",
)  # fmt: skip
_NOT_OWNED = (
    "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r' "
    "AND relnamespace = current_schema::regnamespace AND NOT pg_has_role(current_user, relowner, 'USAGE') ORDER BY 1"
)
#: Longest wait for the lock of a table. Readers of the table queue behind this wait.
_LOCK_SECONDS = 30
#: What keeps rows that were deleted before a transaction: sessions of this database, standbys and replication slots
#: with an older snapshot, and an older transaction in any database, also a prepared one. While that one runs, each new
#: snapshot is as old as it is.
_OLDER = (
    "SELECT (SELECT count(*) FROM pg_stat_activity WHERE (datname = current_database() OR backend_type = 'walsender')"
    " AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND age(backend_xmin) > age(deleted.xid))"
    " + (SELECT count(*) FROM pg_replication_slots WHERE xmin IS NOT NULL AND age(xmin) > age(deleted.xid))"
    " + (pg_snapshot_xmin(pg_current_snapshot()) < deleted.at)::int"
    " FROM (SELECT %(at)s::xid8 AS at, (%(at)s::xid8)::xid AS xid) AS deleted"
)
_POLL = "SELECT pg_sleep(0.05)"


def _wait_for_older_transactions(server: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Wait until no transaction is from before the erasure: VACUUM FULL keeps the rows that one can still read.

    Raises StoreUnavailableError after ``_LOCK_SECONDS``.
    """
    (now,) = server.execute("SELECT pg_current_xact_id()::text").fetchone() or ("",)
    end = monotonic() + _LOCK_SECONDS
    while server.execute(_OLDER, {"at": now}).fetchone() != (0,):
        if monotonic() > end:
            raise StoreUnavailableError(
                "a session or a standby of the server still reads rows from before the erasure, or a transaction from"
                " before it is open in one of its databases: end it, or wait"
            )
        server.execute(_POLL)


def compact_postgresql(address: str) -> None:
    """Rewrite every table that an erasure changes; raises StoreUnavailableError if that fails.

    Only the owner of the tables may do this. Each table is locked while it is rewritten. The planner's samples of
    column values are taken again; for a superuser, the table of these samples is rewritten too. Not covered: the
    server's write-ahead log, its archives, and backups.
    """
    try:
        with psycopg.connect(
            address, autocommit=True, connect_timeout=5, application_name="greffier compacts"
        ) as server:
            others = [name for (name,) in server.execute(_NOT_OWNED, (list(COMPACTED),))]
            if others:
                raise StoreUnavailableError(
                    "only the owner of the tables can make their files anew: run greffier erasures compact as it"
                )
            server.execute("SET statement_timeout = 0")
            server.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(f"{_LOCK_SECONDS}s")))
            _wait_for_older_transactions(server)
            for table in COMPACTED:
                server.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(sql.Identifier(table)))
            row = server.execute("SELECT current_setting('is_superuser') = 'on'").fetchone()
            if row is not None and row[0]:
                server.execute("VACUUM (FULL) pg_statistic")
                server.execute("CHECKPOINT")
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise StoreUnavailableError(f"the tables could not be made anew: {said}") from error
