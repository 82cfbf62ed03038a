"""Legal profiles, assessments, drafts and submissions for tests of the store: complete, with every field filled."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from notifications.customer.legal_profile import LegalProfile
from notifications.duties.records import CustomerSubmission, DutyAssessment, ReportDraft, ReportSubmission
from support.records import NOW


def make_legal_profile(customer, **changes):
    made = LegalProfile(
        customer.id,
        1,
        "DE",
        "DE-BY",
        ("credit_institution", "nis2_essential"),
        "969500TJ5KRTCJQWXH05",
        NOW,
        "account:a",
    )
    return replace(made, **changes)


def make_assessment(incident, **changes):
    made = DutyAssessment(
        incident.id,
        1,
        (("death", "no"), ("loss", "yes")),
        600_000,
        "storage controller",
        NOW,
        NOW + timedelta(hours=1),
        NOW + timedelta(hours=2),
        "as the on-call engineer said",
        NOW,
        "account:a",
    )
    return replace(made, **changes)


def make_submission(incident, **changes):
    made = ReportSubmission(
        uuid4(),
        incident.id,
        "nis2_early_warning",
        NOW,
        "ANSSI",
        "REF-1",
        "Ada",
        (("description", "x"), ("malicious", "y")),
        uuid4(),
        "the time was wrong",
        False,
        NOW + timedelta(minutes=1),
        "account:a",
    )
    return replace(made, **changes)


def make_draft(incident, **changes):
    made = ReportDraft(incident.id, "nis2_notification", 1, (("description", "x"),), NOW, "account:a")
    return replace(made, **changes)


def make_own_submission(notice, **changes):
    made = CustomerSubmission(
        uuid4(),
        notice.customer_id,
        notice.id,
        "nis2_early_warning",
        NOW,
        "BSI",
        "REF-2",
        uuid4(),
        False,
        NOW + timedelta(minutes=1),
        "account:mia",
    )
    return replace(made, **changes)
