"""Complete records of announcements and registered letters, with a different value in every field."""

from uuid import uuid4

from notifications.incident import AnnouncedItem, Announcement, LocalizedText
from notifications.ports import AnnouncedCustomer, Consent, LetterState, LetterTask
from support.records import NOW, after, make_facts, make_incident


def make_announcement(*, chosen=(), **changes):
    """Return an announcement, as the incident that it is stored as; ``chosen``: ids of customers."""
    items = (AnnouncedItem("nature", LocalizedText.of({"en": "Work"})),)
    announced = Announcement("planned_work", items, after(days=9), customers=chosen)
    return make_incident(facts=make_facts(affected_customers=(), announcement=announced), **changes)


def make_announced(announcement, customer, **changes):
    """Return what became of an announcement at a customer."""
    given = {
        "id": uuid4(),
        "announcement_id": announcement.id,
        "customer_id": customer.id,
        "facts_version": 1,
        "concern": "concerned",
        "agreement_id": "secnumcloud_2026",
        "clause": "5.1",
        "due_at": after(days=1),
        "binding": "hard",
        "due_clause": "DPA 13",
        "decided_at": NOW,
        "consent": Consent.GIVEN,
        "consent_name": "Erika",
        "consent_reason": "Fine",
        "consent_by": "account:erika",
        "consent_at": after(hours=2),
    }
    return AnnouncedCustomer(**given | changes)


def make_letter(notice, **changes):
    """Return a letter task of a notice."""
    given = {
        "id": uuid4(),
        "notice_id": notice.id,
        "customer_id": notice.customer_id,
        "state": LetterState.OPEN,
        "due_at": after(days=3),
        "created_at": NOW,
    }
    return LetterTask(**given | changes)
