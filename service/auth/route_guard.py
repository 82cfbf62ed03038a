"""The guard between a request and the store: the caller, the route's permission, and the scope of that permission.

A route declares its permission by a parameter, ``Annotated[Access, Depends(Requires(Permission.X))]``. A public route
declares ``Depends(open_to_strangers)``. ``verify_every_route_declares`` refuses routes of which one
declares neither, so that a route with a forgotten declaration is never served.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Protocol, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

from notifications.audit.entry import AuditEntry
from notifications.ports import Clock, Identifiers, Page
from notifications.use_cases.audit_context import AuditContext
from service.auth.caller import Caller, Scope
from service.auth.cursors import open_cursor, seal_cursor
from service.auth.memberships import require_own_membership
from service.auth.permissions import Permission
from service.auth.refusals import ForbiddenError
from service.auth.scope.transaction import within
from service.crypto.secret_box import SecretBox
from service.ports.store import AccessStore, AccessTransaction

ResultT = TypeVar("ResultT")

#: Path parameters that identify the object that was read, for the log entry about an auditor's read.
_SUBJECTS = {
    "incident_id": "incident",
    "notice_id": "notice",
    "delivery_id": "delivery",
    "contact_id": "contact",
    "call_task_id": "call_task",
    "account_id": "account",
}


@dataclass(frozen=True, slots=True)
class Access:
    """One request of one caller under one permission: the only way from a route to the store."""

    caller: Caller
    permission: Permission
    scope: Scope
    store: AccessStore
    clock: Clock
    identifiers: Identifiers
    #: the route template, such as ``GET /api/v1/…``, for the log entry about an auditor's read
    operation: str
    #: the objects that the path names
    named: tuple[tuple[str, str], ...]
    #: encrypts cursors
    secret_box: SecretBox
    #: the list that the request reads: its path and its filters, without the part of the list that is wanted
    listing: str

    @property
    def actor(self) -> str:
        """The caller's name in the audit log."""
        return self.caller.actor

    def act(self) -> AuditContext:
        """Return the audit context of this moment."""
        return AuditContext(self.actor, self.clock.now(), self.identifiers)

    def page(self, limit: int, cursor: str | None) -> Page:
        """Return the wanted part of the list; raises InvalidInputError for a cursor of another caller or list."""
        return Page(limit, None if cursor is None else open_cursor(self.secret_box, cursor, self._cursor_owner))

    def of_list(self, path: str, **filters: str | None) -> "Access":
        """Return this access with another list for its cursors: where the answer continues, or what a body asks for."""
        return replace(self, listing=_listing(path, filters.items()))

    def next_cursor(self, cursor: str | None) -> str | None:
        """Return the store's cursor as this caller may see it; None at the end of the list."""
        return None if cursor is None else seal_cursor(self.secret_box, cursor, self._cursor_owner)

    @property
    def _cursor_owner(self) -> str:
        return f"{self.actor}\n{self.listing}"

    async def read(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run ``work`` against one snapshot of the records in the scope.

        A read by an auditor is logged before the response. A read that fails is not logged and returns nothing.
        """
        result = await self.store.read(lambda tx: work(within(tx, self.scope)))
        await self.trace()
        return result

    async def read_for(self, customer_id: UUID, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run ``work`` against all records, for a response about one customer in the scope.

        It is for results that depend on records that the caller may not see, such as a dry run over all incidents.
        ``work`` is responsible for what it returns. Raises NotFoundError for a customer outside the scope.
        """

        def unlimited(tx: AccessTransaction) -> ResultT:
            within(tx, self.scope).customers.require(customer_id)
            return work(tx)

        result = await self.store.read(unlimited)
        await self.trace()
        return result

    async def trace(self) -> None:
        """Log a read by an auditor; called after a read from another source than the store."""
        if self.scope.is_logged:
            act = self.act()
            await self.store.write(lambda tx: tx.audit.append([self._trace_entry(tx, act)]))

    async def write(self, work: Callable[[AccessTransaction, AuditContext], ResultT]) -> ResultT:
        """Run a change of records in the scope, in one transaction."""
        act = self.act()
        return await self.store.write(lambda tx: work(within(tx, self.scope), act))

    def view(self, tx: AccessTransaction) -> AccessTransaction:
        """Return the transaction limited to the scope; unlimited for ``SELF``, where ``work`` uses only its account."""
        return tx if self.permission is Permission.SELF else within(tx, self.scope)

    def verify_named(self, tx: AccessTransaction) -> None:
        """Raise NotFoundError unless every object that the path names is within the scope of this moment.

        Nothing is outside an unlimited scope. A stored answer about one's own account is checked by its membership.
        """
        named = dict(self.named)
        if self.permission is Permission.SELF:
            if "member_id" in named:
                require_own_membership(tx, self.caller.account_id, UUID(named["member_id"]))
            return
        view = within(tx, self.scope)
        required: dict[str, Callable[[UUID], object]] = {
            "customer_id": view.customers.require,
            "notice_id": view.notices.require,
            "contact_id": view.customers.require_contact,
            "incident_id": view.incidents.require,
        }
        for name, require in required.items():
            if not self.scope.is_unlimited and name in named:
                require(UUID(named[name]))

    async def read_own(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run ``work``, which must read only the caller's own account."""
        self._must_be_own()
        return await self.store.read(work)

    async def write_own(self, work: Callable[[AccessTransaction, AuditContext], ResultT]) -> ResultT:
        """Run a change of only the caller's own account."""
        self._must_be_own()
        act = self.act()
        return await self.store.write(lambda tx: work(tx, act))

    def may(self, permission: Permission) -> bool:
        """Return whether the caller has another permission in any scope, for additional parts of a response."""
        return self.caller.scope(permission) is not None

    def under(self, permission: Permission) -> "Access | None":
        """Return the same caller's access under another permission, or None if the caller does not have it.

        For answers with parts of several kinds: each part is read under its own permission and within its own scope.
        """
        scope = self.caller.scope(permission)
        return None if scope is None else replace(self, permission=permission, scope=scope)

    def _must_be_own(self) -> None:
        if self.permission is not Permission.SELF:
            raise ForbiddenError(Permission.SELF)

    def _trace_entry(self, tx: AccessTransaction, act: AuditContext) -> AuditEntry:
        subjects = {_SUBJECTS[name]: value for name, value in self.named if name in _SUBJECTS}
        for name, value in self.named:
            if name == "customer_id":
                subjects["customer"] = tx.customers.pseudonym(UUID(value))
        return act.entry("record.read", subjects=subjects, detail={"operation": self.operation})


class Authenticates(Protocol):
    """Identifies callers."""

    async def caller(self, request: Request) -> Caller:
        """Return the caller; raises UnauthenticatedError, CsrfError or TooManyRequestsError."""
        ...


async def authenticated(request: Request) -> Caller:
    """Return the caller; raises UnauthenticatedError before any other part of the request is read.

    ``service.bootstrap.server`` builds the authenticator; it throttles and checks tokens, sessions and CSRF tokens.
    """
    authenticator: Authenticates = request.app.state.authenticator
    return await authenticator.caller(request)


class Requires:
    """A dependency: the caller's access under one permission, or ForbiddenError."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request, caller: Annotated[Caller, Depends(authenticated)]) -> Access:
        """Return the access; raises ForbiddenError if no role of the caller has the permission."""
        scope = caller.scope(self.permission)
        if scope is None:
            raise ForbiddenError(self.permission)
        context = request.app.state.api_context
        path = request.url.path
        for name, value in request.path_params.items():
            path = path.replace(f"/{value}", f"/{{{name}}}")
        return Access(
            caller=caller,
            permission=self.permission,
            scope=scope,
            store=context.unit_of_work,
            clock=context.clock,
            identifiers=context.identifiers,
            operation=f"{request.method} {path}",
            named=tuple((name, str(value)) for name, value in request.path_params.items()),
            secret_box=context.secret_box,
            listing=_listing(request.url.path, request.query_params.multi_items()),
        )


def _listing(path: str, stated: Iterable[tuple[str, str | None]]) -> str:
    """Return which list a request reads: its path, and its query without the part that is wanted.

    A filter that a form sends empty is none.
    """
    filters = sorted((name, value) for name, value in stated if value and name not in {"limit", "cursor"})
    return f"{path}?{urlencode(filters)}"


async def open_to_strangers() -> None:
    """Mark a public route: health, sign-in, links that contain their own secret."""


def declared_permission(route: RouteContext) -> Permission | None:
    """Return the permission that a route declares, or None for a public route.

    Raises LookupError for a route that declares neither, or both, or several.
    """
    calls = list(_calls(route.dependant)) if isinstance(route.original_route, APIRoute) else []
    wanted = {call.permission for call in calls if isinstance(call, Requires)}
    is_open = open_to_strangers in calls
    if len(wanted) + is_open != 1:
        raise LookupError(f"{route.methods} {route.path} declares {len(wanted)} permissions, open: {is_open}")
    return None if is_open else wanted.pop()


def _calls(dependant: Dependant) -> Iterator[object]:
    for part in dependant.dependencies:
        yield part.call
        yield from _calls(part)


def verify_every_route_declares(routes: Sequence[BaseRoute], *, undeclared: frozenset[str]) -> None:
    """Raise LookupError unless every route declares its permission; ``undeclared`` names paths that cannot."""
    for route in iter_route_contexts(routes):
        if route.path not in undeclared:
            declared_permission(route)
