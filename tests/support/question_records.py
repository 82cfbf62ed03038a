"""Questions and feedback for tests of the store: complete, with every optional field filled."""

from dataclasses import replace
from uuid import uuid4

from notifications.delivery.question import Feedback, Helped, Question
from support.numbering import numbers
from support.records import NOW, after

_numbers = numbers()


def make_question(notice, **changes):
    made = Question(
        uuid4(), notice.id, notice.customer_id, f"account:{next(_numbers)}", NOW, "Et chez nous ?\n\u2028 é"
    )
    return replace(made, **changes)


def answered(question, **changes):
    given = {"reply": "Oui", "answered_by": "account:p", "answered_at": after(microseconds=4), "version": 2}
    return replace(question, **given | changes)


def make_feedback(notice, **changes):
    made = Feedback(notice.id, notice.customer_id, f"account:{next(_numbers)}", Helped.PARTLY, "Presque", NOW)
    return replace(made, **changes)
