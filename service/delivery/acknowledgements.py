"""Who opened and who acknowledged a notice, and who did not: one source for API and pages. Records openings too.

Only the customer's own people count as access by the customer. A HEAD request or a prefetch of a browser, which has the
header ``Sec-Purpose``, does not count as an opening.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notifications.customer.records import Contact, Customer
from notifications.delivery.acknowledgement import Acknowledgement, NoticeOpening
from notifications.delivery.delivery import ChannelKind
from notifications.notice import Notice, NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.notices.acknowledge_notice import acknowledgement_by, contact_actor, open_notice
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.accounts import CUSTOMER_ROLES
from service.ports.store import AccessTransaction

_AHEAD = ("sec-purpose", "purpose", "x-moz", "x-purpose")


@dataclass(frozen=True, slots=True)
class AcknowledgementsGiven:
    """An acknowledgement, and the name of who gave it; None if the reader may not know the name."""

    acknowledgement: Acknowledgement
    name: str | None


@dataclass(frozen=True, slots=True)
class NoticeOpened:
    """An opening, and the name of who opened the notice."""

    opening: NoticeOpening
    name: str | None


@dataclass(frozen=True, slots=True)
class AcknowledgementStatus:
    """What is known about one sealed notice: who acknowledged it, who opened it, and who has not yet."""

    notice: Notice
    #: None if the reader may not read customers
    customer: Customer | None
    #: deadline of the acknowledgement; None if the customer does not ask for one
    wanted_by: datetime | None
    given: Sequence[AcknowledgementsGiven]
    opened: Sequence[NoticeOpened]
    #: contacts that got the mail and did not acknowledge; empty if the reader may not read contacts
    missing: Sequence[Contact]

    @property
    def is_acknowledged(self) -> bool:
        """Whether anybody at the customer acknowledged the notice."""
        return bool(self.given)


def acknowledgement_status(tx: AccessTransaction, access: Access, notice: Notice) -> AcknowledgementStatus:
    """Return the status of a notice, as far as the reader may know it."""
    given, opened = tx.notices.acknowledgements(notice.id), tx.notices.openings(notice.id)
    by = {each.by for each in given}
    contacts = access.may(Permission.CONTACT_READ)
    mailed = [each.contact_id for each in tx.deliveries.of_notice(notice.id) if each.channel is ChannelKind.EMAIL]
    waited_for = [each for each in dict.fromkeys(mailed) if each is not None and contact_actor(each) not in by]
    found = [tx.customers.contact(each) for each in waited_for] if contacts else []
    return AcknowledgementStatus(
        notice=notice,
        customer=tx.customers.get(notice.customer_id) if access.may(Permission.CUSTOMER_READ) else None,
        wanted_by=wanted_by(tx, notice),
        given=[AcknowledgementsGiven(each, _name(tx, each.by, contacts=contacts)) for each in given],
        opened=[NoticeOpened(each, _name(tx, each.by, contacts=contacts)) for each in opened],
        missing=[each for each in found if each is not None],
    )


def wanted_by(tx: AccessTransaction, notice: Notice) -> datetime | None:
    """Return the deadline to acknowledge a sealed notice, or None if the customer does not ask for it."""
    clock = tx.escalations.get(notice.id)
    if clock is not None:
        return clock.acknowledge_by
    customer = tx.customers.get(notice.customer_id)
    if customer is None or customer.acknowledge_within_seconds is None or notice.sealed_at is None:
        return None
    return notice.sealed_at + timedelta(seconds=customer.acknowledge_within_seconds)


@dataclass(frozen=True, slots=True)
class IncidentAcknowledgementStatus:
    """The status of an incident's sealed notices: first those without an acknowledgement, by deadline."""

    items: Sequence[AcknowledgementStatus]
    acknowledged: int
    not_acknowledged: int


