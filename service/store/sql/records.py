"""The base class of every group of records: it has the session for reading and writing."""

from uuid import UUID

from notifications.errors import NotFoundError, VersionMismatchError
from service.store.sql.session import Session


class Records:
    """Base of the groups of records that make up the repositories of a transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _changed(self, kind: str) -> None:
        """Record that things of a kind changed."""
        self._session.changed.add(kind)

    def _number(self, statement: str) -> int:
        """Return the number that a statement gives; 0 where it gives none."""
        row = self._session.one(statement)
        return 0 if row is None or row[0] is None else int(row[0])

    def _replace(
        self,
        kind: str,
        identifier: UUID,
        expected: int,
        following: int,
        version_statement: str,
        update_statement: str,
        values: tuple[object, ...],
    ) -> None:
        """Update a record at its expected version.

        The update takes ``values``, the new version, the id and the expected version. Raises VersionMismatchError,
        NotFoundError, and ValueError if the new version is not the expected version plus one.
        """
        if following != expected + 1:
            raise ValueError(f"version {following} of {kind} {identifier} does not follow {expected}")
        cursor = self._session.execute(update_statement, (*values, following, identifier.bytes, expected))
        if cursor.rowcount != 1:
            current = self._session.one(version_statement, (identifier.bytes,))
            if current is None:
                raise NotFoundError(kind, identifier)
            raise VersionMismatchError(kind, identifier, expected, current[0])
