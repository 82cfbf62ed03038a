"""The legal duties of a customer that a sealed notice may start, and what the notice can fill of each report.

Everything comes from the sealed notice and from what the customer states of itself, never from newer facts: so the
customer reads nothing that it was not served.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from notifications.customer.legal_profile import LegalProfile, entity_of
from notifications.customer.records import ContactRole
from notifications.duties import Clock, Moments, Owner, Start, clocks
from notifications.duties.dora_report import (
    NOTHING_STATED,
    ContactPerson,
    DoraReport,
    OwnStatements,
    Submission,
    dora_report,
)
from notifications.duties.records import CustomerSubmission, submissions_in_force
from notifications.errors import NotFoundError
from notifications.incident import PersonalDataBreach
from notifications.notice.own_deadlines import customer_occasions
from notifications.ports import Transaction
from notifications.use_cases.legal_duties import LegalDuties
from notifications.wording.exercise import marked
from notifications.wording.report_items import report_items

#: Duty -> the report of the DORA template.
DORA_REPORTS: Mapping[str, Submission] = MappingProxyType({
    "dora_initial": Submission.INITIAL,
    "dora_intermediate": Submission.INTERMEDIATE,
    "dora_final": Submission.FINAL,
})  # fmt: skip
#: What the documents of earlier releases do not say.
_NOT_SAID: Mapping[str, Any] = MappingProxyType({
    "cause_of_incident": {"cause": None, "intent": None, "unavailable": False},
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OwnDuty:
    """One duty of the customer."""

    clock: Clock
    #: item -> text that the notice fills
    filled: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CustomerDuties:
    """The duties of a customer that a notice may start."""

    document: Mapping[str, Any]
    profile: LegalProfile | None
    duties: tuple[OwnDuty, ...]
    #: every record of what the customer submitted, oldest first; empty for readers who are not the customer's
    submissions: tuple[CustomerSubmission, ...] = ()

    def recorded(self, duty_id: str) -> list[CustomerSubmission]:
        """Return the records on a duty that are neither corrected nor taken back."""
        return [each for each in submissions_in_force(self.submissions) if each.duty_id == duty_id]


def customer_duties(
    tx: Transaction,
    notice_id: UUID,
    duties: LegalDuties,
    *,
    aware_at: datetime | None = None,
    classified_at: datetime | None = None,
    submissions: Mapping[str, Sequence[datetime]] = MappingProxyType({}),
    language: str | None = None,
    records: bool = True,
) -> CustomerDuties:
    """Return the duties of the customer of a sealed notice; raises NotFoundError.

    ``aware_at``, ``classified_at`` and ``submissions`` (id of a duty to moments) are the customer's own, if it states
    them: the provider does not know them, and they are not stored. Without them no limit is computed. Reports that the
    customer recorded as submitted count too, unless ``records`` is False: they are for the customer's own people.
    ``language`` None is the customer's.
    """
    document = _document(tx, notice_id)
    customer = tx.customers.require(UUID(document["customer"]["id"]))
    profile = tx.duties.legal_profile(customer.id)
    stated = {Start.AWARENESS: aware_at, Start.CLASSIFICATION: classified_at}
    recorded = tx.duties.customer_submissions(notice_id) if records else ()
    sent = {duty_id: list(moments) for duty_id, moments in submissions.items()}
    for record in submissions_in_force(recorded):
        sent.setdefault(record.duty_id, []).append(record.submitted_at)
    found = clocks(
        duties.law,
        entity_of(profile),
        {Owner.CUSTOMER},
        customer_occasions(_breach(document)),
        Moments({start: moment for start, moment in stated.items() if moment is not None}, sent),
        aware_at or datetime.fromisoformat(document["times"]["aware_at"]),
    )
    spoken, zone = language or customer.language, document["customer"]["time_zone"]
    own = [OwnDuty(clock, report_items(document, clock.duty, spoken, zone)) for clock in found]
    return CustomerDuties(document, profile, tuple(own), tuple(recorded))


def customer_dora_report(
    tx: Transaction,
    notice_id: UUID,
    submission: Submission,
    duties: LegalDuties,
    stated: OwnStatements = NOTHING_STATED,
) -> DoraReport:
    """Return the draft of a DORA report from a sealed notice; raises NotFoundError.

    ``stated`` is only used for this draft and not stored.
    The description of an exercise has the mark of an exercise: the template has no field for it.
    The person in charge is the customer's security contact, else its first one, else the provider's contact point.
    """
    document = _document(tx, notice_id)
    if document.get("exercise") is True:
        said = document["what_happened"].items()
        document["what_happened"] = {language: marked(text, language) for language, text in said}
    customer_id = UUID(document["customer"]["id"])
    contacts = [contact for contact in tx.customers.contacts(customer_id) if contact.active]
    contacts.sort(key=lambda contact: (contact.role is not ContactRole.SECURITY, contact.order))
    point = document["provider"]["contact_point"]
    person = (
        ContactPerson(contacts[0].name, contacts[0].email, contacts[0].phone)
        if contacts
        else ContactPerson(point["name"], point["email"], point["phone"])
    )
    entity = entity_of(tx.duties.legal_profile(customer_id))
    return dora_report(document, entity, duties.law.sectors, person, submission, stated)


def _document(tx: Transaction, notice_id: UUID) -> dict[str, Any]:
    seal = tx.notices.seal(notice_id)
    if seal is None:
        raise NotFoundError("notice", notice_id)
    document = json.loads(seal.document)
    if "announcement" in document:
        # An announcement starts no legal clock.
        raise NotFoundError("duties of notice", notice_id)
    return {**_NOT_SAID, **document}


def _breach(document: Mapping[str, Any]) -> PersonalDataBreach:
    """Return the breach as the notice states it. A notice without the section does not say that there is none."""
    stated = document["personal_data"]
    return PersonalDataBreach.UNKNOWN if stated is None else PersonalDataBreach(stated["breach"])
