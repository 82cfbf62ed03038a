"""In memory, what surrounds deliveries: webhooks, returns, acknowledgements, escalation, checks."""

from dataclasses import replace

from notifications.delivery.call_task import CallTaskState
from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError


def _of(items, name, value):
    return [item for item in items if value is None or getattr(item, name) == value]


class ServingRecords:
    # -- webhooks

    def add_webhook_endpoint(self, endpoint):
        self._writing("webhooks")
        self._refer(self._records.customers, endpoint.customer_id)
        self._add(self._records.endpoints, endpoint.id, endpoint)

    def webhook_endpoint(self, endpoint_id):
        return self._records.endpoints.get(endpoint_id)

    def save_webhook_endpoint(self, endpoint, expected_version):
        self._writing("webhooks")
        self._replace("webhook endpoint", self._records.endpoints, endpoint, expected_version)

    def webhook_endpoints(self, customer_id):
        return _of(self._records.endpoints.values(), "customer_id", customer_id)

    def add_webhook_secret(self, secret):
        self._writing("webhooks")
        self._refer(self._records.endpoints, secret.endpoint_id)
        self._add(self._records.secrets, secret.id, secret)

    def webhook_secrets(self, endpoint_id):
        return _of(self._records.secrets.values(), "endpoint_id", endpoint_id)

    def save_webhook_secret(self, secret):
        self._writing("webhooks")
        stored = self._records.secrets.get(secret.id)
        if stored is None:
            raise NotFoundError("webhook secret", secret.id)
        self._records.secrets[secret.id] = replace(stored, sealed=secret.sealed, expires_at=secret.expires_at)

    def drop_webhook_secret(self, secret_id):
        self._writing("webhooks")
        return self._records.secrets.pop(secret_id, None) is not None

    # -- what came back, and what people did

    def add_returned_message(self, message):
        self._writing("returns")
        if message.delivery_id is not None:
            self._refer(self._records.deliveries, message.delivery_id)
        self._add(self._records.returned, message.id, message)

    def returned_message(self, message_id):
        return self._records.returned.get(message_id)

    def returned_messages(self, delivery_id):
        return [item for item in self._records.returned.values() if item.delivery_id == delivery_id]

    def add_opening(self, opening):
        self._writing("acknowledgements")
        self._refer(self._records.notices, opening.notice_id)
        return self._once(self._records.opened, opening)

    def openings(self, notice_id):
        return _of(self._records.opened.values(), "notice_id", notice_id)

    def add_acknowledgement(self, acknowledgement):
        self._writing("acknowledgements")
        self._refer(self._records.notices, acknowledgement.notice_id)
        return self._once(self._records.acknowledged, acknowledgement)

    def acknowledgements(self, notice_id):
        return _of(self._records.acknowledged.values(), "notice_id", notice_id)

    @staticmethod
    def _once(where, act):
        key = act.notice_id, act.by
        if key in where:
            return False
        where[key] = act
        return True

    # -- escalation and calls

    def add_escalation(self, escalation):
        self._writing("escalations")
        self._refer(self._records.notices, escalation.notice_id)
        self._add(self._records.escalations, escalation.notice_id, escalation)

    def escalation(self, notice_id):
        return self._records.escalations.get(notice_id)

    def save_escalation(self, escalation, expected_version):
        self._writing("escalations")
        if escalation.version != expected_version + 1:
            raise ValueError(f"version {escalation.version} does not follow {expected_version}")
        stored = self._records.escalations.get(escalation.notice_id)
        if stored is None:
            raise NotFoundError("escalation", escalation.notice_id)
        if stored.version != expected_version:
            raise VersionMismatchError("escalation", escalation.notice_id, expected_version, stored.version)
        self._records.escalations[escalation.notice_id] = escalation

    def hasten_escalation(self, notice_id, at):
        self._writing("escalations")
        stored = self._records.escalations.get(notice_id)
        if stored is None:
            return False
        look = at if stored.next_look_at is None else min(at, stored.next_look_at)
        self._records.escalations[notice_id] = replace(stored, next_look_at=look, version=stored.version + 1)
        return True

    def due_escalations(self, now, limit):
        found = [
            item
            for item in self._records.escalations.values()
            if item.next_look_at is not None and item.next_look_at <= now
        ]
        return sorted(found, key=lambda item: (item.next_look_at, item.notice_id.bytes))[:limit]

    def next_escalation_at(self):
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

    def save_call_task(self, task, expected_version):
        self._writing("call_tasks")
        self._replace("call task", self._records.call_tasks, task, expected_version)

    def call_tasks(self, page, *, state=None):
        return self._page("call_tasks", page, _of(self._records.call_tasks.values(), "state", state))

    def call_tasks_of_notice(self, notice_id):
        return _of(self._records.call_tasks.values(), "notice_id", notice_id)

    def add_call_record(self, record):
        self._writing("call_tasks")
        self._refer(self._records.call_tasks, record.task_id)
        self._add(self._records.call_records, record.id, record)

    def call_records(self, task_id):
        return _of(self._records.call_records.values(), "task_id", task_id)

    # -- checks and pauses

    def add_reachability_checks(self, checks):
        self._writing()
        for check in checks:
            self._writing("checks")
            self._refer(self._records.customers, check.customer_id)
            self._add(self._records.checks, check.id, check)

    def latest_reachability_checks(self, customer_id):
        latest = {}
        for check in self._records.checks.values():
            key = check.customer_id, check.subject, check.subject_id
            latest.pop(key, None)
            latest[key] = check
        return _of(latest.values(), "customer_id", customer_id)

    def pause_channel(self, pause):
        self._writing("deliveries")
        self._records.pauses[pause.channel] = pause

    def resume_channel(self, channel):
        self._writing("deliveries")
        return self._records.pauses.pop(channel, None) is not None

    def channel_pauses(self):
        return sorted(self._records.pauses.values(), key=lambda item: item.channel.value)
