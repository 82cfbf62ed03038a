"""The e-mail channel against a real SMTP server that misbehaves on cue, with real TLS."""

import asyncio
import base64
import ssl
from itertools import pairwise

import pytest

from notifications.delivery.delivery import ChannelKind, OutcomeKind, SendingLimit
from notifications.errors import InvalidInputError
from service.channels.email_smtp import EmailSmtp
from service.settings import load_settings
from service.settings.mail import MailSettings
from support.smtp_server import CLOSE, HANG, SmtpServer
from support.tls_authority import new_authority

CONTENT = b"Subject: notice\r\nMIME-Version: 1.0\r\n\r\nIl y a eu un incident.\r\n"
MESSAGE_ID = "<0123456789abcdef0123456789abcdef01234567@greffier.example>"
SENDER, RECIPIENT = "soc@provider.example", "rssi@hopital.example"


@pytest.fixture(scope="module")
def authority():
    return new_authority()


@pytest.fixture(scope="module")
def certificates(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_bytes(authority.pem())
    return folder


@pytest.fixture(scope="module")
def tls(authority, certificates):
    return authority.server_context(certificates, "127.0.0.1")


@pytest.fixture
async def relay(tls):
    async with SmtpServer(starttls=tls) as server:
        yield server


@pytest.fixture
async def clear_relay():
    async with SmtpServer() as server:
        yield server


@pytest.fixture
async def channel_to(certificates):
    channels = []

    def build(server, idle_seconds=30, **changes):
        settings = {"tls": "starttls", "ca_file": certificates / "ca.pem", "send_timeout_seconds": 10} | changes
        channel = EmailSmtp(MailSettings(host="127.0.0.1", port=server.port, **settings), idle_seconds=idle_seconds)
        channels.append(channel)
        return channel

    yield build
    for channel in channels:
        await channel.aclose()


def send(channel, recipient=RECIPIENT, content=CONTENT, sender=SENDER, message_id=MESSAGE_ID):
    return channel.send(sender=sender, recipient=recipient, message_id=message_id, content=content)


# -- what went well, and the evidence of it


async def test_a_250_is_accepted_with_its_evidence(relay, channel_to):
    channel = channel_to(relay)
    outcome = await send(channel)
    assert channel.kind is ChannelKind.EMAIL
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert (outcome.code, outcome.enhanced_status, outcome.queue_id) == (250, "2.0.0", "4XyZq10001")
    assert outcome.text == "2.0.0 Ok: queued as 4XyZq10001"
    assert outcome.tls_version == "TLSv1.3"
    assert outcome.tls_cipher.startswith("TLS_")
    assert outcome.remote == f"127.0.0.1:{relay.port}"
    [message] = relay.messages
    assert (message.sender, message.recipient, message.content) == (SENDER, RECIPIENT, CONTENT)
    assert message.tls


async def test_the_tls_version_is_that_of_the_connection(authority, certificates, channel_to):
    context = authority.server_context(certificates, "127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with SmtpServer(implicit_tls=context) as server:
        outcome = await send(channel_to(server, tls="implicit"))
        assert outcome.kind is OutcomeKind.ACCEPTED
        assert outcome.tls_version == "TLSv1.2"
        assert server.messages[0].tls


async def test_a_clear_loopback_relay_is_evidence_without_tls(clear_relay, channel_to):
    outcome = await send(channel_to(clear_relay, tls="none"))
    assert (outcome.kind, outcome.tls_version, outcome.tls_cipher) == (OutcomeKind.ACCEPTED, None, None)


async def test_a_dsn_is_asked_for_where_offered(relay, channel_to):
    await send(channel_to(relay), recipient="a+b=c@hopital.example")
    [message] = relay.messages
    assert f"RET=HDRS ENVID={MESSAGE_ID.strip('<>')}" in message.mail
    assert f"SIZE={len(CONTENT)}" in message.mail
    assert "SMTPUTF8" not in message.mail
    assert message.rcpt.endswith("NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;a+2Bb+3Dc@hopital.example")


async def test_nothing_is_asked_for_that_is_not_offered(relay, channel_to):
    relay.extensions = ()
    await send(channel_to(relay))
    [message] = relay.messages
    assert message.mail == f"MAIL FROM:<{SENDER}>"
    assert message.rcpt == f"RCPT TO:<{RECIPIENT}>"


async def test_an_envelope_id_is_never_longer_than_the_standard_allows(relay, channel_to):
    await send(channel_to(relay), message_id=f"<{'a1' * 20}@{'long.' * 30}example>")
    envelope_id = relay.messages[0].mail.partition("ENVID=")[2]
    assert 0 < len(envelope_id) <= 100


async def test_a_server_that_knows_no_ehlo_is_used_in_clear_on_loopback(clear_relay, channel_to):
    clear_relay.cue("EHLO", "502 5.5.2 what?", "250 relay.example")
    assert (await send(channel_to(clear_relay, tls="none"))).kind is OutcomeKind.ACCEPTED


# -- the bytes


LONG = b"".join(b"line %d of a long mail, dots follow\r\n.\r\n..\r\n.hidden\r\n" % number for number in range(20_000))


@pytest.mark.parametrize(
    "content",
    [
        b".\r\n",
        b"..\r\n.\r\n\r\n.\r\n",
        b"X: y\r\n\r\n.dot at the start\r\nends.\r\n",
        b"A: b\r\n\r\n" + b"x" * 100_000 + b"\r\n",
        b"\r\n",
        pytest.param(LONG, id="1 MB with dots"),
    ],
)
async def test_content_arrives_byte_for_byte(relay, channel_to, content):
    channel = channel_to(relay)
    outcomes = [await send(channel, content=content), await send(channel)]
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * 2
    assert [message.content for message in relay.messages] == [content, CONTENT]


@pytest.mark.parametrize("content", [b"", b"a", b"a\n", b"a\r\nb\n\r\n", b"a\rb\r\n", b"a\r\n.\nMAIL FROM:<x>\r\n"])
async def test_content_that_is_not_in_lines_of_crlf_is_a_defect_of_ours(relay, channel_to, content):
    with pytest.raises(InvalidInputError):
        await send(channel_to(relay), content=content)
    assert relay.commands == []


# -- refusals


async def test_greylisting_passes_and_the_next_attempt_goes_through_on_the_same_connection(relay, channel_to):
    relay.cue("RCPT", "451 4.7.1 Greylisted, come back")
    channel = channel_to(relay)
    first, second = await send(channel), await send(channel)
    assert (first.kind, first.code, first.enhanced_status) == (OutcomeKind.TRANSIENT_FAILURE, 451, "4.7.1")
    assert second.kind is OutcomeKind.ACCEPTED
    assert len(relay.messages) == 1
    assert relay.connections == 1
    # The refused transaction was cleared away before the next.
    assert [line.split(" ")[0] for line in relay.lines()][-5:] == ["RCPT", "RSET", "MAIL", "RCPT", "DATA"]


TRANSIENT, PERMANENT, OURS = OutcomeKind.TRANSIENT_FAILURE, OutcomeKind.PERMANENT_FAILURE, OutcomeKind.REFUSED_HERE


@pytest.mark.parametrize(
    ("step", "answer", "kind"),
    [
        ("GREETING", "421 4.3.2 too many connections", TRANSIENT),
        ("GREETING", "554 5.7.1 you are on a list", TRANSIENT),
        ("EHLO", "421 4.3.2 not now", TRANSIENT),
        ("STARTTLS", "454 4.7.0 TLS not available", TRANSIENT),
        ("STARTTLS", "421 4.7.0 no", TRANSIENT),
        ("STARTTLS", "501 5.5.4 no", OURS),
        ("MAIL", "421 4.3.2 shutting down", TRANSIENT),
        ("MAIL", "452 4.3.1 disk full", TRANSIENT),
        ("MAIL", "530 5.7.0 log in first", OURS),
        ("MAIL", "550 5.1.8 sender unknown", OURS),
        ("MAIL", "550 we do not like you", OURS),
        ("MAIL", "552 5.3.4 too big", OURS),
        ("MAIL", "552 too big", OURS),
        ("MAIL", "553 5.6.7 non-ASCII addresses not permitted", OURS),
        ("RCPT", "552 5.2.3 too big for this mailbox", OURS),
        ("RCPT", "552 over quota", PERMANENT),
        ("DATA", "552 5.3.4 too big", OURS),
        ("CONTENT", "552 5.3.4 too big", OURS),
        ("CONTENT", "552 too big", OURS),
        ("CONTENT", "554 5.6.1 eight bit data not allowed", OURS),
        ("CONTENT", "552 5.7.0 content refused", PERMANENT),
        ("RCPT", "421 4.7.0 slow down", TRANSIENT),
        ("RCPT", "450 4.2.1 busy", TRANSIENT),
        ("RCPT", "452 4.2.2 mailbox full", TRANSIENT),
        ("RCPT", "552 5.2.2 mailbox full", TRANSIENT),
        ("RCPT", "550 5.1.1 no such user", PERMANENT),
        ("RCPT", "550 no such user", PERMANENT),
        ("RCPT", "554 5.7.1 relay access denied", PERMANENT),
        ("RCPT", "550 5.1.8 sender domain not found", OURS),
        ("RCPT", "530 5.7.0 authentication required", OURS),
        ("DATA", "421 4.3.2 closing", TRANSIENT),
        ("DATA", "451 4.3.0 try later", TRANSIENT),
        ("DATA", "554 5.5.1 no valid recipients", PERMANENT),
        ("CONTENT", "421 4.3.2 closing", TRANSIENT),
        ("CONTENT", "452 4.3.1 disk full", TRANSIENT),
        ("CONTENT", "554 5.7.1 looks like spam", PERMANENT),
        ("CONTENT", "550 5.7.8 odd", PERMANENT),
    ],
)
async def test_a_refusal_is_reported_as_what_it_means_and_the_next_message_goes_through(
    relay, channel_to, step, answer, kind
):
    relay.cue(step, answer)
    channel = channel_to(relay)
    outcome = await send(channel)
    assert outcome.kind is kind
    assert outcome.code == int(answer[:3])
    assert outcome.text == answer[4:]
    assert outcome.queue_id is None
    encrypted = step not in {"GREETING", "EHLO", "STARTTLS"}
    assert (outcome.tls_version == "TLSv1.3") is encrypted
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED
    assert relay.messages[-1].content == CONTENT


async def test_a_relay_that_refuses_any_greeting_may_be_mended_without_us(relay, channel_to):
    relay.cue("EHLO", "550 5.7.1 who are you?", "550 5.7.1 who are you?")
    outcome = await send(channel_to(relay))
    assert (outcome.kind, outcome.code) == (OutcomeKind.TRANSIENT_FAILURE, 550)


async def test_a_reply_is_one_line_of_printable_text(relay, channel_to):
    relay.cue("RCPT", "550-5.1.1 first\r\n550-5.1.1 \x1b[31mred\x00\u202e\r\n550 5.1.1 " + "x" * 600)
    outcome = await send(channel_to(relay))
    assert outcome.code == 550
    assert outcome.enhanced_status == "5.1.1"
    assert outcome.text.startswith("5.1.1 first 5.1.1 [31mred 5.1.1 xxx")
    assert len(outcome.text) == 500
    assert outcome.text.isprintable()


@pytest.mark.parametrize("answer", ["what?", "2xx ok", "999 9.9.9 no", "-1 no", "000 no", "250"])
async def test_a_reply_that_is_no_smtp_never_counts_as_acceptance_unless_it_is_a_plain_250(relay, channel_to, answer):
    relay.cue("CONTENT", answer)
    channel = channel_to(relay)
    outcome = await send(channel)
    if answer == "250":
        assert (outcome.kind, outcome.code, outcome.enhanced_status) == (OutcomeKind.ACCEPTED, 250, None)
    else:
        assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
        assert outcome.code is None
        assert "not known" in outcome.text
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED


# -- lost connections


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "CONTENT"])
async def test_a_connection_lost_at_any_step_is_a_transient_failure(relay, channel_to, step):
    relay.cue(step, CLOSE)
    channel = channel_to(relay)
    outcome = await send(channel)
    assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
    assert ("not known" in outcome.text) is (step == "CONTENT")
    assert len(relay.messages) == (1 if step == "CONTENT" else 0)
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED


