"""A form whose words are kept as a draft: which draft it is, saving it, and what somebody else saved meanwhile."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from starlette.responses import JSONResponse, Response

from notifications.canonical_json import timestamp_text
from notifications.customer.records import Customer
from notifications.errors import InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.use_cases.audit_context import AuditContext
from service.auth.route_guard import Access
from service.crypto.secret_box import SecretBox
from service.drafts.drafts import (
    DraftContent,
    content_of,
    drafts_of,
    is_same_page,
    is_visible,
    open_draft,
    put_draft,
)
from service.ports.drafts import Draft, DraftKind
from service.ports.store import AccessTransaction
from service.web.console.draft_listing import (
    FORM_PATHS,
    LIST_PATHS,
    DraftDifference,
    ShownDraft,
    differences,
    shown_draft,
)
from service.web.console.facts_form import Fields
from service.web.console.forms import Form, new_form_id, see_other, stated_version

_CONFLICT, _UNPROCESSABLE = 409, 422


class DraftConflictError(Exception):
    """The draft was changed by somebody else since the page was opened; None: it is gone."""

    def __init__(self, standing: Draft | None) -> None:
        self.standing = standing
        super().__init__("the draft was changed")


class DraftRefusedError(Exception):
    """What was typed cannot be kept; ``said`` names the words."""

    def __init__(self, said: str, status: int) -> None:
        self.said, self.status = said, status
        super().__init__(said)


@dataclass(frozen=True, slots=True)
class DraftOfForm:
    """The draft that a shown form belongs to."""

    kind: DraftKind
    id: UUID
    #: the version that was read; 0 where nothing is saved yet
    version: int
    #: the opened page
    page_id: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """What another person saved, beside what was typed here."""

    standing: ShownDraft | None
    differences: Sequence[DraftDifference]


def new_draft(access: Access, kind: DraftKind) -> DraftOfForm:
    """Return the draft of a form that is shown for the first time."""
    return DraftOfForm(kind, access.identifiers.new_id(), 0, new_form_id())


def draft_of(form: Form, access: Access, kind: DraftKind) -> DraftOfForm:
    """Return the draft that a form names; a new one for a form of no page of ours."""
    page_id = form["form_id"][:40] or new_form_id()
    try:
        draft_id = UUID(form["draft_id"])
    except ValueError:
        return replace(new_draft(access, kind), page_id=page_id)
    return DraftOfForm(kind, draft_id, stated_version(form["draft_version"]), page_id)


def draft_or_none(tx: AccessTransaction, draft_id: UUID, account_id: UUID, kind: DraftKind) -> Draft | None:
    """Return a draft, or None where there is none; raises NotFoundError for another's, or one of another kind."""
    draft = tx.drafts.get(draft_id)
    if draft is not None and not is_visible(draft, account_id, kind):
        raise NotFoundError("draft", draft_id)
    return open_draft(tx, draft_id, account_id, kind)


def verify_draft(
    tx: AccessTransaction, act: AuditContext, secret_box: SecretBox, of_form: DraftOfForm, account_id: UUID
) -> None:
    """Raise DraftConflictError where somebody else changed, declared or discarded the draft since it was read."""
    if not of_form.version:
        return
    standing = draft_or_none(tx, of_form.id, account_id, of_form.kind)
    if standing is None:
        raise DraftConflictError(None)
    if standing.version != of_form.version:
        content = content_of(secret_box, standing)
        if not is_same_page(standing, content, act, of_form.page_id):
            raise DraftConflictError(standing)


async def save_draft(
    access: Access, secret_box: SecretBox, form: Form, of_form: DraftOfForm, content: DraftContent
) -> Response:
    """Keep what was typed. The module gets the new version, or whether there is a conflict; a person the form again.

    Raises NotFoundError for a form that names no draft; for a person DraftConflictError and DraftRefusedError.
    """
    if not form["draft_id"]:
        raise NotFoundError("draft", "")
    account_id = access.caller.account_id

    def work(tx: AccessTransaction, act: AuditContext) -> Draft:
        return put_draft(tx, act, secret_box, of_form.id, account_id, of_form.version, content, of_form.kind)

    try:
        draft = await access.write(work)
    except (VersionMismatchError, NotFoundError):
        if form["fragment"]:
            return JSONResponse({"conflict": True}, _CONFLICT)
        standing = await access.read(lambda tx: open_draft(tx, of_form.id, account_id, of_form.kind))
        raise DraftConflictError(standing) from None
    except (StateConflictError, InvalidInputError) as error:
        if form["fragment"]:
            return JSONResponse({"conflict": False}, _CONFLICT)
        if isinstance(error, StateConflictError):
            raise DraftRefusedError("too_many", _CONFLICT) from None
        raise DraftRefusedError("too_large", _UNPROCESSABLE) from None
    if form["fragment"]:
        return JSONResponse({"version": draft.version, "saved_at": timestamp_text(draft.changed_at)})
    return see_other(f"{FORM_PATHS[of_form.kind]}?draft={draft.id}&saved=1")


async def conflict_over(
    access: Access,
    secret_box: SecretBox,
    of_form: DraftOfForm,
    standing: Draft | None,
    mine: Fields,
    theirs_of: Callable[[DraftContent], Fields],
    language: str,
) -> tuple[Conflict, DraftOfForm]:
    """Return both texts, and the draft that the form goes on with.

    What is sent next replaces the other text, for it has been seen now. Of a draft that is gone, what was typed goes
    into a new one.
    """
    if standing is None:
        return Conflict(None, ()), replace(of_form, id=access.identifiers.new_id(), version=0)
    theirs = theirs_of(content_of(secret_box, standing))
    shown = await access.read(lambda tx: shown_draft(tx, secret_box, standing, language))
    return Conflict(shown, differences(mine, theirs)), replace(of_form, version=standing.version)


async def draft_values(
    access: Access, secret_box: SecretBox, of_form: DraftOfForm, language: str, conflict: Conflict | None, said: str
) -> dict[str, Any]:
    """Return what ``draft_parts.html.jinja`` shows: the form's own draft, and those that a person can go on with."""
    account_id = access.caller.account_id

    def work(tx: AccessTransaction) -> tuple[ShownDraft | None, Mapping[str, Any], list[ShownDraft]]:
        kept = draft_or_none(tx, of_form.id, account_id, of_form.kind)
        others = [draft for draft in drafts_of(tx, account_id, of_form.kind) if draft.id != of_form.id]
        return (
            None if kept is None else shown_draft(tx, secret_box, kept, language),
            {} if kept is None else content_of(secret_box, kept).alert,
            [shown_draft(tx, secret_box, draft, language) for draft in others],
        )

    kept, alert, others = await access.read(work)
    return {
        "of_form": of_form, "kept": kept, "alert": alert, "drafts": others, "conflict": conflict, "said": said,
        "drafts_path": LIST_PATHS[of_form.kind],
    }  # fmt: skip


def with_names(fields: Fields, customers: Iterable[Customer]) -> Fields:
    """Return the fields with the names of customers in the place of their identifiers, to be read."""
    names = {str(each.id): each.name for each in customers}
    return Fields(fields.values | {"customers": [names.get(each, each) for each in fields.all("customers")]})
