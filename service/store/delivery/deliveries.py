"""Deliveries, their attempts, messages as sent, and the console inbox."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text

from notifications.delivery.delivery import (
    ChannelKind,
    Delivery,
    DeliveryAttempt,
    DeliveryCause,
    DeliveryState,
    Outcome,
    turn_of,
)
from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError
from notifications.ports import InboxItem, Page
from service.store.sql.encoding import (
    JsonCodec,
    from_microseconds,
    from_optional_bytes,
    from_optional_microseconds,
    to_microseconds,
    to_optional_bytes,
    to_optional_microseconds,
)
from service.store.sql.paging import LAST, Shape, extent_values, paged, shapes_of, start_of, within_extents
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, insert_of, limited
from service.store.tables import (
    DeliveryAttemptRow,
    DeliveryRow,
    InboxItemRow,
    NoticeRow,
    SentMessageRow,
    table,
)

_OUTCOME: JsonCodec[Outcome] = JsonCodec(Outcome)

_deliveries, _attempts, _messages = table(DeliveryRow).c, table(DeliveryAttemptRow).c, table(SentMessageRow).c
_notices, _inbox = table(NoticeRow).c, table(InboxItemRow).c

#: The columns of a delivery, in the order of its fields; also read together with a lease.
DELIVERY = (
    _deliveries.id, _deliveries.notice_id, _deliveries.customer_id, _deliveries.channel, _deliveries.contact_id,
    _deliveries.message_id, _deliveries.state, _deliveries.attempts, _deliveries.next_attempt_at,
    _deliveries.last_error, _deliveries.created_at, _deliveries.endpoint_id, _deliveries.cause, _deliveries.sent_at,
    _deliveries.lane, _deliveries.too_large_at,
)  # fmt: skip
_ATTEMPT = (
    _attempts.id, _attempts.delivery_id, _attempts.number, _attempts.started_at, _attempts.ended_at,
    _attempts.outcome, _attempts.evidence_event, _attempts.message_sha256,
)  # fmt: skip

_INSERT_DELIVERY = insert_of(DeliveryRow, "leased_until")
# The notice's deadline is copied, so that one index has the order of the queue; the turn counts earlier deliveries.
_PLACE_OF_NOTICE = compiled_text(
    "SELECT due_at, (SELECT count(*) FROM deliveries WHERE notice_id = notices.id) FROM notices WHERE id = :id", "id"
)
_INSERT_ATTEMPT, _INSERT_MESSAGE = insert_of(DeliveryAttemptRow), insert_of(SentMessageRow)
_OF_NOTICE = compiled(
    select(*DELIVERY).where(_deliveries.notice_id == bindparam("notice_id")).order_by(_deliveries.position),
    "notice_id",
)
_TROUBLED = limited(
    select(*DELIVERY)
    .where(text("deliveries.last_error IS NOT NULL"))  # as in the index, so that it is used
    .order_by(_deliveries.due_at, _deliveries.position)
)
_BY_ID = compiled(select(*DELIVERY).where(_deliveries.id == bindparam("id")), "id")
_FINISH = compiled_text(
    "UPDATE deliveries SET state = :state, attempts = :attempts, next_attempt_at = :next_attempt_at,"
    " last_error = :last_error, sent_at = :sent_at, too_large_at = :too_large_at, leased_until = NULL"
    " WHERE id = :id AND attempts = :expected",
    "state", "attempts", "next_attempt_at", "last_error", "sent_at", "too_large_at", "id", "expected",
)  # fmt: skip
# The same statement with its parameters as rows of a list named ``given``.
_FINISH_GIVEN = (
    "UPDATE deliveries SET state = given.column1, attempts = given.column2,"
    " next_attempt_at = CAST(given.column3 AS BIGINT), last_error = given.column4,"
    " sent_at = CAST(given.column5 AS BIGINT), too_large_at = CAST(given.column6 AS BIGINT), leased_until = NULL"
    " FROM given WHERE deliveries.id = given.column7 AND deliveries.attempts = given.column8"
)
_COUNTED = compiled_text("SELECT attempts FROM deliveries WHERE id = :id", "id")
_ATTEMPTS = compiled(
    select(*_ATTEMPT).where(_attempts.delivery_id == bindparam("delivery_id")).order_by(_attempts.number),
    "delivery_id",
)
_LAST_MESSAGE = limited(
    select(_messages.content)
    .where(_messages.delivery_id == bindparam("delivery_id"))
    .order_by(_messages.number.desc()),
    "delivery_id",
)
_PLACE = compiled_text(
    "INSERT INTO inbox_items (notice_id, customer_id, placed_at) SELECT :notice_id, :customer_id, :placed_at"
    " WHERE NOT EXISTS (SELECT 1 FROM inbox_items WHERE notice_id = :placed)",
    "notice_id", "customer_id", "placed_at", "placed",
)  # fmt: skip


@lru_cache(maxsize=64)
def _inbox_statement(shapes: tuple[Shape, ...] | None) -> str:
    """Return the statement of a page of an inbox, by the shapes of its extents. What is placed there was served."""
    statement = (
        select(_inbox.position, _inbox.notice_id, _inbox.customer_id, _inbox.placed_at)
        .where(_inbox.customer_id == bindparam("customer_id"), _inbox.position < bindparam("before"))
        .order_by(_inbox.position.desc())
    )
    if shapes is None:
        return limited(statement, "customer_id", "before")
    covered, names = within_extents(
        shapes, at=_inbox.placed_at, customer_id=_inbox.customer_id, served=_inbox.placed_at.is_not(None)
    )
    return limited(statement.where(covered), "customer_id", "before", *names)


def delivery_of_row(*row: Any) -> Delivery:
    """Return the delivery of a row, in the order of ``DELIVERY``."""
    (
        id_bytes, notice_id, customer_id, channel, contact_id, message_id, state, attempts, next_attempt_at,
        last_error, created_at, endpoint_id, cause, sent_at, destination, too_large_at,
    ) = row  # fmt: skip
    return Delivery(
        id=UUID(bytes=id_bytes),
        notice_id=UUID(bytes=notice_id),
        customer_id=UUID(bytes=customer_id),
        channel=ChannelKind(channel),
        contact_id=from_optional_bytes(contact_id),
        message_id=message_id,
        state=DeliveryState(state),
        attempts=attempts,
        next_attempt_at=from_optional_microseconds(next_attempt_at),
        last_error=last_error,
        created_at=from_microseconds(created_at),
        endpoint_id=from_optional_bytes(endpoint_id),
        cause=DeliveryCause(cause),
        sent_at=from_optional_microseconds(sent_at),
        destination=destination,
        too_large_at=from_optional_microseconds(too_large_at),
    )


def _attempt_of_row(row: tuple[Any, ...]) -> DeliveryAttempt:
    id_bytes, delivery_id, number, started_at, ended_at, outcome, evidence_event, message_sha256 = row
    return DeliveryAttempt(
        id=UUID(bytes=id_bytes),
        delivery_id=UUID(bytes=delivery_id),
        number=number,
        started_at=from_microseconds(started_at),
        ended_at=from_microseconds(ended_at),
        outcome=_OUTCOME.decode(outcome),
        evidence_event=evidence_event,
        message_sha256=message_sha256,
    )


def _inbox_item_of_row(*row: Any) -> InboxItem:
    notice_id, customer_id, placed_at = row
    return InboxItem(UUID(bytes=notice_id), UUID(bytes=customer_id), from_microseconds(placed_at))


class DeliveryRecords(Records):
    """Deliveries, attempts and the inbox; leases are in ``leases``."""

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Queue deliveries."""
        places: dict[UUID, tuple[int, Iterator[int]]] = {}
        rows = []
        for delivery in deliveries:
            if delivery.notice_id not in places:
                places[delivery.notice_id] = self._place(delivery.notice_id)
            due_at, turns = places[delivery.notice_id]
            rows.append((
                delivery.id.bytes,
                delivery.notice_id.bytes,
                delivery.customer_id.bytes,
                delivery.channel.value,
                to_optional_bytes(delivery.contact_id),
                delivery.message_id,
                delivery.state.value,
                delivery.attempts,
                to_optional_microseconds(delivery.next_attempt_at),
                delivery.last_error,
                to_microseconds(delivery.created_at),
                to_optional_bytes(delivery.endpoint_id),
                delivery.cause.value,
                to_optional_microseconds(delivery.sent_at),
                delivery.destination,
                due_at,
                next(turns),
                to_optional_microseconds(delivery.too_large_at),
            ))  # fmt: skip
        if rows:
            self._session.execute_many(_INSERT_DELIVERY, rows)
            self._changed("deliveries")

    def _place(self, notice_id: UUID) -> tuple[int, Iterator[int]]:
        """Return the deadline of a notice and the turns of its next deliveries."""
        row = self._session.one(_PLACE_OF_NOTICE, (notice_id.bytes,))
        if row is None:
            raise StateConflictError(f"notice {notice_id} does not exist")
        return row[0], map(turn_of, count(row[1]))

    def get(self, delivery_id: UUID) -> Delivery | None:
        """Return the delivery."""
        row = self._session.one(_BY_ID, (delivery_id.bytes,))
        return None if row is None else delivery_of_row(*row)

    def of_notice(self, notice_id: UUID) -> Sequence[Delivery]:
        """Return the deliveries of a notice, in creation order."""
        return [delivery_of_row(*row) for row in self._session.all(_OF_NOTICE, (notice_id.bytes,))]

    def troubled(self, limit: int) -> Sequence[Delivery]:
        """Return deliveries whose last attempt failed, nearest notice ``due_at`` first."""
        return [delivery_of_row(*row) for row in self._session.all(_TROUBLED, (limit,))]

    def finish_attempt(self, delivery: Delivery, attempt: DeliveryAttempt, message: bytes | None) -> None:
        """Record the attempt, the bytes as sent and the delivery's new state; raises VersionMismatchError."""
        self.finish_attempts([(delivery, attempt, message)])

    def finish_attempts(self, finished: Sequence[tuple[Delivery, DeliveryAttempt, bytes | None]]) -> None:
        """Like ``finish_attempt`` for each of them, with few statements."""
        self._replace_states([(delivery, attempt.number - 1) for delivery, attempt, _ in finished])
        self._session.execute_many(
            _INSERT_ATTEMPT,
            [
                (
                    attempt.id.bytes,
                    attempt.delivery_id.bytes,
                    attempt.number,
                    to_microseconds(attempt.started_at),
                    to_microseconds(attempt.ended_at),
                    _OUTCOME.encode(attempt.outcome),
                    attempt.evidence_event,
                    attempt.message_sha256,
                )
                for _, attempt, _ in finished
            ],
        )
        sent = [(item.id.bytes, attempt.number, message) for item, attempt, message in finished if message is not None]
        self._session.execute_many(_INSERT_MESSAGE, sent)
        self._changed("deliveries")

    def save(self, delivery: Delivery, expected_attempts: int) -> None:
        """Replace the state of the delivery without an attempt; raises VersionMismatchError."""
        self._replace_states([(delivery, expected_attempts)])
        self._changed("deliveries")

    def _replace_states(self, changes: Sequence[tuple[Delivery, int]]) -> None:
        """Replace the state of deliveries; raises for the first whose number of attempts is not the expected one."""
        values = [
            (
                delivery.state.value,
                delivery.attempts,
                to_optional_microseconds(delivery.next_attempt_at),
                delivery.last_error,
                to_optional_microseconds(delivery.sent_at),
                to_optional_microseconds(delivery.too_large_at),
                delivery.id.bytes,
                expected_attempts,
            )
            for delivery, expected_attempts in changes
        ]
        if self._session.update_many(_FINISH, _FINISH_GIVEN, values) == len(values):
            return
        # Find one that was not replaced. Replaced ones have the new count now, but the whole job is rolled back anyway.
        for delivery, expected_attempts in changes:
            row = self._session.one(_COUNTED, (delivery.id.bytes,))
            if row is None:
                raise NotFoundError("delivery", delivery.id)
            if row[0] != delivery.attempts:
                raise VersionMismatchError("delivery", delivery.id, expected_attempts, row[0])
        raise VersionMismatchError("delivery", changes[0][0].id, changes[0][1], changes[0][0].attempts)

    def attempts(self, delivery_id: UUID) -> Sequence[DeliveryAttempt]:
        """Return the attempts of a delivery, in order."""
        return [_attempt_of_row(row) for row in self._session.all(_ATTEMPTS, (delivery_id.bytes,))]

    def message_sent(self, delivery_id: UUID) -> bytes | None:
        """Return the bytes of the last message that was sent, or None."""
        row = self._session.one(_LAST_MESSAGE, (delivery_id.bytes, 1))
        return None if row is None else row[0]

    def add_inbox_item(self, item: InboxItem) -> None:
        """Put a notice into the console inbox; does nothing if it is there already."""
        self._session.execute(
            _PLACE,
            (item.notice_id.bytes, item.customer_id.bytes, to_microseconds(item.placed_at), item.notice_id.bytes),
        )
        self._changed("deliveries")

    def inbox(self, customer_id: UUID, page: Page) -> tuple[list[InboxItem], str | None]:
        """Return the console inbox of a customer, newest first."""
        before = start_of("inbox", page, LAST)
        values = (customer_id.bytes, before, *extent_values(page), page.limit + 1)
        rows = self._session.all(_inbox_statement(shapes_of(page)), values)
        return paged("inbox", page, rows, _inbox_item_of_row)