async def test_after_the_content_nothing_is_sent_again_within_the_call_even_on_a_kept_connection(relay, channel_to):
    channel = channel_to(relay)
    await send(channel)
    relay.cue("CONTENT", CLOSE)
    outcome = await send(channel, content=b"second\r\n")
    assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
    assert [message.content for message in relay.messages] == [CONTENT, b"second\r\n"]
    # The next attempt is another call, and the caller's message is the same.
    assert (await send(channel, content=b"second\r\n")).kind is OutcomeKind.ACCEPTED
    assert relay.messages[1].content == relay.messages[2].content
    assert relay.messages[1].mail == relay.messages[2].mail


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_kept_connection_that_dies_before_the_content_is_replaced_at_once(relay, channel_to, step):
    channel = channel_to(relay)
    await send(channel)
    relay.cue(step, CLOSE)
    outcome = await send(channel, content=b"second\r\n")
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert [message.content for message in relay.messages] == [CONTENT, b"second\r\n"]
    assert relay.connections == 2


async def test_a_kept_connection_is_replaced_once_only(relay, channel_to):
    channel = channel_to(relay)
    await send(channel)
    relay.cue("MAIL", CLOSE, CLOSE)
    assert (await send(channel)).kind is OutcomeKind.TRANSIENT_FAILURE
    assert relay.connections == 2