def incident_acknowledgement_status(
    tx: AccessTransaction, access: Access, incident_id: UUID, limit: int
) -> IncidentAcknowledgementStatus:
    """Return the status of the latest sealed notice of each customer; a later notice contains all of an earlier one.

    1. First the notices without an acknowledgement: those with a deadline, nearest first, then the others.
    2. Then the acknowledged notices. At most ``limit`` in all, with names.
    """
    latest: dict[UUID, Notice] = {}
    for notice in tx.notices.of_incident(incident_id):
        if notice.state is NoticeState.SEALED:
            latest[notice.customer_id] = max(
                latest.get(notice.customer_id, notice), notice, key=lambda item: item.sequence
            )
    done = {each.id: bool(tx.notices.acknowledgements(each.id)) for each in latest.values()}
    times: Mapping[UUID, datetime | None] = {each.id: wanted_by(tx, each) for each in latest.values()}

    def order(notice: Notice) -> tuple[bool, bool, datetime, datetime]:
        wanted = times[notice.id]
        return done[notice.id], wanted is None, wanted or notice.due_at, notice.due_at

    ordered = sorted(latest.values(), key=order)
    acknowledged = sum(done.values())
    return IncidentAcknowledgementStatus(
        [acknowledgement_status(tx, access, notice) for notice in ordered[:limit]],
        acknowledged,
        len(ordered) - acknowledged,
    )


def acts_for(access: Access, customer_id: UUID) -> bool:
    """Whether the caller is one of the customer's own people: not an analyst, and not an auditor of the customer."""
    return any(grant.role in CUSTOMER_ROLES and grant.customer_id == customer_id for grant in access.caller.grants)


def is_content_request(method: str, headers: Mapping[str, str]) -> bool:
    """Whether the caller requests the content in order to read it; false for HEAD and for a prefetch."""
    return method == "GET" and not any("prefetch" in headers.get(name, "").lower() for name in _AHEAD)


async def record_opening(access: Access, notice_id: UUID, method: str, headers: Mapping[str, str]) -> None:
    """Record the first opening of a sealed notice by the caller, one of its customer's people, before the response.

    NOT recorded for people at the provider, for auditors, and if ``is_content_request`` is false.
    """
    if not is_content_request(method, headers):
        return

    def is_first(tx: AccessTransaction) -> bool:
        notice = access.view(tx).notices.get(notice_id)
        return (
            notice is not None
            and notice.state is NoticeState.SEALED
            and acts_for(access, notice.customer_id)
            and all(opening.by != access.actor for opening in tx.notices.openings(notice_id))
        )

    if await access.store.read(is_first):
        await access.write(lambda tx, act: open_notice(tx, act, notice_id))


async def record_reading_of_mail(access: Access, notice_id: UUID, delivery_id: UUID) -> None:
    """Record that somebody at the provider reads a mail in the form in which it was sent, before they get it.

    The mail may hold a link that acknowledges in the name of its contact. With this record one can see who else could
    have used the link. Readings by auditors are in the log anyway.
    """
    if access.scope.is_logged or not access.scope.at_provider:
        return

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        notice = tx.notices.get(notice_id)
        if notice is not None:
            subjects = notice_subjects(notice, tx.customers.pseudonym(notice.customer_id))
            subjects |= {"delivery": str(delivery_id)}
            tx.audit.append([act.entry("delivery.mail_read", subjects=subjects, exercise=notice.exercise)])

    await access.write(work)


def own_acknowledgement(tx: AccessTransaction, access: Access, notice_id: UUID) -> Acknowledgement | None:
    """Return the caller's own acknowledgement of a notice, or None."""
    return acknowledgement_by(tx, notice_id, access.actor)


def _name(tx: AccessTransaction, by: str, *, contacts: bool) -> str | None:
    """Return the name behind an actor of the log; None if there is no such person or the reader may not know it."""
    kind, _, identifier = by.partition(":")
    if kind == "contact":
        contact = tx.customers.contact(UUID(identifier)) if contacts else None
        return None if contact is None else contact.name
    account = tx.accounts.get(UUID(identifier)) if kind == "account" else None
    return None if account is None else account.name
