"""The mail sink keeps what real clients send, byte for byte."""

import asyncio

import aiosmtplib
import pytest

from notifications.delivery.delivery import OutcomeKind
from service.channels.console_inbox import ConsoleInbox
from service.channels.email_smtp import EmailSmtp
from service.cli.demo.mail_sink import MailSink
from service.settings.mail import MailSettings
from support.tls_authority import new_authority

CONTENT = b"Subject: x\r\n\r\n.dot\r\n..\r\n" + b"y" * 900 + b"\r\n\r\n"


async def send(channel, content=CONTENT, recipient="rssi@hopital.example"):
    return await channel.send(
        sender="soc@provider.example", recipient=recipient, message_id="<a@b.example>", content=content
    )


async def test_messages_are_kept_with_their_envelope_and_in_a_folder(tmp_path):
    async with MailSink(folder=tmp_path / "mails") as sink:
        channel = EmailSmtp(MailSettings(host="127.0.0.1", port=sink.port, tls="none"))
        waiting = asyncio.create_task(sink.wait_for(2))
        outcomes = [await send(channel), await send(channel, b"second\r\n", "jérôme@hôpital.example")]
        messages = await waiting
        await channel.aclose()
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * 2
    assert [outcome.queue_id for outcome in outcomes] == ["SINK000001", "SINK000002"]
    assert [message.content for message in messages] == [CONTENT, b"second\r\n"]
    assert messages[0].sender == "soc@provider.example"
    assert messages[0].recipients == ("rssi@hopital.example",)
    assert messages[1].recipients == ("jérôme@hôpital.example",)
    assert not messages[0].tls
    kept = sorted((tmp_path / "mails").iterdir())
    assert [file.name for file in kept] == ["000001.eml", "000002.eml"]
    assert kept[0].read_bytes() == CONTENT


async def test_with_a_certificate_it_takes_mail_after_starttls_only(tmp_path):
    authority = new_authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    async with MailSink(tls_context=authority.server_context(tmp_path, "127.0.0.1")) as sink:
        channel = EmailSmtp(MailSettings(host="127.0.0.1", port=sink.port, tls="starttls", ca_file=tmp_path / "ca.pem"))
        outcome = await send(channel)
        await channel.aclose()
        assert (outcome.kind, outcome.tls_version) == (OutcomeKind.ACCEPTED, "TLSv1.3")
        assert sink.messages[0].tls
        in_clear = EmailSmtp(MailSettings(host="127.0.0.1", port=sink.port, tls="none"))
        assert (await send(in_clear)).kind is OutcomeKind.REFUSED_HERE
        await in_clear.aclose()
        assert len(sink.messages) == 1


async def test_many_at_once_are_all_kept(tmp_path):
    async with MailSink() as sink:
        channel = EmailSmtp(MailSettings(host="127.0.0.1", port=sink.port, tls="none", connections=4))
        contents = [b"%d\r\n" % number for number in range(60)]
        await asyncio.gather(*(send(channel, content) for content in contents))
        await channel.aclose()
        assert sorted(message.content for message in sink.messages) == sorted(contents)
        assert channel.opened == 4


async def test_a_message_that_cannot_be_kept_is_not_accepted(tmp_path):
    async with MailSink(folder=tmp_path / "mails") as sink:
        (tmp_path / "mails").rmdir()
        channel = EmailSmtp(MailSettings(host="127.0.0.1", port=sink.port, tls="none"))
        outcome = await send(channel)
        await channel.aclose()
        assert (outcome.kind, outcome.code) == (OutcomeKind.TRANSIENT_FAILURE, 452)
        assert sink.messages == []


async def test_waiting_for_what_does_not_come_ends():
    async with MailSink() as sink:
        with pytest.raises(TimeoutError):
            await sink.wait_for(1, timeout_seconds=0.01)


async def test_it_stops_while_a_client_is_connected():
    async with MailSink() as sink:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port, start_tls=False)
        await client.connect()
    client.close()
    with pytest.raises(RuntimeError):
        MailSink().port  # noqa: B018 - the property is what raises


async def test_the_console_inbox_accepts_and_hands_nothing_over():
    outcome = await send(ConsoleInbox())
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert (outcome.code, outcome.queue_id, outcome.remote) == (None, None, None)
