"""API tokens."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service.ports.tokens import ApiToken
from service.store.sql.encoding import to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text
from service.store.tables import ApiTokenRow

_TOKENS = FlatTable(ApiToken, ApiTokenRow)

_TOKEN, _TOKENS_OF = _TOKENS.by("digest"), _TOKENS.by("account_id", ordered=True)
_TOUCH_TOKEN = _TOKENS.update("last_used_at")
_REVOKE_TOKEN = compiled_text(
    "UPDATE api_tokens SET revoked_at = :revoked_at WHERE id = :id AND revoked_at IS NULL", "revoked_at", "id"
)


class TokenRecords(Records):
    """Implements ``service.ports.tokens.TokenRepository``."""

    def add(self, token: ApiToken) -> None:
        """Store a token."""
        self._session.execute(_TOKENS.insert, _TOKENS.values(token))
        self._changed("access")

    def get(self, digest: bytes) -> ApiToken | None:
        """Return the token by its digest, whatever its state."""
        row = self._session.one(_TOKEN, (digest,))
        return None if row is None else _TOKENS.record(row)

    def of_account(self, account_id: UUID) -> Sequence[ApiToken]:
        """Return the tokens of an account, revoked ones too."""
        return [_TOKENS.record(row) for row in self._session.all(_TOKENS_OF, (account_id.bytes,))]

    def touch(self, token_id: UUID, at: datetime) -> None:
        """Record that the token was used."""
        self._session.execute(_TOUCH_TOKEN, (to_microseconds(at), token_id.bytes))

    def revoke(self, token_id: UUID, at: datetime) -> None:
        """Revoke a token; one that is revoked keeps its time."""
        self._session.execute(_REVOKE_TOKEN, (to_microseconds(at), token_id.bytes))
        self._changed("access")
