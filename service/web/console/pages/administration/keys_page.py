"""Keys, certificates and witnesses: what each is for, how long it lasts, and how it is replaced."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.errors import GreffierError, LogUnavailableError, SealingUnavailableError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.key_rotation.rotation import KeyRotation
from service.key_rotation.staging import PreparedRotation
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.operations.keys import rotated_key
from service.web.api.requests import Context, MayChangeKeys, MayReadKeys
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, write_once
from service.web.console.rendering import page

router = APIRouter(prefix="/administration/keys", route_class=PageRoute, include_in_schema=False)

_CONFLICT, _UNPROCESSABLE = 409, 422
#: A key or certificate that ends within so many days is marked.
_SOON_DAYS = 30
_PREPARED: dict[str, Callable[[KeyRotation], PreparedRotation]] = {
    "signing": KeyRotation.prepare_signing,
    "log": KeyRotation.prepare_log,
}


@router.get("")
async def keys_page(request: Request, context: Context, access: MayReadKeys, done: str = "") -> Response:
    """Show every key by what of it is public; the forms are there for callers who may use them."""
    shown = await _shown(request, context, access, done=done if done in _PREPARED else "")
    await access.trace()
    return shown


@router.post("/signing/rotate")
async def rotate_signing(request: Request, context: Context, access: MayChangeKeys) -> Response:
    """Make a new signing key and certificate by the demo CA."""
    return await _rotate(request, context, access, "signing")


@router.post("/log/rotate")
async def rotate_log(request: Request, context: Context, access: MayChangeKeys) -> Response:
    """Make a new log key; the one before signs beside it until the overlap ends."""
    return await _rotate(request, context, access, "log")


async def _rotate(request: Request, context: ApiContext, access: Access, kind: str) -> Response:
    form: Form = await form_of(request)
    if form["confirmed"] != "yes":
        return await _shown(request, context, access, problem="unconfirmed", status=_UNPROCESSABLE)
    try:
        async with context.keys.rotating() as rotation:

            def work(tx: AccessTransaction, act: AuditContext) -> str:
                rotated_key(tx, act, context, _PREPARED[kind], rotation)
                return f"/administration/keys?done={kind}"

            return await write_once(access, form, work)
    except (StateConflictError, LogUnavailableError, SealingUnavailableError) as error:
        return await _shown(request, context, access, problem="refused", reason=error, status=_CONFLICT)


async def _shown(
    request: Request,
    context: ApiContext,
    access: Access,
    *,
    done: str = "",
    problem: str = "",
    reason: GreffierError | None = None,
    status: int = 200,
) -> Response:
    now = access.clock.now()
    states = await context.keys.states()
    values: dict[str, Any] = {
        "keys": states,
        "kinds": list(dict.fromkeys(item.kind for item in states)),
        "days_left": {item.fingerprint: (item.not_after - now).days for item in states if item.not_after is not None},
        "soon_days": _SOON_DAYS,
        "witnesses": sorted(context.metrics.sources.witnesses(), key=lambda item: item.name),
        "may_change": access.may(Permission.KEY_CHANGE),
        "rotated": sorted(_PREPARED),
        "done": done,
        "problem": problem,
        "reason": "" if reason is None else str(reason),
        "form_id": new_form_id(),
    }
    return page(request, "keys", access.caller, values, status=status)
