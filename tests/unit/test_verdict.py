"""The verdict on the steps of a verifier: what each ending of them comes to."""

from dataclasses import replace

import pytest

from notifications.errors import UnreadableMailError, VerificationError
from notifications.evidence.verdict import Judgement, Verdict, judge, judge_notice_mail
from notifications.evidence.verification import VerifiedStep
from support.sealed_sample import Office

HELD = VerifiedStep(1, "structure", "x")
CHANGED = VerifiedStep(2, "mail signature", "x", changed=("one thing", "another"))


def ended_by(error):
    yield HELD
    yield CHANGED
    raise error


def test_genuine_is_what_held_in_every_step():
    assert judge(iter((HELD, HELD))) == Judgement(Verdict.GENUINE, (HELD, HELD), None, ())
    # A step that follows, or that was taken in part, is no fault.
    waiting = replace(HELD, pending=True, partial=True)
    assert judge(iter((waiting,))).verdict is Verdict.GENUINE


def test_what_was_changed_around_it_is_named_in_order():
    assert judge(iter((HELD, CHANGED, CHANGED))) == Judgement(
        Verdict.CHANGED_OUTSIDE, (HELD, CHANGED, CHANGED), None, ("one thing", "another", "one thing", "another")
    )


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (VerificationError("timestamp", "why"), Verdict.NOT_GENUINE),
        (UnreadableMailError("timestamp", "why"), Verdict.UNREADABLE),
    ],
)
def test_a_step_that_fails_ends_it_with_its_reason_alone(error, verdict):
    assert judge(ended_by(error)) == Judgement(verdict, (HELD, CHANGED), "timestamp", ("why",))


def test_what_is_no_refusal_is_no_verdict():
    with pytest.raises(KeyError):
        judge(ended_by(KeyError("a defect")))


def test_verdicts_have_their_names():
    assert [*Verdict] == ["genuine", "changed_outside", "not_genuine", "unreadable"]


def test_a_judgement_is_a_value():
    found = Judgement(Verdict.GENUINE, (HELD,))
    assert {found, replace(found)} == {found}
    assert not hasattr(found, "__dict__")
    assert (found.failed_step, found.reasons) == (None, ())


def test_of_a_mail(tmp_path):
    office = Office(tmp_path)
    mail = office.mail()
    assert judge_notice_mail(mail, office.trust).verdict is Verdict.GENUINE
    assert judge_notice_mail(b"x" + mail, office.trust).verdict is not Verdict.GENUINE
    assert judge_notice_mail(mail + b"P.S.", office.trust).verdict is Verdict.CHANGED_OUTSIDE
    assert judge_notice_mail(mail.replace(b"pool", b"pooL", 1), office.trust).verdict is Verdict.NOT_GENUINE