async def test_a_relay_that_says_goodbye_to_a_kept_connection_is_connected_anew(relay, channel_to):
    channel = channel_to(relay)
    await send(channel)
    relay.cue("MAIL", "421 4.7.0 enough messages on this connection")
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED
    assert relay.connections == 2


# OpenSMTPD 6.8.0p2 gives the first reply after 100 messages
# (findings/opensmtpd_says_too_many_recipients_of_too_many_mails.sh), Stalwart 0.11 the second (stalwartlabs/stalwart,
# issue 1384). Both leave the connection open.
@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("MAIL", "452 4.5.3 Too many recipients: Too many messages sent"),
        ("DATA", "452 4.4.5 Maximum number of messages per session exceeded."),
    ],
)
async def test_a_kept_connection_that_had_its_number_of_messages_is_replaced_at_once(relay, channel_to, step, answer):
    channel = channel_to(relay)
    await send(channel)
    relay.cue(step, answer)
    assert (await send(channel, content=b"second\r\n")).kind is OutcomeKind.ACCEPTED
    assert [message.content for message in relay.messages] == [CONTENT, b"second\r\n"]
    assert relay.connections == 2


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("MAIL", "452 4.3.1 Insufficient system storage"),
        ("MAIL", "450 4.5.3 Too many recipients"),
        ("RCPT", "452 4.5.3 Too many recipients"),
    ],
)
async def test_any_other_refusal_for_now_replaces_no_connection(relay, channel_to, step, answer):
    channel = channel_to(relay)
    await send(channel)
    relay.cue(step, answer)
    assert (await send(channel)).kind is OutcomeKind.TRANSIENT_FAILURE
    assert relay.connections == 1


