"""Schemas of announcements, and how records become them."""

from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from notifications.decision.announced import Concern
from notifications.incident import (
    AnnouncedItem,
    Announcement,
    AnnouncementState,
    Incident,
    IncidentFacts,
    IncidentState,
    LocalizedText,
    Tlp,
    announcement_state,
)
from notifications.notice import Notice, NoticeState
from notifications.ports import AnnouncedCustomer, Consent, Transaction
from service.web.api.context import ApiContext
from service.web.api.fields import Code, CountedMoment, LineText, Moment, Out, ProseText, Schema, localized
from service.web.api.notices.notice_schemas import NoticeOut, notice_out

_EXAMPLE: JsonDict = {
    "kind": "planned_work",
    "title": {"en": "New storage controllers", "fr": "Nouveaux contrôleurs de stockage"},
    "text": {"en": "We replace the storage controllers.", "fr": "Nous remplaçons les contrôleurs de stockage."},
    "items": {
        "nature": {"en": "Replacement of hardware", "fr": "Remplacement de matériel"},
        "planned_times": {"en": "12 January, 22:00 to 24:00", "fr": "Le 12 janvier, de 22 h à 24 h"},
        "impact_and_residual_risk": {"en": "None expected", "fr": "Aucun attendu"},
        "mitigation": {"en": "One controller at a time", "fr": "Un contrôleur à la fois"},
        "responsible_contact": {"en": "Operations, +33 1 00 00 00 00", "fr": "Exploitation, +33 1 00 00 00 00"},
    },
    "occurs_at": "2027-01-12T22:00:00+01:00",
    "ends_at": "2027-01-13T00:00:00+01:00",
}


class AnnouncementIn(Schema):
    """What is announced. `GET /agreements` lists the kinds of notice with their items, channels and times."""

    model_config = ConfigDict(**Schema.model_config, json_schema_extra={"examples": [_EXAMPLE]})

    kind: Code = Field(description="Id of the kind of notice in the agreements, such as `planned_work`.")
    title: LineText
    text: ProseText = Field(description="What is announced, in words that every concerned customer may read.")
    items: dict[Code, ProseText] = Field(
        default_factory=dict, max_length=50, description="Text of each item of the kind, by its id."
    )
    occurs_at: CountedMoment = Field(
        description="When it begins, takes effect, or happened. Lead times are counted from it."
    )
    ends_at: CountedMoment | None = None
    customers: list[UUID] = Field(default_factory=list, max_length=10_000, description="Empty: every customer.")
    products: list[Code] = Field(default_factory=list, max_length=50, description="Empty: every product.")
    services: list[Code] = Field(default_factory=list, max_length=1_000, description="Empty: every service.")
    regions: list[Code] = Field(default_factory=list, max_length=1_000, description="Empty: every region.")
    tlp: Tlp = Tlp.AMBER_STRICT

    def to_domain(self, context: ApiContext) -> IncidentFacts:
        """Return the facts of an announcement that the provider declares now."""

        def text(stated: LineText | ProseText) -> LocalizedText:
            return localized(stated, context.default_language) or LocalizedText(())

        return IncidentFacts(
            title=text(self.title),
            summary=text(self.text),
            aware_at=context.clock.now(),
            tlp=self.tlp,
            services=tuple(self.services),
            regions=tuple(self.regions),
            announcement=Announcement(
                kind=self.kind,
                items=tuple(AnnouncedItem(name, text(stated)) for name, stated in self.items.items()),
                occurs_at=self.occurs_at,
                ends_at=self.ends_at,
                customers=tuple(dict.fromkeys(self.customers)),
                products=tuple(dict.fromkeys(self.products)),
            ),
        )


class ConsentOut(Out):
    """What a customer answered to the question for its consent."""

    state: Consent
    name: str | None = Field(description="The person that answered for the customer.")
    reason: str | None
    answered_at: Moment | None
    answered_by: str | None


class AnnouncedCustomerOut(Out):
    """One customer of an announcement."""

    customer_id: UUID
    customer_name: str
    concern: Concern = Field(description="Whether it is concerned (`concerned`, `told_before`), or why it is not.")
    agreement_id: str | None
    clause: str | None = Field(
        description="Where the agreement and the DPA that bind the customer have this kind of notice."
    )
    due_at: Moment | None
    binding: str | None = Field(description="How strictly `due_at` binds: `hard`, `soft` or `no_number`.")
    due_clause: str | None = Field(
        description="The clause whose time makes `due_at`; of several the stricter counts. Null without one."
    )
    consent: ConsentOut | None = Field(description="Null where the agreement does not ask for consent first.")
    notices: list[NoticeOut]


