"""What stands between a request and the store: who calls, which permission the route wants, how far it reaches.

A route names its permission by a parameter, ``Annotated[Access, Depends(Requires(Permission.X))]``; one that is open to
strangers says so by ``Depends(open_to_strangers)``. ``verify_every_route_declares`` refuses an application with a route
that says neither, so that forgetting is found at the start and not by a stranger.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

from notifications.audit.entry import AuditEntry
from notifications.ports import Clock, Identifiers
from notifications.use_cases.audit_context import AuditContext
from service.auth.caller import Caller, Scope
from service.auth.permissions import Permission
from service.auth.scope.transaction import within
from service.ports.store import AccessStore, AccessTransaction

ResultT = TypeVar("ResultT")

#: Path parameters that name what was read, in an auditor's trace.
_SUBJECTS = {
    "incident_id": "incident",
    "notice_id": "notice",
    "delivery_id": "delivery",
    "contact_id": "contact",
    "call_task_id": "call_task",
    "account_id": "account",
}


class ForbiddenError(Exception):
    """The caller is known, and its roles do not carry the permission."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission
        super().__init__(f"none of your roles carries the permission {permission.value}")


class UnauthenticatedError(Exception):
    """Nobody is signed in, and there is no valid token."""


@dataclass(frozen=True, slots=True)
class Access:
    """One request of one caller under one permission: the only way from a route to the store."""

    caller: Caller
    permission: Permission
    scope: Scope
    store: AccessStore
    clock: Clock
    identifiers: Identifiers
    #: ``GET /api/v1/…`` as the route is written, for an auditor's trace
    operation: str
    #: what the path names
    named: tuple[tuple[str, str], ...]

    @property
    def actor(self) -> str:
        """The caller's name in the audit log."""
        return self.caller.actor

    def act(self) -> AuditContext:
        """Return the act of this moment."""
        return AuditContext(self.actor, self.clock.now(), self.identifiers)

    async def read(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run ``work`` against one snapshot of what is within the scope.

        What an auditor reads is in the log before it is answered; a read that fails gives nothing and leaves nothing.
        """
        result = await self.store.read(lambda tx: work(within(tx, self.scope)))
        await self.trace()
        return result

    async def read_for(self, customer_id: UUID, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run ``work`` against everything, for an answer about one customer within the scope.

        For what is computed from records that the caller may not see, such as a dry run over all incidents: ``work``
        answers for what it lets out. Raises NotFoundError for a customer that is not within.
        """

        def unlimited(tx: AccessTransaction) -> ResultT:
            within(tx, self.scope).customers.require(customer_id)
            return work(tx)

        result = await self.store.read(unlimited)
        await self.trace()
        return result

    async def trace(self) -> None:
        """Log the read of an auditor; what was read elsewhere than in the store is followed by this."""
        if self.scope.is_logged:
            act = self.act()
            await self.store.write(lambda tx: tx.audit.append([self._trace_entry(tx, act)]))

    async def write(self, work: Callable[[AccessTransaction, AuditContext], ResultT]) -> ResultT:
        """Run a change in one transaction on what is within the scope."""
        act = self.act()
        return await self.store.write(lambda tx: work(within(tx, self.scope), act))

    def view(self, tx: AccessTransaction) -> AccessTransaction:
        """Return the transaction as this access shows it; for one's own account, which ``work`` keeps to, as it is."""
        return tx if self.permission is Permission.SELF else within(tx, self.scope)

    async def read_own(self, work: Callable[[AccessTransaction], ResultT]) -> ResultT:
        """Run ``work``, which must look at nothing but the caller's own account."""
        self._must_be_own()
        return await self.store.read(work)

    async def write_own(self, work: Callable[[AccessTransaction, AuditContext], ResultT]) -> ResultT:
        """Run a change of nothing but the caller's own account."""
        self._must_be_own()
        act = self.act()
        return await self.store.write(lambda tx: work(tx, act))

    def may(self, permission: Permission) -> bool:
        """Whether the caller has another permission too, anywhere: for what an answer says beside its own subject."""
        return self.caller.scope(permission) is not None

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
    """Tells who calls."""

    async def caller(self, request: Request) -> Caller:
        """Return who calls; raises UnauthenticatedError, and whatever else keeps a request out."""
        ...


async def authenticated(request: Request) -> Caller:
    """Return who calls; raises UnauthenticatedError before anything else of the request is looked at.

    The authenticator is what ``service.bootstrap.server`` put together; it throttles, checks tokens, sessions and CSRF.
    """
    authenticator: Authenticates = request.app.state.authenticator
    return await authenticator.caller(request)


class Requires:
    """A dependency: the caller's access under one permission, or ForbiddenError."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request, caller: Annotated[Caller, Depends(authenticated)]) -> Access:
        """Return the access; raises ForbiddenError where no role of the caller carries the permission."""
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
        )


async def open_to_strangers() -> None:
    """Mark a route that whoever calls may use: health, sign-in, links that carry their own secret."""


def declared_permission(route: RouteContext) -> Permission | None:
    """Return the permission that a route wants, or None for one that is open to strangers.

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