async def test_a_relay_that_takes_no_message_on_a_new_connection_either_is_asked_once(relay, channel_to):
    channel = channel_to(relay)
    await send(channel)
    relay.cue("MAIL", *["452 4.5.3 Too many recipients: Too many messages sent"] * 2)
    outcome = await send(channel)
    assert (outcome.kind, outcome.enhanced_status) == (OutcomeKind.TRANSIENT_FAILURE, "4.5.3")
    assert relay.connections == 2


async def test_connections_closed_by_the_relay_while_idle_are_replaced(relay, channel_to):
    channel = channel_to(relay)
    await send(channel)
    await relay.drop_connections()
    outcome = await send(channel)
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert outcome.queue_id == "4XyZq10002"
    assert relay.connections == 2


async def test_a_kept_connection_that_went_silent_is_replaced_within_the_send(relay, channel_to):
    channel = channel_to(relay, send_timeout_seconds=1)
    await send(channel)
    relay.cue("MAIL", HANG)
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED
    assert relay.connections == 2


@pytest.mark.parametrize("step", ["GREETING", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "CONTENT"])
async def test_a_relay_that_hangs_is_left_after_the_time_allowed(relay, channel_to, step):
    relay.cue(step, HANG)
    outcome = await send(channel_to(relay, send_timeout_seconds=0.3))
    assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
    assert "no answer in time" in outcome.text
    assert ("not known" in outcome.text) is (step == "CONTENT")
    assert (await send(channel_to(relay))).kind is OutcomeKind.ACCEPTED


