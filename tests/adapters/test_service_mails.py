"""The service's own mails against a real SMTP server: signed, sent once, tried again, given up, and forgotten."""

import asyncio
import json
import subprocess
from datetime import timedelta
from email import message_from_bytes
from email.policy import default as mail_policy

import pytest

from service.channels.email_smtp import EmailSmtp
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import KeyFiles, create_demo_keys
from service.delivery.transactional_mail import MailSender, ServiceMailer
from service.settings.mail import MailSettings
from service.store import open_store
from service.system.logging import SystemIdentifiers
from support.access_records import make_mail
from support.clocks import SteppedClock
from support.smtp_server import CLOSE, SmtpServer
from support.sqlite_file import new_database

ADDRESS = "soc@provider.example"
SECRET = "https://console.example/links/s3cr3t-t0ken"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mailer")
    files = KeyFiles(folder / "keys", folder / "trust")
    create_demo_keys(
        files,
        address=ADDRESS,
        provider_name="Provider",
        log_origin="greffier.example/log",
        now=SteppedClock().now(),
        passphrase=None,
    )
    return files


class Post:
    """A store, a relay, a clock that stands still, and the mailer between them."""

    def __init__(self, store, relay, channel, keys):
        self.store, self.relay, self.channel, self.keys, self.clock = store, relay, channel, keys, SteppedClock()

    def mailer(self, *, relay=True, sender=ADDRESS, key=None, channel=None):
        signer = CmsSigner(key or self.keys.signing_key, key or self.keys.signing_chain, None, self.clock)
        carrier = (channel or self.channel) if relay else None
        return ServiceMailer(
            self.store,
            MailSender(signer, carrier, sender, "Provider"),
            clock=self.clock,
            identifiers=SystemIdentifiers(),
            jitter=lambda: 0.5,
        )

    async def queue(self, **changes):
        fresh = {
            "text": f"Open {SECRET}\n",
            "created_at": self.clock.now(),
            "attempts": 0,
            "next_attempt_at": None,
            "last_error": None,
        }
        mail = make_mail(**fresh | changes)
        await self.store.write(lambda tx: tx.mails.add(mail))
        return mail

    async def now(self, mail):
        return await self.store.read(lambda tx: tx.mails.get(mail.id))

    async def leaves(self):
        entries = await self.store.read(lambda tx: tx.audit.pending(99))
        return [json.loads(entry.leaf) for entry in entries]


@pytest.fixture
async def post(tmp_path, keys, service_log):
    store = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)
    async with SmtpServer() as relay:
        channel = EmailSmtp(MailSettings(host="127.0.0.1", port=relay.port, tls="none", send_timeout_seconds=10))
        yield Post(store, relay, channel, keys)
        await channel.aclose()
    await store.close()


