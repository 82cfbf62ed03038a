"""A mail's link acknowledges: once, by a click on its page, in its contact's name; nothing else that arrives does."""

import asyncio
import base64
import html
import json
import re
import subprocess
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default as mail_policy
from io import StringIO
from uuid import UUID

import aiosmtplib
import httpx2
import pytest
from rich.console import Console

from service.cli.demo.environment import embedded_service
from service.cli.verify import load_trust, print_verification
from service.delivery.acknowledge_link import LINK_DAYS
from support.clocks import TurnedClock
from support.scenario import affected, customer, declare, harm, ok, release
from support.smime_reader import SmimeReader
from support.world import moment

CONSOLE = "https://console.provider.example"
LINK = re.compile(rf"^{re.escape(CONSOLE)}(/acknowledge/[A-Za-z0-9_-]+)$", re.MULTILINE)
CODE = re.compile(r'name="page" value="([^"]+)"')
HTML = {"Accept": "text/html"}
ADDRESS = "rssi@valmont.example"


@dataclass
class Case:
    """A running service, a customer with contacts, and a stranger's browser."""

    running: object
    api: httpx2.AsyncClient
    browser: httpx2.AsyncClient
    clock: TurnedClock

    async def contact(self, owner, email=ADDRESS, **changes):
        body = {"name": "Zoé Müller", "email": email, "language": "de", "address_confirmed": True} | changes
        return await ok(self.api.post(f"/customers/{owner['id']}/contacts", json=body))

    async def notify(self, owner, mails=1):
        """Serve a notice; returns it."""
        incident = await declare(
            self.api, impact="I1", service_harm=harm(confidentiality="yes"),
            affected_customers=[affected(owner, data_harm=harm(confidentiality="yes"))],
        )  # fmt: skip
        (notice,) = await release(self.api, incident)
        await self.running.sink.wait_for(mails, timeout_seconds=60)
        return notice

    def mail(self, address=ADDRESS):
        """Return the last mail to an address."""
        return [each.content for each in self.running.sink.messages if list(each.recipients) == [address]][-1]

    async def page(self, path):
        """Open a page as a person does; returns what its form holds."""
        shown = await self.browser.get(path)
        assert shown.status_code == 200, shown.text
        return {"page": CODE.search(shown.text)[1], "received": "yes"}

    async def press(self, path, form):
        return await self.browser.post(path, data=form)

    async def given(self, notice):
        return (await ok(self.api.get(f"/notices/{notice['id']}/acknowledgements")))["items"]

    async def entries(self, kind):
        """Return the entries of a kind, in the tree or on the way there."""
        leaves = await self.running.parts.store.read(
            lambda tx: [item.leaf for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
        )
        found = {(leaf := json.loads(each))["id"]: leaf for each in leaves}
        return [leaf for leaf in found.values() if leaf["type"] == kind]


def words(mail):
    """Return every plain text that a mail shows."""
    parts = message_from_bytes(mail, policy=mail_policy).walk()
    return "\n".join(part.get_content() for part in parts if part.get_content_type() == "text/plain").replace("\r", "")


def link_of(mail):
    """Return the path of the one link in a mail."""
    (path,) = LINK.findall(words(mail))
    return path


@pytest.fixture
def options():
    return {"provider__console_url": CONSOLE}


@pytest.fixture
async def case(data_folder, service_log, options):
    clock = TurnedClock()
    async with embedded_service(
        data_folder, log__batch_seconds=0.01, access__stranger_requests_burst=5000, clock=clock, **options
    ) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with (
            httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api,
            httpx2.AsyncClient(base_url=running.url, headers=HTML, timeout=120) as browser,
        ):
            yield Case(running, api, browser, clock)


async def test_from_the_mail_by_a_click_to_the_record_the_log_and_its_evidence(case):
    owner = await customer(case.api, contacts=(), acknowledge_within_seconds=4 * 3600)
    contact = await case.contact(owner)
    notice = await case.notify(owner)
    mail, path = case.mail(), link_of(case.mail())
    # The mail is still the sealed notice to whoever checks it, and says what it asks and by when.
    assert print_verification(mail, load_trust(case.running.trust_dir), Console(file=(shown := StringIO()), width=300))
    assert "is the mail's own, and not sealed" in shown.getvalue()
    assert "Das Öffnen der Seite bestätigt nichts" in words(mail)
    assert "möchte den Empfang bis zum" in words(mail)
    # Looking shows which notice it is and of what it says nothing.
    page = await case.browser.get(path)
    assert page.headers["content-language"] == "de"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert (page.headers["x-robots-tag"], page.headers["cache-control"]) == ("noindex, nofollow", "no-store")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    text = html.unescape(page.text)
    for said in ("Empfang bestätigen", "TLP:AMBER+STRICT", "Zoé Müller", "Nr. 1"):
        assert said in text
    for unsaid in ("Lastverteiler", "Load balancer", "Valmont", ADDRESS, notice["id"]):
        assert unsaid not in text
    assert await case.given(notice) == []
    # The click.
    done = await case.press(path, await case.page(path))
    assert (done.status_code, done.headers["location"]) == (303, "/acknowledged?language=de")
    thanks = await case.browser.get(done.headers["location"])
    assert "Empfang bestätigt" in html.unescape(thanks.text)
    (given,) = await case.given(notice)
    assert (given["by"], given["via"], given["contact_id"]) == (f"contact:{contact['id']}", "link", contact["id"])
    assert (given["event"], given["note"]) == ("ContentHandover", None)
    (entry,) = await case.entries("notice.acknowledged")
    assert (entry["actor"], entry["at"]) == (f"contact:{contact['id']}", given["acknowledged_at"])
    assert entry["detail"] == {"event": "ContentHandover", "via": "link", "noted": False}
    assert entry["subjects"]["notice"] == notice["id"]
    # Nobody was signed in: nothing is claimed about who read it.
    assert await case.entries("notice.opened") == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"User-Agent": "BarracudaCentral/1.0"},
        {"Sec-Purpose": "prefetch"},
        {"Accept": "*/*"},
    ],
)
async def test_who_only_looks_changes_nothing(case, headers):
    owner = await customer(case.api, contacts=())
    await case.contact(owner)
    notice = await case.notify(owner)
    path = link_of(case.mail())
    for _ in range(3):
        for method in ("HEAD", "GET", "OPTIONS", "PUT", "PROPFIND"):
            await case.browser.request(method, path, headers=headers)
    assert await case.given(notice) == []
    # And the link holds still.
    assert (await case.press(path, await case.page(path))).status_code == 303


