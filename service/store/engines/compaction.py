"""Making PostgreSQL's files anew after an erasure, so that nothing of deleted rows is left in them.

A plain VACUUM gives space back for use and leaves the bytes; only a table that is written anew is without them.
"""

import psycopg
from psycopg import sql

from notifications.errors import StoreUnavailableError

#: Tables that an erasure deletes from or changes.
COMPACTED = (
    "accounts", "acknowledgements", "agreement_bindings", "alerts", "api_tokens", "audit_openings", "call_records",
    "call_tasks", "contacts", "customer_salts", "customers", "decisions", "deliveries", "delivery_attempts",
    "erasure_orders", "escalations", "external_identities", "grants", "inbox_items", "incident_facts", "links",
    "notice_openings", "notices", "owed_evidence", "passkeys", "passwords", "pending_sign_ins", "profiles",
    "reachability_checks", "recovery_codes", "returned_messages", "seal_proofs", "seal_timestamps", "sealed_notices",
    "sent_messages", "service_mails", "sessions", "stored_responses", "totps", "webhook_endpoints", "webhook_secrets",
)  # fmt: skip
_NOT_OWNED = (
    "SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r' "
    "AND relnamespace = current_schema::regnamespace AND NOT pg_has_role(current_user, relowner, 'USAGE') ORDER BY 1"
)
#: So long a table is waited for; whoever reads it meanwhile waits behind.
_LOCK_SECONDS = 30


def compact_postgresql(address: str) -> None:
    """Write anew every table that an erasure touches; raises StoreUnavailableError where that cannot be done.

    Only the owner of the tables may. One table after the other is locked while it is written. What the server samples
    for its planner is sampled anew; a superuser's compaction rewrites the samples too. Not reached: the server's
    write-ahead log, archives of it, backups.
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
            for table in COMPACTED:
                server.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(sql.Identifier(table)))
            row = server.execute("SELECT current_setting('is_superuser') = 'on'").fetchone()
            if row is not None and row[0]:
                server.execute("VACUUM (FULL) pg_statistic")
                server.execute("CHECKPOINT")
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise StoreUnavailableError(f"the tables could not be made anew: {said}") from error
