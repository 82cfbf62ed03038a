"""What comes back is read for what it says, and never for more: any bytes, bounded, without an exception."""

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.mail.bounce_parser import parse_bounce
from notifications.mail.bounce_record import BounceKind
from support import returned_samples as samples

ANNA = "anna@customer.example"
ALL = [value for name, value in vars(samples).items() if name.isupper() and isinstance(value, bytes)] + [
    samples.failed(),
    samples.delayed(),
    samples.succeeded(),
]


def test_postfix_says_who_why_and_of_which_message():
    found = parse_bounce(samples.failed())
    assert (found.kind, found.status, found.diagnostic) == (BounceKind.FAILED, "5.1.1", "550 5.1.1 no such user")
    assert found.reporting_mta == "mx.customer.example"
    assert found.envelope_id == "0a1b+40provider.example"
    (recipient,) = found.recipients
    assert (recipient.final_recipient, recipient.original_recipient) == (ANNA, ANNA)
    assert recipient.remote_mta == "mail.customer.example"


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (samples.EXCHANGE, "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient"),
        (samples.GMAIL, "5.2.2", "552-5.2.2 The recipient's inbox is out of storage space. 552 5.2.2"),
        (samples.SENDMAIL, "4.4.7", "451 4.3.0 later"),
        (samples.EXIM, "5.0.0", "550 Unrouteable address"),
    ],
)
def test_other_servers_say_the_same_in_their_own_way(content, status, said):
    found = parse_bounce(content)
    assert (found.kind, found.status) == (BounceKind.FAILED, status)
    assert found.diagnostic.startswith(said)
    assert found.recipients[0].final_recipient == ANNA


def test_a_report_in_utf8_names_its_recipient():
    found = parse_bounce(samples.INTERNATIONALISED)
    assert found.kind is BounceKind.FAILED
    assert found.diagnostic == "550 5.1.1 boîte inconnue"
    assert found.recipients[0].final_recipient == found.recipients[0].original_recipient == "renée@customer.example"


def test_a_delay_is_no_failure():
    found = parse_bounce(samples.delayed())
    assert (found.kind, found.status) == (BounceKind.DELAYED, "4.4.1")
    assert found.diagnostic == "connect to mail.customer.example[192.0.2.7]:25: Connection timed out"


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_what_went_well_is_what_the_server_says_and_no_more(action):
    assert parse_bounce(samples.succeeded(action)).kind.value == action


def test_a_report_that_says_two_things_is_not_understood():
    assert parse_bounce(samples.succeeded(status="5.1.1")).kind is BounceKind.UNKNOWN
    assert parse_bounce(samples.report(f"Final-Recipient: rfc822; {ANNA}\nStatus: 5.1.1")).kind is BounceKind.UNKNOWN
    assert parse_bounce(samples.report("Action: lost\nStatus: 5.1.1")).kind is BounceKind.UNKNOWN


def block(action, status, address=ANNA):
    return f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}"


@pytest.mark.parametrize(
    ("actions", "kind"),
    [
        (["delivered", "failed"], "failed"),
        (["delayed", "failed", "expanded"], "failed"),
        (["delivered", "delayed"], "delayed"),
        (["delivered", "relayed"], "relayed"),
        (["delivered", "odd"], "unknown"),
        (["delivered", "delivered"], "delivered"),
    ],
)
def test_of_several_recipients_the_gravest_counts(actions, kind):
    statuses = {"failed": "5.7.1", "delayed": "4.4.1"}
    found = parse_bounce(samples.report([block(action, statuses.get(action, "2.0.0")) for action in actions]))
    assert found.kind.value == kind
    assert len(found.recipients) == len(actions)


def test_an_action_with_a_comment_and_odd_case_is_read():
    found = parse_bounce(
        samples.report(f"FINAL-RECIPIENT: rfc822;{ANNA}\nAction: Failed (bad address)\nStatus: 5.1.1 (x)")
    )
    assert (found.kind, found.status) == (BounceKind.FAILED, "5.1.1")


def test_all_fields_in_one_block_and_lines_without_carriage_returns_are_read():
    content = samples.report(block("failed", "5.1.1"), message="Reporting-MTA: dns; odd.example").replace(
        b"odd.example\r\n\r\n", b"odd.example\r\n"
    )
    for form in (content, content.replace(b"\r\n", b"\n")):
        found = parse_bounce(form)
        assert (found.kind, found.reporting_mta) == (BounceKind.FAILED, "odd.example")


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_an_encoded_status_is_decoded(encoding):
    status = b"Reporting-MTA: dns; mx.customer.example\r\n\r\n" + block("failed", "5.1.1").encode()
    body = (
        base64.encodebytes(status)
        if encoding == "base64"
        else status.replace(b"=", b"=3D").replace(b"5.1.1", b"5.1=2E1")
    )
    content = (
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/global-delivery-status\r\n"
        b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body + b"\r\n--b--\r\n"
    )
    assert parse_bounce(content).status == "5.1.1"


def test_a_gateway_that_wraps_a_report_hides_nothing():
    content = (
        b"Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n"
        + samples.failed()
        + b"\r\n--outer\r\n\r\nscanned\r\n--outer--\r\n"
    )
    assert parse_bounce(content).kind is BounceKind.FAILED