class AnnouncementOut(Out):
    """An announcement in its present state."""

    id: UUID
    ticket: str
    state: str = Field(description="`open`; `closed` once it was carried out or cancelled, or its time passed.")
    version: int = Field(description="Also the ETag.")
    kind: str
    cancelled: bool
    outcome: AnnouncementState = Field(
        description="`open`, `carried_out`, `cancelled`, or `elapsed`: its time has passed, and nobody said what became"
        " of it. It can then still be changed, cancelled, or recorded as carried out."
    )
    title: dict[str, str]
    text: dict[str, str]
    items: dict[str, dict[str, str]]
    occurs_at: Moment
    ends_at: Moment | None
    customers: list[UUID] = Field(description="As declared; empty: every customer.")
    products: list[str]
    services: list[str]
    regions: list[str]
    tlp: str
    declared_at: Moment
    declared_by: str
    updated_at: Moment
    closed_at: Moment | None


class AnnouncementInFull(AnnouncementOut):
    """An announcement with what was decided for each customer."""

    concerned: list[AnnouncedCustomerOut]
    not_concerned: list[AnnouncedCustomerOut]


class AnnouncementPage(Out):
    """A page of announcements, newest first."""

    items: list[AnnouncementOut]
    next_cursor: str | None


class ReleasedNotices(Out):
    """The notices that were released."""

    items: list[NoticeOut]


def consent_out(record: AnnouncedCustomer) -> ConsentOut | None:
    """Return the schema of the consent; None where the agreement asks for none."""
    if record.consent is None:
        return None
    return ConsentOut.model_construct(
        state=record.consent,
        name=record.consent_name,
        reason=record.consent_reason,
        answered_at=record.consent_at,
        answered_by=record.consent_by,
    )


def announcement_fields(announcement: Incident) -> dict[str, Any]:
    """Return the fields of an announcement in a list."""
    facts, announced = announcement.facts, announcement.facts.announcement
    if announced is None:
        raise LookupError(f"{announcement.ticket} is no announcement")
    return {
        "id": announcement.id,
        "ticket": announcement.ticket,
        "state": announcement.state.value,
        "version": announcement.version,
        "kind": announced.kind,
        "cancelled": announced.cancelled,
        "outcome": announcement_state(announced, is_open=announcement.state is IncidentState.OPEN),
        "title": facts.title.as_mapping(),
        "text": facts.summary.as_mapping(),
        "items": {item.id: item.text.as_mapping() for item in announced.items},
        "occurs_at": announced.occurs_at,
        "ends_at": announced.ends_at,
        "customers": list(announced.customers),
        "products": list(announced.products),
        "services": list(facts.services),
        "regions": list(facts.regions),
        "tlp": facts.tlp.value,
        "declared_at": announcement.opened_at,
        "declared_by": announcement.opened_by,
        "updated_at": announcement.updated_at,
        "closed_at": announcement.closed_at,
    }


def announcement_in_full(tx: Transaction, announcement: Incident) -> AnnouncementInFull:
    """Return the schema of an announcement with its customers; concerned ones are those with a notice or owed one."""
    notices: dict[UUID, list[Notice]] = {}
    for notice in tx.notices.of_incident(announcement.id):
        if notice.state is not NoticeState.WITHDRAWN:
            notices.setdefault(notice.customer_id, []).append(notice)
    listed = [
        (Concern(each.concern), _customer_out(tx, each, notices.get(each.customer_id, [])))
        for each in tx.announcements.customers(announcement.id)
    ]
    return AnnouncementInFull.model_construct(
        **announcement_fields(announcement),
        concerned=[out for concern, out in listed if concern.is_told],
        not_concerned=[out for concern, out in listed if not concern.is_told],
    )


def _customer_out(tx: Transaction, record: AnnouncedCustomer, notices: list[Notice]) -> AnnouncedCustomerOut:
    return AnnouncedCustomerOut.model_construct(
        customer_id=record.customer_id,
        customer_name=tx.customers.require(record.customer_id).name,
        concern=Concern(record.concern),
        agreement_id=record.agreement_id,
        clause=record.clause,
        due_at=record.due_at,
        binding=record.binding,
        due_clause=record.due_clause,
        consent=consent_out(record),
        notices=[notice_out(notice, at_provider=True) for notice in notices],
    )