async def test_no_relay_at_all_is_a_transient_failure(channel_to):
    async with SmtpServer() as server:
        channel = channel_to(server)
    outcome = await send(channel)
    assert (outcome.kind, outcome.code, outcome.queue_id) == (OutcomeKind.TRANSIENT_FAILURE, None, None)
    assert outcome.remote.startswith("127.0.0.1:")
    assert outcome.text


# -- TLS


async def test_without_starttls_nothing_is_sent_in_clear(clear_relay, channel_to):
    clear_relay.auth = "PLAIN LOGIN"
    channel = channel_to(clear_relay, username="greffier", password="hunter2-hunter2")
    outcome = await send(channel)
    assert outcome.kind is OutcomeKind.REFUSED_HERE
    assert "STARTTLS" in outcome.text
    assert outcome.tls_version is None
    assert {line.split(" ")[0] for line in clear_relay.lines()} <= {"EHLO", "QUIT"}
    assert clear_relay.messages == []


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", ["another name", "another authority"])
async def test_a_certificate_that_is_not_the_relays_is_refused_before_anything_is_said(
    authority, certificates, channel_to, tmp_path, mode, fault
):
    issuer = authority if fault == "another name" else new_authority()
    context = issuer.server_context(tmp_path, "mail.other.example" if fault == "another name" else "127.0.0.1")
    side = {"starttls": context} if mode == "starttls" else {"implicit_tls": context}
    async with SmtpServer(auth="PLAIN", **side) as server:
        outcome = await send(channel_to(server, tls=mode, username="greffier", password="hunter2-hunter2"))
        assert outcome.kind is OutcomeKind.REFUSED_HERE
        assert "certificate" in outcome.text.lower()
        assert {line.split(" ")[0] for line in server.lines()} <= {"EHLO", "STARTTLS"}


async def test_a_relay_that_speaks_no_tls_where_tls_comes_first_is_refused(clear_relay, channel_to):
    outcome = await send(channel_to(clear_relay, tls="implicit"))
    assert outcome.kind is OutcomeKind.REFUSED_HERE
    assert clear_relay.messages == []


async def test_what_is_injected_in_clear_behind_starttls_is_never_taken_for_the_relays_word(tls, channel_to):
    injected = b"250-forged.example\r\n250 AUTH PLAIN\r\n250 2.0.0 Ok: queued as FORGED\r\n" * 3
    async with SmtpServer(starttls=tls, injected_after_starttls=injected) as server:
        outcome = await send(channel_to(server))
        assert "FORGED" not in outcome.text
        assert outcome.queue_id in {None, "4XyZq10001"}
        if outcome.kind is OutcomeKind.ACCEPTED:
            assert server.messages[0].tls
            assert f"SIZE={len(CONTENT)}" in server.messages[0].mail
        else:
            assert outcome.kind in {OutcomeKind.TRANSIENT_FAILURE, OutcomeKind.REFUSED_HERE}
            assert server.messages == []


