"""The role split on PostgreSQL: the owner migrates, the application's role cannot rewrite what only grows."""

import psycopg
from psycopg import sql

from notifications.errors import Fault, InvalidInputError, StoreUnavailableError
from service.store.engines.triggers import APPEND_ONLY, BLANKED, ERASABLE
from service.store.tables import metadata

#: Tables whose rows are deleted only by the erasure of a customer, one by one.
_ERASED = frozenset({"audit_openings", "customer_salts"})


def grant_application_role(owner_address: str, role: str) -> None:
    """Grant a role only the rights that the service needs; run by the owner after each migration.

    The role may read and insert everywhere, and may change and delete rows that have a state. It may never change,
    delete or truncate append-only tables: the server refuses this, independent of triggers. It may delete rows that are
    erased with their customer, none of them of the log; triggers refuse this before the erasure has begun. Raises
    InvalidInputError if the role does not exist, is the owner or a superuser; StoreUnavailableError if it fails.
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
                # Rights that an earlier release granted in addition are revoked.
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
