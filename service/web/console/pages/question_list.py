"""Questions about notices as pages show them, with what a reply form needs; include ``questions.html.jinja``."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from notifications.customer.records import Customer
from notifications.delivery.question import Question
from notifications.errors import required
from notifications.notice import Notice
from notifications.use_cases.notices.ask_question import later_notices
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.notices.questions import names_of


@dataclass(frozen=True, slots=True)
class ShownQuestion:
    """A question with its notice, who asked, and the notices that may answer it."""

    question: Question
    notice: Notice
    #: None where the reader may not read customers
    customer: Customer | None
    asked_by: str | None
    #: empty for a reader who does not reply
    later: Sequence[Notice]
    #: the notice that answers it; None also where it is later than the period of an auditor
    answering: Notice | None


def questions_of_incident(tx: AccessTransaction, access: Access, incident_id: UUID) -> list[ShownQuestion]:
    """Return the questions about all notices of an incident, oldest first."""
    return shown_questions(tx, access, tx.questions.of_incident(incident_id))


def shown_questions(tx: AccessTransaction, access: Access, questions: Sequence[Question]) -> list[ShownQuestion]:
    """Return questions as a page shows them; notices and customers are read once each."""
    named, may_reply = names_of(tx), access.may(Permission.INCIDENT_CHANGE)
    notices: dict[UUID, Notice | None] = {}
    customers: dict[UUID, Customer | None] = {}
    found = []
    for question in questions:
        for notice_id in (question.notice_id, question.answering_notice_id):
            if notice_id is not None and notice_id not in notices:
                notices[notice_id] = tx.notices.get(notice_id)
        if question.customer_id not in customers and access.may(Permission.CUSTOMER_READ):
            customers[question.customer_id] = tx.customers.get(question.customer_id)
        notice = required("notice", question.notice_id, notices[question.notice_id])
        found.append(
            ShownQuestion(
                question,
                notice,
                customers.get(question.customer_id),
                named(question.asked_by),
                later_notices(tx, notice) if may_reply and question.answered_at is None else (),
                None if question.answering_notice_id is None else notices[question.answering_notice_id],
            )
        )
    return found
