"""What is within a scope: the questions that the scoped repositories share."""

from dataclasses import replace
from typing import ClassVar, NoReturn
from uuid import UUID

from notifications.errors import GreffierError, NotFoundError
from notifications.notice import Notice, NoticeState
from notifications.ports import Extent, Page, intersected
from service.auth.caller import Scope
from service.ports.store import AccessTransaction


class OutOfScopeError(GreffierError):
    """Code under a limited scope reached for something that is not given there: a defect, refused."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not available under a limited scope")


class ScopedRepository:
    """Base of the scoped forms: a method that is missing in one of them raises OutOfScopeError."""

    #: the name of the repository in the transaction
    _name: ClassVar[str]

    def __init__(self, tx: AccessTransaction, scope: Scope) -> None:
        self._tx, self._scope = tx, scope

    def __getattr__(self, name: str) -> NoReturn:
        raise OutOfScopeError(f"{self._name}.{name}")

    def _verify_customer(self, customer_id: UUID) -> None:
        if not self._scope.covers_customer(customer_id):
            raise NotFoundError("customer", customer_id)

    def _covers_one(self, customer_id: UUID | None) -> bool:
        if customer_id is None:
            raise OutOfScopeError("a list over every customer")
        return self._scope.covers_customer(customer_id)

    def _verify_at_provider(self, name: str) -> None:
        if not self._scope.at_provider:
            raise OutOfScopeError(f"{self._name}.{name}")

    def _of_customer(self, page: Page, customer_id: UUID | None) -> Page:
        """Return the page limited to the scope; the statement filters, so that what is hidden leaves no gap.

        With a customer, only extents that cover it are kept.
        """
        extents = (
            Extent(reach.customer_id, reach.starts_at, reach.ends_at, served_only=not reach.at_provider)
            for reach in self._scope.reaches
            if customer_id is None or reach.customer_id in {None, customer_id}
        )
        return _limited(page, tuple(dict.fromkeys(extents)))

    def _of_provider(self, page: Page) -> Page:
        """Return the page limited to the provider's own records within the scope: those of no single customer."""
        extents = (
            Extent(starts_at=reach.starts_at, ends_at=reach.ends_at)
            for reach in self._scope.reaches
            if reach.at_provider and reach.customer_id is None
        )
        return _limited(page, tuple(dict.fromkeys(extents)))

    def _shows(self, notice: Notice) -> bool:
        """Whether a notice is within: by the moment it was made, and, on a customer's side, once it is sealed."""
        served = notice.state is NoticeState.SEALED
        return self._scope.covers(notice.customer_id, notice.created_at, served=served)

    def _notice(self, notice_id: UUID) -> Notice | None:
        notice = self._tx.notices.get(notice_id)
        return notice if notice is not None and self._shows(notice) else None

    def _verify_notice(self, notice_id: UUID, customer_id: UUID) -> None:
        notice = self._notice(notice_id)
        if notice is None or notice.customer_id != customer_id:
            raise NotFoundError("notice", notice_id)


def _limited(page: Page, extents: tuple[Extent, ...]) -> Page:
    return replace(page, within=intersected(page.within, extents))