async def test_a_program_that_sends_forms_without_their_page_or_as_they_are_acknowledges_nothing(case, service_log):
    owner = await customer(case.api, contacts=())
    await case.contact(owner)
    notice = await case.notify(owner)
    path = link_of(case.mail())
    filled = await case.page(path)
    other = base64.urlsafe_b64encode(bytes(36)).decode()
    for form in (
        {},
        {"received": "yes"},
        {"received": "yes", "page": other},
        {"received": "yes", "page": filled["page"][:-2]},
        # The form as it is sent by whoever presses the button and nothing else.
        {"page": filled["page"]},
        {"page": filled["page"], "received": "on"},
    ):
        answer = await case.press(path, form)
        assert answer.status_code == 422
        assert CODE.search(answer.text), "the page is shown again"
    for accepts in ("text/html", "*/*"):
        headers = {"Sec-Fetch-Site": "cross-site", "Accept": accepts}
        assert (await case.browser.post(path, data=filled, headers=headers)).status_code == 403
    # It is told in the log, without the link that whoever reads the log could use.
    assert "request.forged" in service_log.getvalue()
    assert path.rpartition("/")[2] not in service_log.getvalue()
    assert await case.given(notice) == []
    # A page that was left open is shown anew.
    case.clock.turn(hours=1)
    assert (await case.press(path, filled)).status_code == 422
    assert await case.given(notice) == []


