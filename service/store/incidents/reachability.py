"""Checks whether customers can be reached."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam

from notifications.delivery.reachability import ReachabilityCheck
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled
from service.store.tables import ReachabilityCheckRow, table

_CHECKS = FlatTable(ReachabilityCheck, ReachabilityCheckRow)
_checks = table(ReachabilityCheckRow).c

_later = table(ReachabilityCheckRow).alias("later")
_latest_checks = (
    _CHECKS.select()
    .where(
        ~(
            _later.select()
            .where(
                _later.c.customer_id == _checks.customer_id,
                _later.c.subject == _checks.subject,
                _later.c.subject_id == _checks.subject_id,
                _later.c.position > _checks.position,
            )
            .exists()
        )
    )
    .order_by(_checks.position)
)
_LATEST_CHECKS = compiled(_latest_checks)
_LATEST_CHECKS_OF = compiled(_latest_checks.where(_checks.customer_id == bindparam("customer_id")), "customer_id")


class ReachabilityRecords(Records):
    """Checks, for ``notifications.ports.CustomerRepository``."""

    def add_reachability_checks(self, checks: Sequence[ReachabilityCheck]) -> None:
        """Record checks."""
        self._session.execute_many(_CHECKS.insert, [_CHECKS.values(check) for check in checks])
        if checks:
            self._changed("checks")

    def latest_reachability_checks(self, customer_id: UUID | None) -> Sequence[ReachabilityCheck]:
        """Return the latest check of each subject of a customer, or of all."""
        if customer_id is None:
            rows = self._session.all(_LATEST_CHECKS)
        else:
            rows = self._session.all(_LATEST_CHECKS_OF, (customer_id.bytes,))
        return [_CHECKS.record(row) for row in rows]
