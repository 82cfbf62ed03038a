"""The in-memory repositories for deliveries, escalation and webhooks."""

from dataclasses import replace

from notifications.delivery.call_task import CallTaskState
from notifications.delivery.delivery import DeliveryState, turn_of
from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError, required
from notifications.ports import DueDelivery
from support.memory_records import MemoryRepository, of, page_of, within


class MemoryDeliveries(MemoryRepository):
    def add(self, deliveries):
        self._writing()
        for delivery in deliveries:
            self._writing("deliveries")
            self._refer(self._records.notices, delivery.notice_id)
            self._refer(self._records.customers, delivery.customer_id)
            if delivery.contact_id is not None:
                self._refer(self._records.contacts, delivery.contact_id)
            if delivery.endpoint_id is not None:
                self._refer(self._records.endpoints, delivery.endpoint_id)
            self._records.turns[delivery.id] = turn_of(len(self.of_notice(delivery.notice_id)))
            self._add(self._records.deliveries, delivery.id, delivery)

    def get(self, delivery_id):
        return self._records.deliveries.get(delivery_id)

    def of_notice(self, notice_id):
        return [item for item in self._records.deliveries.values() if item.notice_id == notice_id]

    def troubled(self, limit):
        troubled = [item for item in self._records.deliveries.values() if item.last_error is not None]
        return sorted(troubled, key=lambda item: self._records.notices[item.notice_id].due_at)[:limit]

    def lease(self, now, lease_until, limit, *, except_channels=(), except_destinations=()):
        self._writing()
        waiting = [
            item
            for item in self._records.deliveries.values()
            if item.state is DeliveryState.QUEUED
            and item.next_attempt_at is not None
            and item.next_attempt_at <= now
            and self._records.leases.get(item.id, now) <= now
            and item.notice_id in self._records.sealed
            and self._records.sealed[item.notice_id].log_proof is not None
            and item.channel not in except_channels
            and item.destination not in except_destinations
        ]
        turns = self._records.turns
        due = sorted(waiting, key=lambda item: (self._records.notices[item.notice_id].due_at, turns[item.id]))[:limit]
        earlier = {message_id for item in due for message_id in self._due(item).earlier_message_ids}
        due = [item for item in waiting if item.message_id in earlier and item not in due] + due
        for item in due:
            self._records.leases[item.id] = lease_until
        return [self._due(item) for item in due]

    def release_leases(self, delivery_ids):
        self._writing()
        for delivery_id in delivery_ids:
            self._records.leases.pop(delivery_id, None)

    def _due(self, delivery):
        notice = self._records.notices[delivery.notice_id]
        earlier = sorted(
            (
                (self._records.notices[item.notice_id].sequence, item.message_id)
                for item in self._records.deliveries.values()
                if delivery.contact_id is not None
                and item.contact_id == delivery.contact_id
                and item.channel == delivery.channel
                and self._records.notices[item.notice_id].incident_id == notice.incident_id
                and self._records.notices[item.notice_id].sequence < notice.sequence
            ),
            key=lambda pair: pair[0],
        )
        return DueDelivery(
            delivery=delivery,
            notice=notice,
            sealed=self._records.sealed[delivery.notice_id],
            customer=self._records.customers[delivery.customer_id],
            contact=None if delivery.contact_id is None else self._records.contacts[delivery.contact_id],
            earlier_message_ids=tuple(message_id for _, message_id in earlier),
            endpoint=self._records.endpoints.get(delivery.endpoint_id),
            secrets=() if delivery.endpoint_id is None else tuple(self._tx.webhooks.secrets(delivery.endpoint_id)),
        )

    def finish_attempt(self, delivery, attempt, message):
        self._writing("deliveries")
        self._stand(delivery, attempt.number - 1)
        self._add(self._records.attempts, (delivery.id, attempt.number), attempt)
        if message is not None:
            self._records.messages[delivery.id, attempt.number] = message

    def finish_attempts(self, finished):
        for delivery, attempt, message in finished:
            self.finish_attempt(delivery, attempt, message)

    def save(self, delivery, expected_attempts):
        self._writing("deliveries")
        self._stand(delivery, expected_attempts)

    def _stand(self, delivery, expected_attempts):
        stored = self._records.deliveries.get(delivery.id)
        if stored is None:
            raise NotFoundError("delivery", delivery.id)
        if stored.attempts != expected_attempts:
            raise VersionMismatchError("delivery", delivery.id, expected_attempts, stored.attempts)
        names = ("state", "attempts", "next_attempt_at", "last_error", "sent_at", "too_large_at")
        changed = {name: getattr(delivery, name) for name in names}
        self._records.deliveries[delivery.id] = replace(stored, **changed)
        self._records.leases.pop(delivery.id, None)

    def attempts(self, delivery_id):
        found = [item for (key, _), item in self._records.attempts.items() if key == delivery_id]
        return sorted(found, key=lambda item: item.number)

    def message_sent(self, delivery_id):
        numbers = [number for key, number in self._records.messages if key == delivery_id]
        return self._records.messages[delivery_id, max(numbers)] if numbers else None

    def add_inbox_item(self, item):
        self._writing("deliveries")
        self._refer(self._records.notices, item.notice_id)
        self._records.inbox.setdefault(item.notice_id, item)

    def inbox(self, customer_id, page):
        found = [item for item in self._records.inbox.values() if item.customer_id == customer_id]
        found = within(
            page,
            found,
            at=lambda item: item.placed_at,
            customer_id=lambda item: item.customer_id,
            served=lambda item: True,
        )
        return page_of("inbox", page, found, lambda item: item.notice_id, newest_first=True)

    def record_bounce(self, bounce):
        self._writing("returns")
        if bounce.delivery_id is not None:
            self._refer(self._records.deliveries, bounce.delivery_id)
        self._add(self._records.returned, bounce.id, bounce)

    def bounce(self, bounce_id):
        return self._records.returned.get(bounce_id)

    def bounces(self, delivery_id):
        return [item for item in self._records.returned.values() if item.delivery_id == delivery_id]

    def pause_channel(self, pause):
        self._writing("deliveries")
        self._records.pauses[pause.channel] = pause

    def resume_channel(self, channel):
        self._writing("deliveries")
        return self._records.pauses.pop(channel, None) is not None

    def channel_pauses(self):
        return sorted(self._records.pauses.values(), key=lambda item: item.channel.value)