async def test_a_page_of_one_link_answers_no_other(case):
    owner = await customer(case.api, contacts=())
    await case.contact(owner)
    await case.contact(owner, "dpo@valmont.example")
    notice = await case.notify(owner, mails=2)
    first, second = link_of(case.mail()), link_of(case.mail("dpo@valmont.example"))
    assert first != second
    assert (await case.press(second, await case.page(first))).status_code == 422
    assert await case.given(notice) == []
    for path in (first, second):
        assert (await case.press(path, await case.page(path))).status_code == 303
    assert len({each["by"] for each in await case.given(notice)}) == 2


async def void_pages(case, path):
    """Return what the page of a link says, looked at and sent."""
    looked, sent = await case.browser.get(path), await case.press(path, {"received": "yes", "page": "x"})
    assert (looked.status_code, sent.status_code) == (410, 410)
    return looked


async def test_used_over_forged_and_never_there_read_alike(case):
    owner = await customer(case.api, contacts=())
    await case.contact(owner)
    notice = await case.notify(owner)
    path = link_of(case.mail())
    form = await case.page(path)
    assert (await case.press(path, form)).status_code == 303
    # Used, sent once more from the page that is still open.
    assert (await case.press(path, form)).status_code == 410
    used = await void_pages(case, path)
    token = path.rpartition("/")[2]
    raw = base64.urlsafe_b64decode(token)
    forged = [
        base64.urlsafe_b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode(),
        base64.urlsafe_b64encode(raw[:16] + b"\xff" * 4 + raw[20:]).decode(),
        base64.urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode(),
        token[:-1],
        token + "AAAA",
        "x",
        "é",
        "A" * 80,
    ]
    for each in forged:
        unknown = await void_pages(case, f"/acknowledge/{each}")
        # The words are the same; only the language of a link of ours is its contact's.
        assert unknown.headers["content-language"] == "fr"
    german = await case.browser.get(f"/acknowledge/{forged[0]}", headers={"Accept-Language": "de"})
    assert german.text == used.text
    assert (await case.browser.get(f"/acknowledge/{'A' * 300}")).status_code == 404
    assert len(await case.given(notice)) == 1
    assert len(await case.entries("notice.acknowledged")) == 1


async def test_a_link_is_over_after_its_days(case):
    owner = await customer(case.api, contacts=())
    await case.contact(owner)
    notice = await case.notify(owner)
    path = link_of(case.mail())
    case.clock.turn(days=LINK_DAYS, minutes=-5)
    form = await case.page(path)
    case.clock.turn(minutes=6)
    assert (await case.press(path, form)).status_code == 410
    assert (await void_pages(case, path)).headers["content-language"] == "de"
    assert await case.given(notice) == []


@pytest.mark.parametrize("changed", [{"email": "new@valmont.example"}, {"active": False}])
async def test_a_link_ends_with_the_address_and_the_service_of_its_contact(case, changed):
    owner = await customer(case.api, contacts=())
    contact = await case.contact(owner)
    notice = await case.notify(owner)
    path = link_of(case.mail())
    form = await case.page(path)
    body = {"name": "N", "email": ADDRESS, "language": "de", "address_confirmed": True} | changed
    await ok(case.api.put(f"/customers/{owner['id']}/contacts/{contact['id']}", json=body, headers={"If-Match": "*"}))
    assert (await case.press(path, form)).status_code == 410
    assert await case.given(notice) == []