async def test_it_arrives_signed_and_says_that_a_machine_wrote_it(post, tmp_path):
    mail = await post.queue(subject="Réinitialisation")
    assert await post.mailer().send_due() == 1
    (message,) = post.relay.messages
    path = tmp_path / "mail.eml"
    path.write_bytes(message.content)
    ca = post.keys.trust / "ca.pem"
    command = ["openssl", "cms", "-verify", "-in", path, "-CAfile", ca, "-purpose", "smimesign", "-out", "/dev/null"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    read = message_from_bytes(message.content, policy=mail_policy)
    assert (read["Auto-Submitted"], read["Subject"]) == ("auto-generated", "Réinitialisation")
    assert read["To"].addresses[0].addr_spec == mail.recipient
    assert SECRET in read.get_body().get_content()


async def test_what_went_out_is_sent_once_and_its_link_is_forgotten(post):
    mail = await post.queue()
    mailer = post.mailer()
    assert [await mailer.send_due() for _ in range(2)] == [1, 0]
    sent = await post.now(mail)
    assert (sent.state, sent.attempts, sent.text) == ("sent", 1, "")
    (leaf,) = await post.leaves()
    assert (leaf["type"], leaf["detail"]) == (
        "service_mail.sent",
        {"purpose": "invitation", "attempt": 1, "code": 250},
    )
    assert leaf["subjects"] == {"mail": str(mail.id)}


async def test_a_failure_for_now_is_tried_again_under_the_same_message_id(post):
    mail = await post.queue()
    mailer = post.mailer()
    post.relay.cue("CONTENT", CLOSE)
    await mailer.send_due()
    waiting = await post.now(mail)
    assert (waiting.state, waiting.attempts, waiting.text) == ("queued", 1, mail.text)
    assert waiting.next_attempt_at > post.clock.now()
    assert await mailer.send_due() == 0
    post.clock.step(waiting.next_attempt_at - post.clock.now())
    await mailer.send_due()
    assert (await post.now(mail)).state == "sent"
    ids = {message_from_bytes(message.content)["Message-ID"] for message in post.relay.messages}
    assert len(ids) == 1
    assert [leaf["type"] for leaf in await post.leaves()] == ["service_mail.deferred", "service_mail.sent"]


async def test_a_refusal_for_good_is_final_and_keeps_neither_link_nor_address_in_the_log(post, service_log):
    mail = await post.queue()
    post.relay.cue("RCPT", f"550 5.1.1 <{mail.recipient}> unknown")
    await post.mailer().send_due()
    failed = await post.now(mail)
    assert (failed.state, failed.text, failed.next_attempt_at) == ("failed", "", None)
    said = service_log.getvalue() + json.dumps(await post.leaves())
    assert "service_mail.failed" in said
    assert mail.recipient not in said
    assert SECRET not in said
    assert await post.mailer().send_due() == 0


async def test_words_that_are_no_mail_are_not_sent_and_keep_no_other_waiting(post):
    injected = await post.queue(subject="Hello\r\nBcc: stranger@example.org")
    fine = await post.queue()
    await post.mailer().send_due()
    assert [(await post.now(mail)).state for mail in (injected, fine)] == ["failed", "sent"]
    assert [message.recipient for message in post.relay.messages] == [fine.recipient]


async def test_without_a_relay_they_wait_and_go_out_once_there_is_one(post):
    mail = await post.queue()
    assert await post.mailer(relay=False).send_due() == 0
    assert await post.now(mail) == mail
    post.clock.step(timedelta(days=2))
    await post.mailer().send_due()
    assert (await post.now(mail)).state == "sent"


@pytest.mark.parametrize("relay", [True, False])
async def test_what_is_of_no_use_any_more_is_given_up_and_its_link_forgotten(post, relay):
    link, alert = await post.queue(), await post.queue(purpose="alert")
    post.clock.step(timedelta(days=3))
    assert await post.mailer(relay=relay).send_due() == 2
    assert [((now := await post.now(mail)).state, now.text) for mail in (link, alert)] == [
        ("failed", ""),
        ("dropped", ""),
    ]
    assert post.relay.messages == []


async def test_it_is_never_tried_again_after_it_was_given_up(post):
    mail = await post.queue()
    mailer = post.mailer()
    post.relay.cue("RCPT", *["451 4.3.0 later"] * 1000)
    while (waiting := await post.now(mail)).state == "queued":
        if waiting.next_attempt_at is not None:
            post.clock.step(waiting.next_attempt_at - post.clock.now())
        await mailer.send_due()
    assert waiting.state == "failed"
    assert post.clock.now() == mail.created_at + timedelta(days=3)


@pytest.mark.parametrize("broken", [{"sender": "other@provider.example"}, {"key": "missing"}])
async def test_a_key_that_does_not_serve_makes_them_wait(post, tmp_path, broken):
    mail = await post.queue()
    changes = {"key": tmp_path / "none.key"} if "key" in broken else broken
    await post.mailer(**changes).send_due()
    assert (await post.now(mail)).state == "queued"
    assert post.relay.messages == []


class Broken:
    """A channel with a defect that one recipient's mails meet."""

    def __init__(self, channel, recipient):
        self._channel, self._recipient = channel, recipient

    async def send(self, *, recipient, **what):
        if recipient == self._recipient:
            raise RuntimeError(f"cannot handle {recipient}")
        return await self._channel.send(recipient=recipient, **what)


async def test_a_defect_that_one_mail_meets_keeps_no_other_waiting(post, service_log):
    first, second = await post.queue(recipient="odd@example.org"), await post.queue()
    await post.mailer(channel=Broken(post.channel, first.recipient)).send_due()
    assert [(await post.now(mail)).state for mail in (first, second)] == ["queued", "sent"]
    assert "service_mail.crashed" in service_log.getvalue()
    assert first.recipient not in service_log.getvalue()


async def test_the_loop_is_woken_by_the_commit_that_queues_and_ends_after_the_mail_under_way(post):
    post.relay.hold = asyncio.Event()
    mailer = post.mailer()
    post.store.on_commit.append(mailer.wake)
    running = asyncio.create_task(mailer.run())
    batch = [make_mail(created_at=post.clock.now(), attempts=0, next_attempt_at=None) for _ in range(2)]
    await post.store.write(lambda tx: [tx.mails.add(mail) for mail in batch])
    await post.relay.until(lambda: post.relay.in_content)
    async with asyncio.timeout(30):
        running.cancel()
        post.relay.hold.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [(await post.now(mail)).state for mail in batch] == ["sent", "queued"]
