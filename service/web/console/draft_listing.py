"""Drafts of incidents as lists on pages show them, and where two texts of one differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from notifications.incident import LANGUAGES
from notifications.wording.formats import on_one_line
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.auth.scope.visibility import OutOfScopeError
from service.crypto.secret_box import SecretBox
from service.drafts.drafts import DraftContent, content_of, drafts_of
from service.drafts.expiry import KEPT_FOR
from service.ports.drafts import IncidentDraft
from service.ports.store import AccessTransaction
from service.web.console.facts_form import Fields
from service.web.console.listing import access_under


@dataclass(frozen=True, slots=True)
class ShownDraft:
    """One line of a list of drafts."""

    id: UUID
    version: int
    #: empty while it has none
    title: str
    #: language of the title, where it is not the reader's
    title_language: str | None
    is_of_alert: bool
    is_touched: bool
    resolved_at: datetime | None
    changed_at: datetime
    #: name of the account that changed it last; empty where that was an alert
    changed_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DraftDifference:
    """One field that two people filled differently."""

    field: str
    mine: str
    theirs: str


def listed_drafts(
    tx: AccessTransaction, secret_box: SecretBox, account_id: UUID, language: str
) -> Sequence[ShownDraft]:
    """Return the drafts that an account may work on, for ``drafts_strip.html.jinja``."""
    return [shown_draft(tx, secret_box, draft, language) for draft in drafts_of(tx, account_id)]


async def drafts_for(access: Access, secret_box: SecretBox, language: str) -> Sequence[ShownDraft]:
    """Return the drafts that a caller may work on, for a page under another permission; none without the right."""
    reading = access_under(access, Permission.INCIDENT_DECLARE)
    if reading is None:
        return ()
    account_id = access.caller.account_id
    return await reading.read(lambda tx: listed_drafts(tx, secret_box, account_id, language))


def shown_draft(tx: AccessTransaction, secret_box: SecretBox, draft: IncidentDraft, language: str) -> ShownDraft:
    """Return one draft as a list shows it."""
    titles = _titles(content_of(secret_box, draft))
    spoken = next((each for each in (language, *LANGUAGES) if titles.get(each)), None)
    return ShownDraft(
        id=draft.id,
        version=draft.version,
        title="" if spoken is None else on_one_line(titles[spoken])[:200],
        title_language=None if spoken == language else spoken,
        is_of_alert=draft.alert_key is not None,
        is_touched=draft.is_touched,
        resolved_at=draft.resolved_at,
        changed_at=draft.changed_at,
        changed_by=_name_of(tx, draft.changed_by),
        expires_at=draft.changed_at + KEPT_FOR,
    )


def _titles(content: DraftContent) -> Mapping[str, str]:
    if content.fields is not None:
        fields = Fields(content.fields)
        return {language: fields[f"title.{language}"] for language in LANGUAGES}
    title: Any = content.facts.get("title")
    if isinstance(title, str):
        return {LANGUAGES[0]: title}
    return {key: str(said) for key, said in title.items()} if isinstance(title, Mapping) else {}


def _name_of(tx: AccessTransaction, actor: str) -> str:
    kind, _, identifier = actor.partition(":")
    if kind != "account":
        return ""
    try:
        account = tx.accounts.get(UUID(identifier))
    except (OutOfScopeError, ValueError):
        return ""
    return "" if account is None else account.name


def differences(mine: Fields, theirs: Fields) -> list[DraftDifference]:
    """Return the fields whose values differ, by name."""
    names = sorted(mine.values.keys() | theirs.values.keys())
    found = []
    for name in names:
        # A browser sends every line break as two characters.
        one, other = ("\n".join(each.all(name)).replace("\r\n", "\n") for each in (mine, theirs))
        if one != other:
            found.append(DraftDifference(name, one, other))
    return found
