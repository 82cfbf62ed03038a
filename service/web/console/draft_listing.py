"""Drafts as lists on pages show them, and where two texts of one differ."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
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
from service.ports.drafts import Draft, DraftKind
from service.ports.store import AccessTransaction
from service.web.console.facts_form import Fields
from service.web.console.listing import access_under

#: The form of each kind.
FORM_PATHS = {DraftKind.INCIDENT: "/incidents/new", DraftKind.ANNOUNCEMENT: "/announcements/new"}
#: The list from which drafts of a kind are discarded.
LIST_PATHS = {DraftKind.INCIDENT: "/drafts", DraftKind.ANNOUNCEMENT: "/announcements/drafts"}
#: Who may declare a kind may work on its drafts.
_PERMISSIONS = {
    DraftKind.INCIDENT: Permission.INCIDENT_DECLARE,
    DraftKind.ANNOUNCEMENT: Permission.ANNOUNCEMENT_CHANGE,
}


@dataclass(frozen=True, slots=True)
class ShownDraft:
    """One line of a list of drafts."""

    kind: DraftKind
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

    @property
    def path(self) -> str:
        """The form that goes on with it."""
        return f"{FORM_PATHS[self.kind]}?draft={self.id}"

    @property
    def discard_path(self) -> str:
        """Where it is discarded."""
        return f"{LIST_PATHS[self.kind]}/{self.id}/discard"


@dataclass(frozen=True, slots=True)
class DraftDifference:
    """One field that two people filled differently."""

    field: str
    mine: str
    theirs: str


async def drafts_for(
    access: Access, secret_box: SecretBox, language: str, kinds: Iterable[DraftKind] = DraftKind
) -> Sequence[ShownDraft]:
    """Return the drafts that a caller may work on, for ``drafts_strip.html.jinja``: each kind under its permission."""

    def listed(tx: AccessTransaction, kind: DraftKind) -> list[ShownDraft]:
        return [shown_draft(tx, secret_box, each, language) for each in drafts_of(tx, access.caller.account_id, kind)]

    found: list[ShownDraft] = []
    for kind in kinds:
        reading = access_under(access, _PERMISSIONS[kind])
        if reading is not None:
            found += await reading.read(partial(listed, kind=kind))
    return sorted(found, key=lambda draft: draft.changed_at, reverse=True)


def shown_draft(tx: AccessTransaction, secret_box: SecretBox, draft: Draft, language: str) -> ShownDraft:
    """Return one draft as a list shows it."""
    titles = _titles(content_of(secret_box, draft))
    spoken = next((each for each in (language, *LANGUAGES) if titles.get(each)), None)
    return ShownDraft(
        kind=draft.kind,
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
