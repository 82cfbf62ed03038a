"""What every change needs beside its subject, and the numbers for the provider's side."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from notifications.ports import StoredResponse
from service.auth.scope.visibility import ScopedRepository
from service.ports.drafts import Draft
from service.ports.figures import StoreFigures
from service.ports.mails import ServiceMail


class ScopedResponses(ScopedRepository):
    """The answers under idempotency keys: a key begins with its actor, so that nobody meets another's."""

    _name = "responses"

    def get(self, key: str) -> StoredResponse | None:
        return self._tx.responses.get(key)

    def add(self, key: str, response: StoredResponse, at: datetime) -> None:
        self._tx.responses.add(key, response, at)


class ScopedMails(ScopedRepository):
    """Mails that a change within causes."""

    _name = "mails"

    def add(self, mail: ServiceMail) -> None:
        self._tx.mails.add(mail)


class ScopedDrafts(ScopedRepository):
    """Drafts, for the provider's side. A draft about no time in particular is in every period."""

    _name = "drafts"

    def add(self, draft: Draft) -> None:
        self._verify_at_provider("add")
        self._tx.drafts.add(draft)

    def get(self, draft_id: UUID) -> Draft | None:
        self._verify_at_provider("get")
        return self._tx.drafts.get(draft_id)

    def by_alert(self, alert_key: str) -> Draft | None:
        self._verify_at_provider("by_alert")
        return self._tx.drafts.by_alert(alert_key)

    def save(self, draft: Draft, expected_version: int) -> None:
        self._verify_at_provider("save")
        self._tx.drafts.save(draft, expected_version)

    def remove(self, draft_id: UUID) -> bool:
        self._verify_at_provider("remove")
        return self._tx.drafts.remove(draft_id)

    def of_owner(self, owner_id: UUID) -> Sequence[Draft]:
        self._verify_at_provider("of_owner")
        return self._tx.drafts.of_owner(owner_id)

    def of_alerts(self, limit: int) -> Sequence[Draft]:
        self._verify_at_provider("of_alerts")
        return self._tx.drafts.of_alerts(limit)

    def alerts_count(self) -> int:
        self._verify_at_provider("alerts_count")
        return self._tx.drafts.alerts_count()


class ScopedAlerts(ScopedRepository):
    """What a list of customers needs, for the provider's side; alerts themselves are for an unlimited scope."""

    _name = "alerts"

    def customers_without_contact(self, limit: int) -> Sequence[UUID]:
        self._verify_at_provider("customers_without_contact")
        return self._tx.alerts.customers_without_contact(limit)


class ScopedFigures(ScopedRepository):
    """The numbers about the store, for the provider's side."""

    _name = "figures"

    def collect(self, now: datetime) -> StoreFigures:
        self._verify_at_provider("collect")
        return self._tx.figures.collect(now)
