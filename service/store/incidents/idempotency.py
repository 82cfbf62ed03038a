"""Responses stored by idempotency key, in the same transaction as the change that they answer."""

from datetime import datetime

from sqlalchemy import bindparam, select

from notifications.ports import StoredResponse
from service.store.sql.encoding import JsonCodec, to_microseconds
from service.store.sql.records import Records
from service.store.sql.statements import compiled, insert_of
from service.store.tables import StoredResponseRow, table

_HEADERS: JsonCodec[tuple[tuple[str, str], ...]] = JsonCodec(tuple[tuple[str, str], ...])

_responses = table(StoredResponseRow).c
_INSERT = insert_of(StoredResponseRow)
_BY_KEY = compiled(
    select(_responses.fingerprint, _responses.status, _responses.body, _responses.headers).where(
        _responses.key == bindparam("key")
    ),
    "key",
)


class ResponseRecords(Records):
    """Stored responses."""

    def get(self, key: str) -> StoredResponse | None:
        """Return the answer recorded under the key, or None."""
        row = self._session.one(_BY_KEY, (key,))
        if row is None:
            return None
        fingerprint, status, body, headers = row
        return StoredResponse(fingerprint, status, body, _HEADERS.decode(headers))

    def add(self, key: str, response: StoredResponse, at: datetime) -> None:
        """Record the answer under the key."""
        self._session.execute(
            _INSERT,
            (
                key,
                response.fingerprint,
                response.status,
                response.body,
                _HEADERS.encode(response.headers),
                to_microseconds(at),
            ),
        )