@pytest.mark.parametrize(
    "host", ["mail.example", "192.0.2.7", "10.0.0.1", "2001:db8::1", "localhost.example", "0.0.0.0"]
)
def test_a_relay_elsewhere_without_tls_is_refused_at_construction(host):
    with pytest.raises(InvalidInputError, match="loopback"):
        MailSettings(host=host, port=25, tls="none")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_loopback_relay_without_tls_is_allowed(host):
    assert EmailSmtp(MailSettings(host=host, port=25, tls="none")).kind is ChannelKind.EMAIL


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "greffier", "password": "secret", "tls": "none"},
        {"username": "greffier"},
        {"password": "secret"},
        {"connections": 0},
        {"send_timeout_seconds": 0},
        {"idle_seconds": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, changes):
    given = {"host": "127.0.0.1", "port": 25, "tls": "starttls"} | changes
    with pytest.raises(InvalidInputError):
        load_settings(tmp_path, **{f"mail__{name}": value for name, value in given.items()})


def test_a_ca_file_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "missing.pem", tmp_path / "ca.pem"):
        with pytest.raises(InvalidInputError, match=r"mail\.ca_file"):
            EmailSmtp(MailSettings(host="mail.example", port=587, tls="starttls", ca_file=file))


# -- credentials


async def test_credentials_are_given_inside_tls(relay, channel_to):
    relay.auth = "PLAIN"
    outcome = await send(channel_to(relay, username="greffier", password="hunter2-hunter2"))
    assert outcome.kind is OutcomeKind.ACCEPTED
    [auth] = [command for command in relay.commands if command.line.startswith("AUTH")]
    assert auth.tls
    assert base64.b64decode(auth.line.split(" ")[2]) == b"\0greffier\0hunter2-hunter2"


# As Dovecot 2.3.19.1's submission server does it (findings/dovecot_offers_dsn_only_after_login.sh).
async def test_what_is_offered_only_after_the_login_is_used(relay, channel_to):
    relay.auth, relay.extensions = "PLAIN", ("SIZE", "8BITMIME")
    relay.extensions_after_login = ("SIZE 1000", "8BITMIME", "DSN")
    channel = channel_to(relay, username="greffier", password="hunter2-hunter2")
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED
    assert "RET=HDRS" in relay.messages[0].mail
    assert "NOTIFY=SUCCESS,FAILURE,DELAY" in relay.messages[0].rcpt
    assert (await send(channel, content=b"x" * 1000 + b"\r\n")).limit is SendingLimit.SIZE


async def test_a_relay_that_answers_no_ehlo_after_the_login_is_used_as_it_was(relay, channel_to):
    relay.auth = "PLAIN"
    offers = "250-relay.example\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 DSN"
    relay.cue("EHLO", offers, offers, "503 5.5.1 duplicate EHLO")
    outcome = await send(channel_to(relay, username="greffier", password="hunter2-hunter2"))
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert "NOTIFY=SUCCESS,FAILURE,DELAY" in relay.messages[0].rcpt


@pytest.mark.parametrize(
    ("offer", "answer", "kind"),
    [
        ("PLAIN", "535 5.7.8 wrong", OutcomeKind.REFUSED_HERE),
        ("PLAIN", "454 4.7.0 directory is down", OutcomeKind.TRANSIENT_FAILURE),
        ("PLAIN", CLOSE, OutcomeKind.TRANSIENT_FAILURE),
        ("GSSAPI", "", OutcomeKind.REFUSED_HERE),
        (None, "", OutcomeKind.REFUSED_HERE),
    ],
)
async def test_credentials_refused_or_not_asked_for_are_ours_to_repair(relay, channel_to, offer, answer, kind):
    relay.auth = offer
    relay.cue("AUTH", answer)
    outcome = await send(channel_to(relay, username="greffier", password="hunter2-hunter2"))
    assert outcome.kind is kind
    assert outcome.tls_version == "TLSv1.3"
    assert relay.messages == []


async def test_the_password_is_in_no_text_that_anybody_reads(relay, channel_to, capfd):
    relay.auth = "PLAIN"
    password = "hunter2-hunter2"
    encoded = base64.b64encode(b"\0greffier\0" + password.encode()).decode()
    relay.cue("AUTH", f"500 5.5.2 unknown: AUTH PLAIN {encoded} ({password})")
    channel = channel_to(relay, username="greffier", password=password)
    outcome = await send(channel)
    written = capfd.readouterr()
    for text in (outcome.text, repr(outcome), repr(channel._settings), written.out, written.err):
        assert password not in text
        assert encoded not in text
    assert outcome.text.startswith("5.5.2 unknown: AUTH PLAIN [redacted]")


