"""Review and release: what is released is served, and cannot be taken back."""

from dataclasses import replace
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError
from notifications.notice import Notice, NoticeState
from notifications.ports import Transaction
from notifications.use_cases.act import Act
from notifications.use_cases.deciding import notice_subjects


def release_notice(tx: Transaction, act: Act, notice_id: UUID, expected_version: int) -> Notice:
    """Release one draft.

    Raises NotFoundError, VersionMismatchError, StateConflictError when it is no draft any more.
    """
    notice = tx.notice(notice_id)
    if notice is None:
        raise NotFoundError("notice", notice_id)
    if notice.version != expected_version:
        raise VersionMismatchError("notice", notice_id, expected_version, notice.version)
    if notice.state is not NoticeState.DRAFT:
        raise StateConflictError(f"notice {notice_id} is {notice.state.value}, not a draft")
    return _release(tx, act, [notice])[0]


def release_drafts(tx: Transaction, act: Act, incident_id: UUID, expected_version: int) -> list[Notice]:
    """Release every draft of an incident at once; all of them or none.

    ``expected_version`` is the incident's: what the analyst reviewed is what goes out.
    """
    incident = tx.incident(incident_id)
    if incident is None:
        raise NotFoundError("incident", incident_id)
    if incident.version != expected_version:
        raise VersionMismatchError("incident", incident_id, expected_version, incident.version)
    drafts = [notice for notice in tx.notices_of_incident(incident_id) if notice.state is NoticeState.DRAFT]
    if not drafts:
        raise StateConflictError(f"incident {incident.ticket} has no draft to release")
    return _release(tx, act, drafts)


def _release(tx: Transaction, act: Act, drafts: list[Notice]) -> list[Notice]:
    released = []
    entries: list[AuditEntry] = []
    for draft in drafts:
        notice = replace(
            draft,
            state=NoticeState.RELEASED,
            released_at=act.now,
            released_by=act.actor,
            version=draft.version + 1,
        )
        tx.save_notice(notice, draft.version)
        entries.append(
            act.entry(
                "notice.released",
                subjects=notice_subjects(notice, tx.customer_pseudonym(notice.customer_id)),
                detail={
                    "sequence": notice.sequence,
                    "kind": notice.kind.value,
                    "facts_version": notice.facts_version,
                    "due_at": timestamp_text(notice.due_at),
                },
            )
        )
        released.append(notice)
    tx.append_audit(entries)
    return released
