"""Keep drafts: encrypted, changed only at the version that was read, seen only by those who may work on them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.use_cases.audit_context import AuditContext
from service.crypto.secret_box import SecretBox
from service.ports.drafts import SEALED_FOR, Draft, DraftKind
from service.ports.store import AccessTransaction

#: Largest content of one draft. The texts of an incident in three languages are smaller.
MAX_CONTENT_BYTES = 600_000
#: Drafts of one account.
MAX_OF_OWNER = 50
#: Drafts of alerts that are listed.
MAX_LISTED = 200


@dataclass(frozen=True, slots=True)
class DraftContent:
    """What a draft holds: facts, or the fields of a form as they were typed, which may not be facts yet."""

    #: in the shape of ``FactsIn``, as far as they are there; of an announcement only its fields are kept
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: the fields of the page; None for a draft that no page has saved
    fields: Mapping[str, Sequence[str]] | None = None
    #: the alert that made it: its source, labels, annotations; empty for a person's draft
    alert: Mapping[str, Any] = field(default_factory=dict)
    #: the opened page that saved it last: its later texts replace its earlier ones, even if an answer was lost
    page_id: str = ""

    def as_bytes(self) -> bytes:
        """Return the content as JSON; raises InvalidInputError where it is too large."""
        shape = {"facts": self.facts, "fields": self.fields, "alert": self.alert, "page_id": self.page_id}
        # ASCII escapes: a lone surrogate that was typed is kept too.
        content = json.dumps(shape, separators=(",", ":")).encode("ascii")
        if len(content) > MAX_CONTENT_BYTES:
            raise InvalidInputError(Fault("facts", f"a draft must not have more than {MAX_CONTENT_BYTES} bytes"))
        return content


def content_of(secret_box: SecretBox, draft: Draft) -> DraftContent:
    """Return the content of a draft; raises SecretUnreadableError."""
    shape = json.loads(secret_box.open(draft.sealed, purpose=SEALED_FOR, owner=str(draft.id)))
    return DraftContent(shape["facts"], shape["fields"], shape["alert"], shape["page_id"])


def sealed(secret_box: SecretBox, draft_id: UUID, content: DraftContent) -> bytes:
    """Return the content encrypted for one draft."""
    return secret_box.seal(content.as_bytes(), purpose=SEALED_FOR, owner=str(draft_id))


def is_visible(draft: Draft, account_id: UUID, kind: DraftKind) -> bool:
    """Whether an account that may declare a kind may work on a draft: its own, or one that an alert made."""
    return draft.kind is kind and (draft.owner_id is None or draft.owner_id == account_id)


def open_draft(tx: AccessTransaction, draft_id: UUID, account_id: UUID, kind: DraftKind) -> Draft | None:
    """Return a draft that the account may work on; None where it is gone, never saved, another's or of another kind."""
    draft = tx.drafts.get(draft_id)
    return None if draft is None or draft.closed_at is not None or not is_visible(draft, account_id, kind) else draft


def require_draft(tx: AccessTransaction, draft_id: UUID, account_id: UUID, kind: DraftKind) -> Draft:
    """Return a draft that the account may work on; raises NotFoundError."""
    draft = open_draft(tx, draft_id, account_id, kind)
    if draft is None:
        raise NotFoundError("draft", draft_id)
    return draft


def drafts_of(tx: AccessTransaction, account_id: UUID, kind: DraftKind) -> list[Draft]:
    """Return the drafts of a kind that an account may work on, the last one that was changed first."""
    found = [draft for draft in tx.drafts.of_owner(account_id) if draft.kind is kind]
    if kind is DraftKind.INCIDENT:
        found += tx.drafts.of_alerts(MAX_LISTED)
    return sorted(found, key=lambda draft: draft.changed_at, reverse=True)


def put_draft(
    tx: AccessTransaction,
    act: AuditContext,
    secret_box: SecretBox,
    draft_id: UUID,
    account_id: UUID,
    expected_version: int,
    content: DraftContent,
    kind: DraftKind,
) -> Draft:
    """Store what was typed, and return the draft.

    ``expected_version`` is the version that was read; 0 makes a new draft of the account. The alert of a draft stays.
    Raises VersionMismatchError where somebody else changed it, NotFoundError where it is gone, another's or of another
    kind, StateConflictError where the account has too many, InvalidInputError.
    """
    standing = tx.drafts.get(draft_id)
    if standing is not None and (standing.closed_at is not None or not is_visible(standing, account_id, kind)):
        raise NotFoundError("draft", draft_id)
    if standing is None:
        if expected_version:
            raise NotFoundError("draft", draft_id)
        if len(tx.drafts.of_owner(account_id)) >= MAX_OF_OWNER:
            raise StateConflictError(f"an account has at most {MAX_OF_OWNER} drafts: discard one")
        content = replace(content, alert={})
        draft = Draft(
            draft_id, account_id, None, sealed(secret_box, draft_id, content), act.now, act.now, act.actor,
            is_touched=True, kind=kind,
        )  # fmt: skip
        tx.drafts.add(draft)
        return draft
    before = content_of(secret_box, standing)
    if standing.version != expected_version and not is_same_page(standing, before, act, content.page_id):
        raise VersionMismatchError("draft", draft_id, expected_version, standing.version)
    content = replace(content, alert=before.alert)
    draft = replace(
        standing,
        sealed=sealed(secret_box, draft_id, content),
        changed_at=act.now,
        changed_by=act.actor,
        is_touched=True,
        version=standing.version + 1,
    )
    tx.drafts.save(draft, standing.version)
    return draft


def is_same_page(draft: Draft, content: DraftContent, act: AuditContext, page_id: str) -> bool:
    """Whether the opened page that saved a draft last is this one."""
    return bool(page_id) and content.page_id == page_id and draft.changed_by == act.actor


def discard_draft(tx: AccessTransaction, act: AuditContext, secret_box: SecretBox, draft: Draft) -> None:
    """Erase a draft that nobody wants to declare; that an alert was put aside is in the log."""
    _erase(tx, act, secret_box, draft)
    if draft.alert_key is not None:
        tx.audit.append([act.entry("draft.discarded", subjects={"draft": str(draft.id)})])


def _erase(tx: AccessTransaction, act: AuditContext, secret_box: SecretBox, draft: Draft) -> None:
    """Erase a draft; of an alert's draft only the digest of the alert is left, so that it opens no second draft."""
    if draft.alert_key is None:
        tx.drafts.remove(draft.id)
        return
    emptied = replace(
        draft,
        sealed=sealed(secret_box, draft.id, DraftContent()),
        changed_at=act.now,
        changed_by=act.actor,
        closed_at=act.now,
        version=draft.version + 1,
    )
    tx.drafts.save(emptied, draft.version)


def close_declared(
    tx: AccessTransaction,
    act: AuditContext,
    secret_box: SecretBox,
    draft_id: UUID,
    account_id: UUID,
    kind: DraftKind,
    declared_id: UUID,
) -> None:
    """Erase the draft of what was declared; for an alert's draft the log names both.

    A draft that is gone, or another's, changes nothing: what is declared is what counts.
    """
    draft = open_draft(tx, draft_id, account_id, kind)
    if draft is None:
        return
    _erase(tx, act, secret_box, draft)
    if draft.alert_key is not None:
        subjects = {"draft": str(draft_id), "incident": str(declared_id)}
        tx.audit.append([act.entry("draft.declared", subjects=subjects)])