async def test_two_clicks_at_one_moment_are_one_acknowledgement(case):
    owner = await customer(case.api, contacts=())
    await case.contact(owner)
    notice = await case.notify(owner)
    path = link_of(case.mail())
    form = await case.page(path)
    answers = await asyncio.gather(*(case.press(path, form) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [410] * 7
    assert len(await case.given(notice)) == 1


async def test_a_summary_asks_too_but_never_a_stranger(case):
    owner = await customer(case.api, contacts=())
    await case.contact(owner, mail_content="summary", language="fr")
    await case.contact(owner, "typo@valmont.example", address_confirmed=False)
    # A link to confirm the address goes to the second one, beside its notice.
    notice = await case.notify(owner, mails=3)
    summary, unconfirmed = case.mail(), case.mail("typo@valmont.example")
    assert "Ouvrir la page ne confirme rien" in words(summary)
    path = link_of(summary)
    for mail in (each.content for each in case.running.sink.messages if each.recipients == ["typo@valmont.example"]):
        assert LINK.findall(words(mail)) == []
    assert unconfirmed
    assert (await case.press(path, await case.page(path))).headers["location"] == "/acknowledged?language=fr"
    assert [each["via"] for each in await case.given(notice)] == ["link"]


async def test_an_encrypted_mail_asks_inside_alone(case, tmp_path):
    reader = SmimeReader(ADDRESS, moment())
    owner = await customer(case.api, contacts=())
    await case.contact(owner, smime_certificate=reader.pem)
    await case.notify(owner)
    mail, out = tmp_path / "mail.eml", tmp_path / "out.eml"
    mail.write_bytes(case.mail())
    assert b"acknowledge" not in case.mail()
    key = reader.write_key(tmp_path / "key.pem")
    command = ["openssl", "cms", "-decrypt", "-in", mail, "-inkey", key, "-out", out]
    subprocess.run(command, check=True, capture_output=True)
    assert print_verification(out.read_bytes(), load_trust(case.running.trust_dir), Console(file=StringIO()))
    path = link_of(out.read_bytes())
    assert (await case.press(path, await case.page(path))).status_code == 303


class TestWithoutPages:
    @pytest.fixture
    def options(self):
        return {}

    async def test_a_mail_asks_nothing_impossible(self, case):
        owner = await customer(case.api, contacts=(), acknowledge_within_seconds=3600)
        await case.contact(owner)
        await case.contact(owner, "b@valmont.example", mail_content="summary")
        await case.notify(owner, mails=2)
        for mail in (case.mail(), case.mail("b@valmont.example")):
            assert "acknowledge" not in words(mail).lower()
            assert "bestätig" not in words(mail).lower()


async def test_an_automatic_reply_acknowledges_nothing(case):
    """A reply to the notice goes to its sender's mailbox; nothing of ours listens there, or reads it as an answer."""
    owner = await customer(case.api, contacts=())
    await case.contact(owner)
    notice = await case.notify(owner)
    sent = message_from_bytes(case.mail(), policy=mail_policy)
    reply = (
        f"From: <{ADDRESS}>\r\nTo: {sent['From']}\r\nSubject: Abwesend: {sent['Subject'][:40]}\r\n"
        f"In-Reply-To: {sent['Message-ID']}\r\nAuto-Submitted: auto-replied\r\n\r\n{CONSOLE}{link_of(case.mail())}\r\n"
    )
    await aiosmtplib.send(
        reply.encode(), sender=ADDRESS, recipients=["soc@provider.example"],
        hostname="127.0.0.1", port=case.running.sink.port,
    )  # fmt: skip
    await case.running.sink.wait_for(2, timeout_seconds=60)
    assert await case.given(notice) == []
    assert await case.entries("notice.acknowledged") == []


async def test_the_click_ends_the_clock_and_calls_off_whoever_was_to_call(case):
    owner = await customer(case.api, contacts=(), acknowledge_within_seconds=3600)
    await case.contact(owner)
    notice = await case.notify(owner)
    notice_id, path = UUID(notice["id"]), link_of(case.mail())
    store, changed = case.running.parts.store, asyncio.Event()
    store.on_commit.append(lambda _kinds: changed.set())

    async def until(holds):
        async with asyncio.timeout(60):
            while True:
                changed.clear()
                if await store.read(holds):
                    return
                await changed.wait()

    await until(lambda tx: any(each.state == "sent" and each.contact_id for each in tx.deliveries.of_notice(notice_id)))
    case.clock.turn(hours=3)
    await case.running.parts.escalating.look()
    await until(lambda tx: [each.state for each in tx.escalations.call_tasks_of_notice(notice_id)] == ["open"])
    assert (await case.press(path, await case.page(path))).status_code == 303
    # Nobody looks: the acknowledgement itself wakes whoever does.
    await until(lambda tx: [each.state for each in tx.escalations.call_tasks_of_notice(notice_id)] == ["cancelled"])
    await until(lambda tx: tx.escalations.get(notice_id).next_look_at is None)
