"""Sessions, links, pending sign-ins, throttles."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from service.ports.sessions import Link, PendingSignIn, Session, Throttle
from service.store.sql.encoding import to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text
from service.store.tables import LinkRow, PendingSignInRow, SessionRow, ThrottleRow

_SESSIONS = FlatTable(Session, SessionRow)
_LINKS, _PENDING, _THROTTLES = (
    FlatTable(Link, LinkRow), FlatTable(PendingSignIn, PendingSignInRow), FlatTable(Throttle, ThrottleRow),
)  # fmt: skip

_SESSION, _SESSIONS_OF = _SESSIONS.by("digest"), _SESSIONS.by("account_id", ordered=True)
_TOUCH_SESSION = _SESSIONS.update("last_seen_at")
_END_SESSION = compiled_text("DELETE FROM sessions WHERE id = :id", "id")
_END_SESSIONS = compiled_text("DELETE FROM sessions WHERE account_id = :account_id AND id != :but", "account_id", "but")
_LINK = _LINKS.by("digest")
_USE_LINK = compiled_text("UPDATE links SET used_at = :used_at WHERE id = :id AND used_at IS NULL", "used_at", "id")
_DROP_LINKS = compiled_text(
    "DELETE FROM links WHERE subject_id = :subject_id AND purpose = :purpose AND used_at IS NULL",
    "subject_id", "purpose",
)  # fmt: skip
_PENDING_BY_DIGEST = _PENDING.by("digest")
_REMOVE_PENDING = compiled_text("DELETE FROM pending_sign_ins WHERE id = :id", "id")
_THROTTLE, _SAVE_THROTTLE = _THROTTLES.by("key"), _THROTTLES.upsert("key")
_CLEAR_THROTTLE = compiled_text("DELETE FROM throttles WHERE key = :key", "key")
_PURGES = tuple(
    compiled_text(f"DELETE FROM {name} WHERE {column} <= :now", "now")  # noqa: S608 - the names are constants in the next line
    for name, column in (("sessions", "expires_at"), ("links", "expires_at"), ("pending_sign_ins", "expires_at"))
)
_PURGE_THROTTLES = compiled_text("DELETE FROM throttles WHERE retry_at <= :before", "before")
_THROTTLES_KEPT = timedelta(days=1)


class SessionRecords(Records):
    """Implements ``service.ports.sessions.SessionRepository``."""

    def add(self, session: Session) -> None:
        """Store a new session."""
        self._session.execute(_SESSIONS.insert, _SESSIONS.values(session))
        self._changed("access")

    def get(self, digest: bytes) -> Session | None:
        """Return the session of a cookie, expired or not."""
        row = self._session.one(_SESSION, (digest,))
        return None if row is None else _SESSIONS.record(row)

    def of_account(self, account_id: UUID) -> Sequence[Session]:
        """Return the sessions of an account."""
        return [_SESSIONS.record(row) for row in self._session.all(_SESSIONS_OF, (account_id.bytes,))]

    def touch(self, session_id: UUID, at: datetime) -> None:
        """Record that the session was used."""
        self._session.execute(_TOUCH_SESSION, (to_microseconds(at), session_id.bytes))

    def end(self, session_id: UUID) -> None:
        """End a session."""
        self._session.execute(_END_SESSION, (session_id.bytes,))
        self._changed("access")

    def end_all(self, account_id: UUID, *, but: UUID | None = None) -> int:
        """End every session of an account, but one if it is named; returns how many."""
        cursor = self._session.execute(_END_SESSIONS, (account_id.bytes, b"" if but is None else but.bytes))
        self._changed("access")
        return cursor.rowcount

    def add_link(self, link: Link) -> None:
        """Store a single-use link."""
        self._session.execute(_LINKS.insert, _LINKS.values(link))
        self._changed("access")

    def link(self, digest: bytes) -> Link | None:
        """Return the link, used or not."""
        row = self._session.one(_LINK, (digest,))
        return None if row is None else _LINKS.record(row)

    def use_link(self, link_id: UUID, at: datetime) -> bool:
        """Mark a link as used; returns False if it was used before."""
        self._changed("access")
        return bool(self._session.execute(_USE_LINK, (to_microseconds(at), link_id.bytes)).rowcount)

    def drop_links(self, purpose: str, subject_id: UUID) -> None:
        """Delete the unused links of a purpose for an account or contact."""
        self._session.execute(_DROP_LINKS, (subject_id.bytes, purpose))
        self._changed("access")

    def add_pending(self, pending: PendingSignIn) -> None:
        """Store a pending sign-in."""
        self._session.execute(_PENDING.insert, _PENDING.values(pending))

    def pending(self, digest: bytes) -> PendingSignIn | None:
        """Return a pending sign-in, expired or not."""
        row = self._session.one(_PENDING_BY_DIGEST, (digest,))
        return None if row is None else _PENDING.record(row)

    def remove_pending(self, pending_id: UUID) -> bool:
        """End a pending sign-in; returns True to exactly one caller."""
        return bool(self._session.execute(_REMOVE_PENDING, (pending_id.bytes,)).rowcount)

    def throttle(self, key: bytes) -> Throttle | None:
        """Return the throttle of a key."""
        row = self._session.one(_THROTTLE, (key,))
        return None if row is None else _THROTTLES.record(row)

    def save_throttle(self, throttle: Throttle) -> None:
        """Store or replace a throttle."""
        self._session.execute(_SAVE_THROTTLE, _THROTTLES.values(throttle))

    def clear_throttle(self, key: bytes) -> None:
        """Delete the throttle of a key."""
        self._session.execute(_CLEAR_THROTTLE, (key,))

    def purge(self, now: datetime) -> int:
        """Delete expired sessions, links, pending sign-ins, and throttles a day after ``retry_at``; return how many."""
        count = sum(self._session.execute(statement, (to_microseconds(now),)).rowcount for statement in _PURGES)
        count += self._session.execute(_PURGE_THROTTLES, (to_microseconds(now - _THROTTLES_KEPT),)).rowcount
        if count:
            self._changed("access")
        return count
