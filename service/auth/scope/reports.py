"""Issued reports under a scope: those on all customers for the provider's side, those on one customer for that one."""

from collections.abc import Sequence
from datetime import timedelta

from service.auth.caller import Reach
from service.auth.scope.visibility import ScopedRepository
from service.ports.reports import IssuedReport

_LAST_MOMENT = timedelta(microseconds=1)


class ScopedReports(ScopedRepository):
    """The reports within: their whole period must be within a grant's period."""

    _name = "reports"

    def of_period(self, period: str, customer: str) -> Sequence[IssuedReport]:
        # The names are found first, so that the work does not depend on whether there is a report.
        reaches = [reach for reach in self._scope.reaches if self._is_about(reach, customer)]
        found = self._tx.reports.of_period(period, customer)
        return [
            each
            for each in found
            if any(
                reach.covers(reach.customer_id, each.starts_at)
                and reach.covers(reach.customer_id, each.ends_at - _LAST_MOMENT)
                for reach in reaches
            )
        ]

    def periods(self) -> Sequence[str]:
        # The names of months say nothing of anybody.
        return self._tx.reports.periods()

    def _is_about(self, reach: Reach, customer: str) -> bool:
        """Whether a grant covers the report on a customer, by pseudonym, or on all (empty)."""
        if reach.customer_id is None:
            return reach.at_provider
        return bool(customer) and self._tx.customers.pseudonym(reach.customer_id) == customer