class MemoryEscalations(MemoryRepository):
    def add(self, escalation):
        self._writing("escalations")
        self._refer(self._records.notices, escalation.notice_id)
        self._add(self._records.escalations, escalation.notice_id, escalation)

    def get(self, notice_id):
        return self._records.escalations.get(notice_id)

    def save(self, escalation, expected_version):
        self._writing("escalations")
        if escalation.version != expected_version + 1:
            raise ValueError(f"version {escalation.version} does not follow {expected_version}")
        stored = self._records.escalations.get(escalation.notice_id)
        if stored is None:
            raise NotFoundError("escalation", escalation.notice_id)
        if stored.version != expected_version:
            raise VersionMismatchError("escalation", escalation.notice_id, expected_version, stored.version)
        self._records.escalations[escalation.notice_id] = escalation

    def hasten(self, notice_id, at):
        self._writing("escalations")
        stored = self._records.escalations.get(notice_id)
        if stored is None:
            return False
        look = at if stored.next_look_at is None else min(at, stored.next_look_at)
        self._records.escalations[notice_id] = replace(stored, next_look_at=look, version=stored.version + 1)
        return True

    def due(self, now, limit):
        found = [
            item
            for item in self._records.escalations.values()
            if item.next_look_at is not None and item.next_look_at <= now
        ]
        return sorted(found, key=lambda item: (item.next_look_at, item.notice_id.bytes))[:limit]

    def next_look_at(self):
        moments = [item.next_look_at for item in self._records.escalations.values() if item.next_look_at is not None]
        return min(moments, default=None)

    def add_call_task(self, task):
        self._writing("call_tasks")
        self._refer(self._records.notices, task.notice_id)
        if task.state is CallTaskState.OPEN and any(
            item.state is CallTaskState.OPEN for item in self.call_tasks_of_notice(task.notice_id)
        ):
            raise StateConflictError("a record with this identity exists already (open call task)")
        self._add(self._records.call_tasks, task.id, task)

    def call_task(self, task_id):
        return self._records.call_tasks.get(task_id)

    def require_call_task(self, task_id):
        return required("call task", task_id, self.call_task(task_id))

    def save_call_task(self, task, expected_version):
        self._writing("call_tasks")
        self._replace("call task", self._records.call_tasks, task, expected_version)

    def call_tasks(self, page, *, state=None):
        return page_of("call_tasks", page, of(self._records.call_tasks.values(), "state", state), lambda item: item.id)

    def call_tasks_of_notice(self, notice_id):
        return of(self._records.call_tasks.values(), "notice_id", notice_id)

    def add_call_record(self, record):
        self._writing("call_tasks")
        self._refer(self._records.call_tasks, record.task_id)
        self._add(self._records.call_records, record.id, record)

    def call_records(self, task_id):
        return of(self._records.call_records.values(), "task_id", task_id)


class MemoryWebhooks(MemoryRepository):
    def add(self, endpoint):
        self._writing("webhooks")
        self._refer(self._records.customers, endpoint.customer_id)
        self._add(self._records.endpoints, endpoint.id, endpoint)

    def get(self, endpoint_id):
        return self._records.endpoints.get(endpoint_id)

    def save(self, endpoint, expected_version):
        self._writing("webhooks")
        self._replace("webhook endpoint", self._records.endpoints, endpoint, expected_version)

    def endpoints(self, customer_id):
        return of(self._records.endpoints.values(), "customer_id", customer_id)

    def add_secret(self, secret):
        self._writing("webhooks")
        self._refer(self._records.endpoints, secret.endpoint_id)
        self._add(self._records.secrets, secret.id, secret)

    def secrets(self, endpoint_id):
        return of(self._records.secrets.values(), "endpoint_id", endpoint_id)

    def save_secret(self, secret):
        self._writing("webhooks")
        stored = self._records.secrets.get(secret.id)
        if stored is None:
            raise NotFoundError("webhook secret", secret.id)
        self._records.secrets[secret.id] = replace(stored, sealed=secret.sealed, expires_at=secret.expires_at)

    def drop_secret(self, secret_id):
        self._writing("webhooks")
        return self._records.secrets.pop(secret_id, None) is not None
