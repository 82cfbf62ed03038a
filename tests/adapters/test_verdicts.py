"""The verdict on copies of a mail that were saved, carried or changed (``saved_copies``), and what OpenSSL says.

Of a copy whose signed content we call genuine OpenSSL takes the signature over just that content; of one that we call
not genuine or not readable it does not, except where a row says that OpenSSL is not asked.
"""

import subprocess

import pytest

from notifications.errors import VerificationError
from notifications.evidence.verdict import Verdict, judge, judge_notice_mail
from notifications.evidence.verification import MAIL_STEPS, verify_notice_mail
from notifications.mail.signed_mail import parse_signed_mail
from support.saved_copies import CHANGED_OUTSIDE, ROWS, Sample
from support.sealed_sample import Office, steps_of_mail

GENUINE, CHANGED, NOT_GENUINE, UNREADABLE = Verdict
#: What the verifier that raises for any difference comes to.
STRICT = {GENUINE: GENUINE, CHANGED: NOT_GENUINE, NOT_GENUINE: NOT_GENUINE, UNREADABLE: UNREADABLE}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return Sample(Office(tmp_path_factory.mktemp("office")))


def test_there_are_rows_of_every_kind():
    names = [name for name, *_ in ROWS]
    assert len(set(names)) == len(names) >= 60
    assert {verdict for _, _, verdict, _, _ in ROWS} == set(Verdict)


@pytest.mark.parametrize(("name", "make", "verdict", "reason", "ask"), ROWS, ids=[row[0] for row in ROWS])
def test_the_verdict(sample, tmp_path, name, make, verdict, reason, ask):
    copy = make(sample)
    judged = judge_notice_mail(copy, sample.office.trust)
    assert judged.verdict is verdict, judged.reasons
    assert reason in "; ".join(judged.reasons)
    assert (judged.failed_step is None) == (verdict in {GENUINE, CHANGED})
    if judged.failed_step is None:
        assert [(step.number, step.step) for step in judged.steps] == list(enumerate(MAIL_STEPS, 1))
        assert any(step.changed for step in judged.steps) == (verdict is CHANGED)
    assert judge(verify_notice_mail(copy, sample.office.trust)).verdict is STRICT[verdict]
    if ask:
        (tmp_path / "mail").write_bytes(copy)
        command = ["openssl", "cms", "-verify", "-in", "mail", "-CAfile", sample.office.files.trust / "ca.pem"]
        ran = subprocess.run(
            [*command, "-purpose", "smimesign", "-out", "out"], cwd=tmp_path, capture_output=True, check=False
        )
        assert (ran.returncode == 0) == (verdict in {GENUINE, CHANGED}), ran.stderr
        if ran.returncode == 0:
            assert (tmp_path / "out").read_bytes().strip() == parse_signed_mail(copy).signed.strip()


def test_a_mail_that_was_changed_outside_and_inside_is_not_genuine(sample):
    """What is around the signed part never excuses what is in it."""
    for _, make, _ in CHANGED_OUTSIDE:
        copy = make(sample)
        if b"pool" in copy:
            judged = judge_notice_mail(copy.replace(b"pool", b"pooL", 1), sample.office.trust)
            assert judged.verdict is NOT_GENUINE


def test_every_change_outside_is_named(sample):
    copy = b"Reply-To: x@evil.example\r\nList-Post: <mailto:x@evil.example>\r\n" + sample.mail
    copy = copy.replace(b"Subject: ", b"Subject: [EXT] ", 1) + b"P.S."
    judged = judge_notice_mail(copy, sample.office.trust)
    assert judged.reasons == (
        "has a header reply-to that no notice has",
        "has a header list-post that no notice has",
        "has something after its end",
        "the header Subject is not the one under the signature",
    )
    with pytest.raises(VerificationError, match="reply-to"):
        steps_of_mail(copy, sample.office.trust)
