"""Mails that carry notice.pdf by setting: only those with the whole notice, and never later because of it."""

import asyncio
from email import message_from_bytes
from types import SimpleNamespace

import httpx2
import pytest

from notifications.errors import InvalidInputError, SealingUnavailableError
from notifications.evidence.verification import verify_notice_mail
from service.bootstrap import core as core_module
from service.bootstrap import delivery as delivery_module
from service.cli.demo.environment import embedded_service
from service.cli.verify import load_trust
from service.notice_pdf.verification import verify_pdf
from service.ports.accounts import Role
from support.people import browser, person
from support.scenario import affected, customer, declare, harm, release


def service(folder, **settings):
    return embedded_service(folder, log__batch_seconds=0.01, access__requests_burst=20_000, **settings)


def client(running):
    headers = {"Authorization": f"Bearer {running.token}"}
    return httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120)


async def served(running, api, contacts):
    """Serve one notice; return it with the mails, by recipient."""
    owner = await customer(api, contacts=())
    for order, (address, language, content) in enumerate(contacts, 1):
        body = {"name": "N", "email": address, "language": language, "order": order, "address_confirmed": True}
        answer = await api.post(f"/customers/{owner['id']}/contacts", json=body | {"mail_content": content})
        assert answer.is_success, answer.text
    harmed = [affected(owner, data_harm=harm(confidentiality="yes"))]
    (notice,) = await release(api, await declare(api, impact="I1", affected_customers=harmed))
    mails = await running.sink.wait_for(len(contacts), timeout_seconds=60)
    return owner, notice, {message_from_bytes(mail.content)["To"].strip("<>"): mail.content for mail in mails}


def pdfs_in(mail):
    return [
        part.get_payload(decode=True)
        for part in message_from_bytes(mail).walk()
        if part.get_content_type() == "application/pdf"
    ]


CONTACTS = [
    ("full@a.example", "fr", "full"), ("short@a.example", "fr", "summary"), ("ticket@a.example", "de", "ticket_only"),
]  # fmt: skip


async def test_only_a_mail_with_the_whole_notice_carries_it(data_folder, service_log):
    async with service(data_folder, mail__attach_pdf_max_bytes=1_000_000) as running, client(running) as api:
        _, notice, mails = await served(running, api, CONTACTS)
        full = next(mail for to, mail in mails.items() if "full@" in to)
        others = [mail for to, mail in mails.items() if "full@" not in to]
        assert [pdfs_in(mail) for mail in others] == [[], []]
        (content,) = pdfs_in(full)
        trust = load_trust(running.trust_dir)
        assert len(list(verify_notice_mail(full, trust))) == 9
        assert len(await asyncio.to_thread(lambda: list(verify_pdf(content, trust)))) == 9
        assert content == (await api.get(f"/notices/{notice['id']}/notice.pdf?language=fr")).content


@pytest.mark.parametrize("fault", ["no key", "a defect", "too large"])
async def test_a_mail_does_not_wait_for_its_pdf(data_folder, service_log, monkeypatch, fault):
    limit = 1000 if fault == "too large" else 1_000_000
    async with service(data_folder, mail__attach_pdf_max_bytes=limit) as running, client(running) as api:
        if fault != "too large":
            error = SealingUnavailableError("no key") if fault == "no key" else RuntimeError("a defect")

            async def failing(_self, *_arguments, **_more):
                raise error

            monkeypatch.setattr(type(running.parts.context.sealing.pdf_maker), "make", failing)
        _, _, mails = await served(running, api, CONTACTS[:1])
        (mail,) = mails.values()
        assert pdfs_in(mail) == []
        assert len(list(verify_notice_mail(mail, load_trust(running.trust_dir)))) == 9
    assert ("pdf.failed" if fault == "a defect" else "pdf.not_attached") in service_log.getvalue()


def test_the_setting_without_the_extra_stops_the_start_with_its_reason():
    settings = SimpleNamespace(mail=SimpleNamespace(attach_pdf_max_bytes=1_000_000))
    core = SimpleNamespace(settings=settings, sealing=SimpleNamespace(pdf_maker=None))
    with pytest.raises(InvalidInputError, match=r"mail\.attach_pdf_max_bytes: the optional extra pdf is not installed"):
        delivery_module._attached_pdf(core)


async def test_without_the_extra_everything_says_so(data_folder, service_log, monkeypatch):
    monkeypatch.setattr(core_module, "pdf_maker", lambda _signer, _authority: None)
    async with service(data_folder) as running, client(running) as api:
        owner, notice, mails = await served(running, api, CONTACTS[:1])
        assert [pdfs_in(mail) for mail in mails.values()] == [[]]
        answer = await api.get(f"/notices/{notice['id']}/notice.pdf")
        assert (answer.status_code, answer.json()["type"]) == (501, "urn:greffier:problem:pdf-unavailable")
        assert "has not installed" in answer.json()["detail"]
        anna = await person(running, "Anna", (Role.CUSTOMER_MEMBER, owner["id"]))
        async with browser(running, anna) as pages:
            page = (await pages.get(f"/notices/{notice['id']}")).text
            assert "The provider has not installed what makes PDFs." in page
            assert "notice.pdf" not in page + (await pages.get("/inbox")).text
            refused = await pages.get(f"/notices/{notice['id']}/notice.pdf")
            assert (refused.status_code, "The provider makes no PDFs" in refused.text) == (501, True)
