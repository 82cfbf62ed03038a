"""The page of the log's signed heads: witnesses, timestamps, and the check that one head extends another."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.crypto.timestamps import token_statement
from notifications.errors import InvalidInputError
from notifications.ports import CosignedBy, LoggedHead
from service.audit_log.witness.client import parse_witnesses
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.listing import following_path
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadLog = Annotated[Access, Depends(Requires(Permission.LOG_READ))]

_PATH = "/audit/heads"
_LISTED = 25
_SIZE_CHARACTERS = 18


@dataclass(frozen=True, slots=True)
class ShownHead:
    """A head as the page shows it."""

    size: int
    root: str
    #: when its newest entry was recorded
    recorded_at: datetime | None
    #: each configured witness with its cosignature, or None
    witnesses: tuple[tuple[str, CosignedBy | None], ...]
    #: cosignatures of witnesses that are no longer configured
    others: tuple[CosignedBy, ...]
    #: time and authority of the timestamp, as the token states them; the authority may be missing
    stamped: tuple[datetime, str | None] | None


@router.get("/audit/heads")
async def heads_page(
    request: Request, context: Context, access: MayReadLog, confirmed: str = "", older: str = "", newer: str = ""
) -> Response:
    """Show the heads, newest first; ``older`` and ``newer`` are the sizes of two heads to compare."""
    cursor, only = request.query_params.get("cursor") or None, confirmed == "yes"
    witnesses = parse_witnesses(context.settings.witnesses.cosigners)
    names = [witness.key.name for witness in witnesses]

    def work(tx: AccessTransaction) -> tuple[list[LoggedHead], str | None, int]:
        found, following = tx.log.heads(access.page(_LISTED, cursor), confirmed=only)
        return found, following, tx.log.size()

    found, following, size = await access.read(work)
    return page(
        request,
        "audit_heads",
        access.caller,
        {
            "heads": [_shown(head, names) for head in found],
            "witnesses": [(witness.key.name, witness.key.text()) for witness in witnesses],
            "confirmed": only,
            "size": size,
            "sizes": [head.size for head in found],
            "older": _size(older) or (found[1].size if len(found) > 1 else size),
            "newer": _size(newer) or (found[0].size if found else size),
            "compared": bool(_size(older) and _size(newer)),
            "newest_path": _PATH if cursor else None,
            "older_path": following_path(request, access.next_cursor(following)),
        },
    )


def _size(stated: str) -> int:
    """Return the size that an address states, or 0 for none."""
    is_number = stated.isascii() and stated.isdigit() and len(stated) <= _SIZE_CHARACTERS
    return int(stated) if is_number else 0


def _shown(head: LoggedHead, names: list[str]) -> ShownHead:
    by_witness = {item.witness: item for item in head.cosigned}
    return ShownHead(
        head.size,
        parse_checkpoint_note(head.note).root.hex(),
        head.recorded_at,
        tuple((name, by_witness.get(name)) for name in names),
        tuple(item for item in head.cosigned if item.witness not in names),
        _stamped(head.token),
    )


def _stamped(token: bytes | None) -> tuple[datetime, str | None] | None:
    if token is None:
        return None
    try:
        return token_statement(token)
    except InvalidInputError:
        return None