# -- addresses


async def test_an_internationalised_address_is_sent_as_such_where_offered(relay, channel_to):
    content = "To: <jérôme@hôpital.example>\r\n\r\nIncident\r\n".encode()
    outcome = await send(channel_to(relay), recipient="jérôme@hôpital.example", content=content)
    assert outcome.kind is OutcomeKind.ACCEPTED
    [message] = relay.messages
    assert message.recipient == "jérôme@hôpital.example"
    assert message.content == content
    assert "SMTPUTF8 BODY=8BITMIME" in message.mail
    assert message.rcpt.endswith(r"ORCPT=utf-8;j\x{E9}r\x{F4}me@h\x{F4}pital.example")


@pytest.mark.parametrize(
    ("recipient", "content"),
    [("jérôme@hopital.example", CONTENT), (RECIPIENT, "To: jérôme\r\n\r\n\r\n".encode())],
)
@pytest.mark.parametrize(
    ("extensions", "limit"), [(("8BITMIME",), SendingLimit.SMTPUTF8), (("SMTPUTF8",), SendingLimit.EIGHT_BIT)]
)
async def test_what_the_relay_does_not_offer_is_ours_to_repair_and_says_why(
    relay, channel_to, recipient, content, extensions, limit
):
    relay.extensions = extensions
    channel = channel_to(relay)
    content = content if limit is SendingLimit.SMTPUTF8 else "To: jérôme\r\n\r\n\r\n".encode()
    outcome = await send(channel, recipient=recipient, content=content)
    assert (outcome.kind, outcome.code, outcome.limit) == (OutcomeKind.REFUSED_HERE, None, limit)
    assert limit.value.upper() in outcome.text
    assert relay.lines("MAIL") == []
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED
    assert relay.connections == 1


async def test_an_internationalised_domain_alone_needs_no_smtputf8(relay, channel_to):
    relay.extensions = ()
    outcome = await send(channel_to(relay), recipient="rssi@straße.example")
    assert outcome.kind is OutcomeKind.ACCEPTED
    # IDNA 2008: not strasse.example, which is somebody else.
    assert relay.messages[0].recipient == "rssi@xn--strae-oqa.example"


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "nobody",
        "@hopital.example",
        "a@",
        "a@b\r\nRCPT TO:<spy@evil.example>",
        "a> RCPT TO:<b@evil.example",
        "a b@hopital.example",
        "a@hop ital.example",
        "a\x00@hopital.example",
        "a\ud800@hopital.example",
        "a@xn--\u0301.example",
    ],
)
async def test_what_is_no_address_reaches_no_relay(relay, channel_to, recipient):
    outcome = await send(channel_to(relay), recipient=recipient)
    assert outcome.kind is OutcomeKind.PERMANENT_FAILURE
    assert outcome.text.isprintable()
    assert relay.commands == []


async def test_a_sender_that_is_no_address_is_ours_to_repair(relay, channel_to):
    outcome = await send(channel_to(relay), sender="soc@provider.example\r\nX: y")
    assert outcome.kind is OutcomeKind.REFUSED_HERE
    assert relay.commands == []


async def test_a_quoted_local_part_is_left_as_it_is(relay, channel_to):
    assert (await send(channel_to(relay), recipient='"a b"@hopital.example')).kind is OutcomeKind.ACCEPTED
    assert relay.messages[0].recipient == '"a b"@hopital.example'


async def test_a_message_beyond_the_relays_size_is_not_sent_at_all(relay, channel_to):
    relay.extensions = ("SIZE 50",)
    channel = channel_to(relay)
    outcome = await send(channel)
    assert (outcome.kind, outcome.limit) == (OutcomeKind.REFUSED_HERE, SendingLimit.SIZE)
    assert "50 bytes" in outcome.text
    assert relay.lines("MAIL") == []
    assert (await send(channel, content=b"small\r\n")).kind is OutcomeKind.ACCEPTED


