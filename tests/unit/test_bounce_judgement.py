"""What a machine's mail means for the mail that was sent: an absence on positive signs only, a failure by its code."""

import time

import pytest

from notifications.mail.bounce_judgement import SentMail, judge_bounce, sent_mail
from notifications.mail.bounce_parser import parse_bounce, words_to_read
from notifications.mail.bounce_record import BounceKind
from support import returned_samples as samples

ANNA = "anna@customer.example"
SUBJECT = "[TLP:AMBER] INC-2026-0042 : avis initial"
SENT = SentMail(ANNA, SUBJECT)


def reply(
    *, sender=ANNA, name="Anna", subject=f"Auto: {SUBJECT}", text="Away.", fields="Auto-Submitted: auto-replied\n"
):
    return samples.message(f"From: {name} <{sender}>\nSubject: {subject}\n{fields}", text)


def kind_of(content, sent=SENT):
    return judge_bounce(parse_bounce(content), sent).kind


@pytest.mark.parametrize(
    "content",
    [
        reply(),
        reply(fields="Auto-Submitted: auto-generated\nX-Auto-Response-Suppress: All\n"),
        reply(fields="Auto-Submitted: Auto-Replied (vacation)\nPrecedence: bulk\n"),
        reply(fields="X-Autoreply: yes\nPrecedence: junk\n"),
        reply(subject=f"Abwesend: [EXTERN] {SUBJECT.upper()}"),
        reply(subject="Auto: " + SUBJECT.replace(" : ", "\u00a0: ")),
        reply(sender="Anna@Customer.Example"),
        reply(name="=?utf-8?q?M=C3=BCller=2C_Anna_=3CRSSI=3E?="),
        reply(fields=f"Auto-Submitted: auto-replied\nReply-To: {ANNA}\n"),
        reply(text="Back on Monday. https://www.customer.example/ 0550 555 12"),
    ],
)
def test_all_positive_signs_make_an_absence(content):
    assert kind_of(content) is BounceKind.AUTO_REPLY


@pytest.mark.parametrize(
    "content",
    [
        reply(sender="bob@customer.example"),
        reply(subject="I am away"),
        reply(subject="Auto: INC-2026-0043"),
        reply(fields=""),
        reply(fields="Precedence: bulk\n"),
        reply(fields="Precedence: list\n"),
        reply(fields="Precedence: junk\n"),
        reply(fields="Auto-Submitted: auto-notified\n"),
        reply(fields="Auto-Submitted: auto-replied\nList-Id: <soc.customer.example>\n"),
        reply(fields="Auto-Submitted: auto-replied\nReply-To: anna-confirm-1f2e@customer.example\n"),
        reply(fields="Auto-Submitted: auto-replied\nX-MS-Exchange-Message-Is-Ndr:\n"),
        reply(text="Click https://gateway.customer.example/release?id=1f2e to have it passed on."),
        reply(text="The server said: 550 5.1.1 unknown"),
    ],
)
def test_one_sign_that_is_absent_leaves_it_to_a_person(content):
    assert kind_of(content) is BounceKind.UNKNOWN


def test_without_the_mail_that_was_sent_nothing_is_an_absence():
    assert kind_of(reply(), sent_mail(ANNA, None)) is BounceKind.UNKNOWN
    sent = sent_mail(ANNA, b"To: x\r\nSubject: =?utf-8?q?Avis_=C3=A9mis?=\r\n\r\nSubject: other\r\n")
    assert sent.subject == "Avis \u00e9mis"
    assert kind_of(reply(subject="=?utf-8?q?Auto:_Avis_=C3=A9mis?="), sent) is BounceKind.AUTO_REPLY


