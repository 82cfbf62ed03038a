"""The role split on PostgreSQL: the owner migrates, the application's role cannot rewrite what only grows."""

import psycopg
from psycopg import sql

from notifications.errors import Fault, InvalidInputError, StoreUnavailableError
from service.store.engines.triggers import APPEND_ONLY, BLANKED, ERASABLE
from service.store.tables import metadata

#: Erased one by one when a customer's data is, and else never.
_ERASED = frozenset({"audit_openings", "customer_salts"})


def grant_application_role(owner_address: str, role: str) -> None:
    """Grant a role what the service needs, and nothing else; run by the owner after each migration.

    It may read and insert everywhere, change and delete where rows have a state, and never change, delete or truncate
    what is append-only: the server itself refuses, whatever a trigger says. Rows that go with their customer it may
    delete; triggers refuse any whose erasure has not begun. Nothing of the log is among them. Raises InvalidInputError
    for a role that does not exist, is the owner or a superuser; StoreUnavailableError where the server cannot.
    """
    try:
        with psycopg.connect(owner_address, connect_timeout=5) as connection:
            _verify_role(connection, role)
            name = sql.Identifier(role)
            run = connection.execute
            run(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
            run(sql.SQL("GRANT SELECT ON alembic_version TO {}").format(name))
            for table in sorted(metadata.tables):
                rights = ["SELECT", "INSERT"]
                if table in _ERASED or table in ERASABLE:
                    rights += ["DELETE"]
                elif table in BLANKED:
                    rights += ["UPDATE"]
                elif table not in APPEND_ONLY:
                    rights += ["UPDATE", "DELETE"]
                on = sql.Identifier(table)
                # What an earlier release granted beyond this is taken back.
                run(sql.SQL("REVOKE ALL ON {} FROM {}").format(on, name))
                run(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(", ".join(rights)), on, name))
            run(sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(name))
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise StoreUnavailableError(f"the role {role} cannot be granted its rights: {said}") from error


def _verify_role(connection: psycopg.Connection[tuple[object, ...]], role: str) -> None:
    row = connection.execute(
        "SELECT rolsuper OR rolname = current_user FROM pg_roles WHERE rolname = %s", (role,)
    ).fetchone()
    if row is None:
        raise InvalidInputError(Fault("database.role", f"there is no role {role}"))
    if row[0]:
        raise InvalidInputError(Fault("database.role", "must be neither the owner nor a superuser: it could do all"))