@pytest.mark.parametrize("extension", ["SIZE", "SIZE 0", "SIZE plenty"])
async def test_a_size_without_a_limit_limits_nothing(relay, channel_to, extension):
    relay.extensions = (extension,)
    assert (await send(channel_to(relay))).kind is OutcomeKind.ACCEPTED


# -- the pool


async def test_connections_are_reused(relay, channel_to):
    channel = channel_to(relay)
    for _ in range(20):
        assert (await send(channel)).kind is OutcomeKind.ACCEPTED
    assert relay.connections == channel.opened == 1
    assert relay.lines("RSET") == []


async def test_fifty_sends_at_once_share_four_connections_and_none_is_lost(relay, channel_to):
    channel = channel_to(relay, connections=4)
    contents = [b"message %d\r\n" % number for number in range(50)]
    outcomes = await asyncio.gather(*(send(channel, content=content) for content in contents))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ACCEPTED}
    assert sorted(message.content for message in relay.messages) == sorted(contents)
    assert len({outcome.queue_id for outcome in outcomes}) == 50
    assert relay.connections == relay.peak == 4


async def test_one_message_is_in_flight_per_connection_and_those_who_wait_are_served_in_order(relay, channel_to):
    relay.hold = asyncio.Event()
    channel = channel_to(relay, connections=2)
    sends = [asyncio.create_task(send(channel, content=b"%d\r\n" % number)) for number in range(8)]
    await relay.until(lambda: relay.in_content == 2)
    assert len(relay.messages) == relay.connections == 2
    relay.hold.set()
    await asyncio.gather(*sends)
    order = [int(message.content) for message in relay.messages]
    # Two are under way at a time, so neighbours may change places and no more.
    assert all(later > earlier - 2 for earlier, later in pairwise(order))


async def test_a_refusal_costs_no_connection(relay, channel_to):
    channel = channel_to(relay)
    relay.cue("RCPT", *["550 5.1.1 no such user"] * 5)
    outcomes = [await send(channel) for _ in range(6)]
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.PERMANENT_FAILURE] * 5 + [OutcomeKind.ACCEPTED]
    assert relay.connections == 1


async def test_unused_connections_are_closed_politely_by_themselves(relay, channel_to):
    channel = channel_to(relay, idle_seconds=0.05)
    await asyncio.gather(send(channel), send(channel))
    await relay.until(lambda: relay.ended == relay.connections == 2)
    assert len(relay.lines("QUIT")) == 2
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED


async def test_a_cancelled_send_frees_its_place_and_its_connection_is_not_used_again(relay, channel_to):
    relay.hold = asyncio.Event()
    channel = channel_to(relay, connections=1)
    task = asyncio.create_task(send(channel, content=b"cancelled\r\n"))
    await relay.until(lambda: relay.in_content == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    relay.hold.set()
    await relay.until(lambda: relay.ended == 1)
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED
    assert relay.connections == 2


async def test_closing_waits_for_what_is_in_flight_and_says_goodbye(relay, channel_to):
    relay.hold = asyncio.Event()
    channel = channel_to(relay)
    task = asyncio.create_task(send(channel))
    await relay.until(lambda: relay.in_content == 1)
    closing = asyncio.create_task(channel.aclose())
    relay.hold.set()
    assert (await task).kind is OutcomeKind.ACCEPTED
    await closing
    await relay.until(lambda: relay.ended == 1)
    assert len(relay.lines("QUIT")) == 1
    with pytest.raises(RuntimeError):
        await send(channel)


async def test_a_defect_of_ours_is_raised_and_frees_its_place(relay, channel_to):
    class Defect(bytes):
        def replace(self, *_):
            raise ZeroDivisionError

    channel = channel_to(relay, connections=1)
    with pytest.raises(ZeroDivisionError):
        await send(channel, content=Defect(CONTENT))
    assert (await send(channel)).kind is OutcomeKind.ACCEPTED
    # The connection on which it happened stood in the middle of a transaction.
    assert relay.connections == 2
    assert len(relay.messages) == 1