def test_a_report_inside_a_forwarded_message_speaks_of_something_else():
    content = (
        b"From: <anna@customer.example>\r\nSubject: Fwd: x\r\nContent-Type: multipart/mixed; boundary=outer\r\n\r\n"
        b"--outer\r\n\r\nwhat is this?\r\n--outer\r\nContent-Type: message/rfc822\r\n\r\n"
        + samples.failed()
        + b"\r\n--outer--\r\n"
    )
    assert parse_bounce(content).kind is BounceKind.UNKNOWN


@pytest.mark.parametrize("content", [samples.OUT_OF_OFFICE, samples.VACATION, samples.READ_RECEIPT])
def test_an_automatic_reply_is_one(content):
    assert parse_bounce(content).kind is BounceKind.AUTO_REPLY


def test_a_subject_is_read_in_its_language():
    assert parse_bounce(samples.VACATION).diagnostic == "Je suis en congés"


@pytest.mark.parametrize(
    ("content", "status"), [(samples.QMAIL, "5.1.1"), (samples.OLD_EXIM, "5.1.1"), (samples.OLD_EXIM_WARNING, None)]
)
def test_a_servers_own_words_are_for_a_person_whatever_they_claim_to_be(content, status):
    found = parse_bounce(content)
    assert (found.kind, found.status) == (BounceKind.UNKNOWN, status)
    assert found.diagnostic


@pytest.mark.parametrize(
    "content", [samples.ANSWER, samples.OLD_VACATION, samples.COMPLAINT, b"", b"\r\n", b"\0\xff" * 100, b"nonsense"]
)
def test_anything_else_is_for_a_person(content):
    assert parse_bounce(content).kind is BounceKind.UNKNOWN


def test_a_report_that_is_cut_off_or_empty_is_for_a_person():
    assert parse_bounce(samples.report([])).kind is BounceKind.UNKNOWN
    assert parse_bounce(samples.failed()[: samples.failed().index(b"Final-Recipient")]).kind is BounceKind.UNKNOWN


def test_nothing_that_is_said_moves_a_cursor_or_turns_a_line():
    found = parse_bounce(
        samples.report(block("failed", "5.1.1") + "\nDiagnostic-Code: smtp; a\x1b[2J\u202eb\u2028c\x00d")
    )
    assert found.diagnostic == "a [2J b c d"


_DEEP = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(20_000))
BOMBS = {
    "deep": _DEEP,
    "messages": b"Content-Type: message/rfc822\r\n\r\n" * 30_000,
    "digest": b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 100_000,
    "parts": b"Content-Type: multipart/report; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: message/delivery-status\r\n\r\n\r\n" * 20_000,
    "fields": b"A: b\r\n" * 200_000,
    "many fields": b"".join(b"A%d: b\r\n" % i for i in range(100_000)),
    "folded": b"Subject: x\r\n" + b" =?utf-8?q?a?=\r\n" * 60_000,
    "one field": b"Content-Type: text/plain" + b'; a="' * 200_000,
    "quotes": b"Content-Type: multipart/mixed; boundary=" + b'"\\' * 400_000,
    "recipients": samples.report([block("failed", "5.1.1")] * 10_000),
    "blocks": samples.report(["X: y"] * 100_000),
    "comments": samples.report("Final-Recipient: rfc822; " + "(" * 100_000 + "\nAction: failed\nStatus: 5.1.1"),
    "charsets": b"Subject: " + b"=?x-none?b?////?= " * 10_000 + b"\r\n\r\n",
    "base64": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 1_000_000,
    "big": samples.failed() + b"x" * 30_000_000,
    "returns": b"\r" * 1_000_000,
    "dashes": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\n--b " * 200_000 + b"x",
    "spaces": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b" + b" " * 1_000_000,
    "statuses": samples.report("Status: " + "5.1." * 100_000 + "\nAction: failed"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(name):
    began = time.process_time()
    parse_bounce(BOMBS[name])
    assert time.process_time() - began < 2


@settings(max_examples=300)
@given(st.binary(max_size=2000))
def test_any_bytes_are_taken(content):
    assert isinstance(parse_bounce(content).kind, BounceKind)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(ALL), st.data())
def test_a_report_that_was_changed_anywhere_is_taken(content, data):
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 40))
        content = content[:start] + data.draw(st.binary(max_size=60)) + content[start + length :]
    found = parse_bounce(content)
    for line in (found.diagnostic, found.reporting_mta, found.envelope_id, found.status):
        assert line is None or (line.isprintable() and len(line) <= 500)
        assert line is None or line.encode()


_TOKENS = st.sampled_from([
    "Content-Type: ", "multipart/report; boundary=b", "multipart/mixed; boundary*0*=utf-9''b%ff",
    "message/delivery-status", "\r\n", "\r\n\r\n", "--b", "--b--", "Action: failed", "Final-Recipient: ",
    "rfc822;", "Status: 5.1.1", " ", ";", '"', "\\x{110000}", "\\x{D800}", "Subject: ", "=?utf-8?b?x?=",
    "=?q?x?y?=", "Content-Transfer-Encoding: base64", "Auto-Submitted: ", "(", ")", "\0", "é", "=?", "?=",
])  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(st.lists(_TOKENS, max_size=40))
def test_any_words_of_the_format_in_any_order_are_taken(tokens):
    found = parse_bounce("".join(tokens).encode())
    assert found.diagnostic is None or found.diagnostic.encode()
