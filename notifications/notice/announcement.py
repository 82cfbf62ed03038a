"""The document of a notice that is about no incident: what is announced, by the clause of the customer's agreement.

It has the head of an incident's document, and says nothing of a classification, an effect or personal data.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from notifications.agreement import Agreement, Reference
from notifications.agreement.commitments import NoticeKind
from notifications.canonical_json import timestamp_text
from notifications.customer.records import Customer, NewsChannel
from notifications.decision.announced import AnnouncedDue, announced_due
from notifications.incident import Announcement, Incident, IncidentFacts
from notifications.notice.document import OWN_TIMESTAMP, SHARED_TIMESTAMP, Provider, document_head
from notifications.notice.life import Notice
from notifications.notice.rendered import ComposedNotice, rendered_document

#: The ``schema`` of every such document.
ANNOUNCEMENT_SCHEMA = "greffier.announcement/1"


def compose_announcement(
    *,
    notice: Notice,
    incident: Incident,
    facts: IncidentFacts,
    announced: Announcement,
    kind: NoticeKind,
    previous: Announcement | None,
    customer: Customer,
    agreement: Agreement,
    provider: Provider,
    issued_at: datetime,
    supersedes: tuple[int, str] | None,
    timestamp_independent: bool | None,
    languages: Sequence[str],
    zones: Sequence[tuple[str, str]] = (),
    named: tuple[str, str] | None = None,
    shares_timestamp: bool = False,
) -> ComposedNotice:
    """Return the notice of one customer on one version of an announcement; the arguments are those of an incident's.

    ``kind``: the kind of notice in what binds the customer. ``previous``: the version of the previous notice. Only the
    items that this kind has are stated: another agreement may ask for others. ``named``: before an erasure, the
    customer's pseudonym and its salt in hexadecimal. With them the customer shows which certificate is its own.
    """
    roles = (Reference.COMPLAINT, Reference.STATUS_AND_HISTORY)
    references = {role.value: agreement.references[role] for role in roles if role in agreement.references}
    stated = {item.id: item.text for item in announced.items}
    due = announced_due(agreement, kind, announced.occurs_at, facts.aware_at)
    document = document_head(
        notice=notice,
        incident=incident,
        facts=facts,
        customer=customer,
        agreement=agreement,
        references=references,
        provider=provider,
        issued_at=issued_at,
        supersedes=supersedes,
    ) | {
        "schema": ANNOUNCEMENT_SCHEMA,
        "announcement": {
            "kind": kind.id,
            "clause": kind.clause,
            "title": kind.title.as_mapping(),
            "text": facts.summary.as_mapping(),
            "occurs_at": timestamp_text(announced.occurs_at),
            "ends_at": None if announced.ends_at is None else timestamp_text(announced.ends_at),
            "reports": kind.after is not None,
            "items": [
                {
                    "id": item.id,
                    "label": item.text.as_mapping(),
                    "clause": item.clause or kind.clause,
                    "text": stated[item.id].as_mapping(),
                }
                for item in kind.items
                if item.id in stated
            ],
            "services": list(facts.services),
            "regions": list(facts.regions),
            "channels": [channel.value for channel in kind.used_channels],
            "lead": _time(due) if kind.lead else None,
            "after": _time(due) if kind.after else None,
            "consent_first": kind.consent_first,
            "cancelled": announced.cancelled,
            "moved_from": None
            if previous is None or previous.occurs_at == announced.occurs_at
            else timestamp_text(previous.occurs_at),
        }
        | ({} if named is None else {"erasure": {"pseudonym": named[0], "salt": named[1]}}),
        # As in the document of an incident: a verifier reads it, and an announcement has no effect of an incident.
        "effect": None,
        "news_channel": NewsChannel.SAME.value,
        "timestamping": SHARED_TIMESTAMP if shares_timestamp else OWN_TIMESTAMP,
        "timestamp_independent": timestamp_independent,
    }
    return rendered_document(document, languages, zones, None)


def _time(due: AnnouncedDue) -> dict[str, Any] | None:
    time = due.time
    if time is None:
        return None
    return {
        "days": time.days,
        "months": time.months,
        "day_count": time.day_count.value,
        "binding": time.binding.value,
        "clause": due.clause,
    }