DAEMON = "From: MAILER-DAEMON@mx.customer.example\nSubject: x\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (f"<{ANNA}>: 550 5.1.1 inconnu", "5.1.1"),
        (f"{ANNA}\n#550 5.7.1 RESOLVER.RST.AuthRequired ##", "5.7.1"),
        (f"{ANNA}\n'550 5.1.10 RESOLVER.ADR.RecipientNotFound'", "5.1.10"),
        (f"{ANNA}: Sorry (#5.2.1)", "5.2.1"),
        (f"Empf\u00e4nger {ANNA}: 550 unbekannt", None),
        (f"{ANNA}\n550-unknown", None),
        (f"{ANNA}: 554 5.0.0 failed\nhost said: 550 5.1.6 moved", "5.1.6"),
        (f"{ANNA.upper()}: 550 5.1.1 inconnu", "5.1.1"),
    ],
)
def test_a_code_for_our_recipient_is_a_failure_in_any_language(text, status):
    found = judge_bounce(parse_bounce(samples.message(DAEMON, text)), SENT)
    assert (found.kind, found.status) == (BounceKind.FAILED, status)
    assert found.recipients[0].final_recipient == ANNA
    assert found.diagnostic in " ".join(text.split("\n")) or found.diagnostic in text


@pytest.mark.parametrize(
    "text",
    [
        f"{ANNA}: retrying, 450 4.2.1 busy",
        "<bob@customer.example>: 550 5.1.1 unknown",
        f"{ANNA}: filter version 5.2.1",
        f"{ANNA}: call 550 1234",
        f"{ANNA} on 5.1.2026",
        f"{ANNA}\n192.5.1.1",
        f"{ANNA}\n--- Below this line is a copy of the message.\n550 5.1.1 stands in our own words",
        f"{ANNA}\nReceived: from x\n550 5.1.1",
        "550 5.1.1 nobody is named",
    ],
)
def test_no_code_or_not_our_recipient_is_for_a_person(text):
    assert kind_of(samples.message(DAEMON, text)) is BounceKind.UNKNOWN


def test_what_a_person_writes_is_never_a_failure():
    text = f"Your mail to {ANNA} came back with 550 5.1.1."
    assert kind_of(samples.message(f"From: Anna <{ANNA}>\nSubject: Re: x\n", text)) is BounceKind.UNKNOWN


def test_a_number_that_may_be_a_date_counts_in_a_servers_report_only():
    text = f"{ANNA} am 5.1.26"
    assert kind_of(reply(sender="bob@customer.example", text=text)) is BounceKind.UNKNOWN
    assert kind_of(samples.message(DAEMON, text)) is BounceKind.FAILED


def test_a_delivery_status_counts_as_it_is():
    for content in (samples.failed(), samples.delayed(), samples.succeeded(), samples.INTERNATIONALISED):
        assert judge_bounce(parse_bounce(content), SENT) == parse_bounce(content)


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252", "x-unknown", "punycode", "hex"])
def test_words_are_read_in_their_character_set_and_never_by_a_codec_that_is_none(charset):
    content = samples.message("From: a\nSubject: x\n", "AE", f"text/plain; charset={charset}")
    shown = words_to_read(content.replace(b"AE", b"\xe9t\xe9"))
    assert shown == ("\u00e9t\u00e9" if charset in {"iso-8859-1", "windows-1252"} else "\ufffdt\ufffd")


def test_html_is_shown_as_text_with_where_its_links_lead():
    page = (
        "<html><head><title>t</title><style>p{}</style></head><body><p>Held</p><script>x</script>"
        '<a href="https://gateway.example/r?id=1">release</a><br>\u202eevil</body></html>'
    )
    shown = words_to_read(samples.message("From: a\nSubject: x\n", page, "text/html; charset=utf-8"))
    assert shown == "Held\n<https://gateway.example/r?id=1> release\nevil"


@pytest.mark.parametrize(
    "text",
    ["-" * 500_000, ": " * 250_000, "550 " * 125_000, "<a href='" * 50_000, "@" * 500_000, "a@b " * 125_000,
     "<" * 500_000,
     "5.1." * 125_000, "&#" * 250_000, " " * 500_000, "http://" * 70_000],
)  # fmt: skip
@pytest.mark.parametrize("media_type", ["text/plain", "text/html"])
def test_words_that_are_a_bomb_cost_little(text, media_type):
    began = time.process_time()
    judge_bounce(parse_bounce(samples.message(DAEMON, text, media_type)), SENT)
    words_to_read(samples.message(DAEMON, text, media_type))
    assert time.process_time() - began < 2
