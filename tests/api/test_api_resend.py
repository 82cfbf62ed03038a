"""A mail is sent again: the same sealed bytes to the contact's present address, once per request, and in the log."""

import json
from uuid import UUID, uuid4

import pytest

from notifications.delivery.delivery import DeliveryState
from notifications.ports import Page
from service.ports.accounts import Role
from support.commits import until
from support.people import browser, person, visible_text
from support.scenario import affected, customer, declare, harm, ok, release


@pytest.fixture
async def sent(running, api):
    """An incident with a notice whose mail was sent: the incident, the notice, its delivery by mail."""
    theirs = await customer(api, "Harbour", contacts=(("first@harbour.example", "en"),))
    incident = await declare(api, affected_customers=[affected(theirs, data_harm=harm(confidentiality="yes"))])
    (notice,) = await release(api, incident)
    made = await mail_of(running, notice["id"])
    return incident, notice["id"], made, theirs


async def mail_of(running, notice_id, attempts=1):
    """Wait until the mail of a notice was sent so many times, and return its delivery."""

    def found(tx):
        mails = [each for each in tx.deliveries.of_notice(UUID(notice_id)) if each.contact_id is not None]
        return next((each for each in mails if each.state is DeliveryState.SENT and each.attempts == attempts), None)

    return await until(running.parts.store, lambda: running.parts.store.read(found))


def path_of(notice_id, delivery):
    return f"/notices/{notice_id}/deliveries/{delivery.id}/resend"


async def test_a_mail_is_sent_again_to_the_present_address_and_both_sendings_are_kept(running, api, sent):
    _, notice_id, delivery, theirs = sent
    before = (await api.get(f"/notices/{notice_id}/deliveries/{delivery.id}/message")).text
    document = (await api.get(f"/notices/{notice_id}/document")).content
    (contact,) = (await ok(api.get(f"/customers/{theirs['id']}/contacts")))["items"]
    kept = ("name", "role", "language", "order", "active", "time_zone", "fallback", "mail_content", "phone")
    mended = {name: contact[name] for name in kept} | {"email": "mended@harbour.example"}
    changed = await api.put(
        f"/customers/{theirs['id']}/contacts/{contact['id']}",
        json=mended,
        headers={"If-Match": f'"{contact["version"]}"'},
    )
    assert changed.status_code == 200, changed.text
    key = {"Idempotency-Key": str(uuid4())}
    answers = [await api.post(path_of(notice_id, delivery), headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    again = await mail_of(running, notice_id, attempts=2)
    assert (again.id, again.message_id) == (delivery.id, delivery.message_id)
    mail = (await api.get(f"/notices/{notice_id}/deliveries/{delivery.id}/message")).text
    assert "To: " in before
    assert "first@harbour.example" in before
    assert "mended@harbour.example" in mail
    assert "first@harbour.example" not in mail
    assert (await api.get(f"/notices/{notice_id}/document")).content == document
    listed = (await ok(api.get(f"/notices/{notice_id}/deliveries")))["items"]
    (shown,) = [item for item in listed if item["id"] == str(delivery.id)]
    assert [(one["number"], one["outcome"]) for one in shown["evidence"]] == [(1, "accepted"), (2, "accepted")]
    entries = await logged(running, notice_id)
    assert entries.count("delivery.requeued") == 1


async def logged(running, notice_id):
    """Return the kinds of the entries about a notice, when all of them are in the log."""
    store = running.parts.store
    await until(store, lambda: store.read(lambda tx: not tx.audit.pending(1)))
    found, _ = await store.read(lambda tx: tx.audit.about("notice", notice_id, Page(100)))
    return [json.loads(entry.leaf)["type"] for entry in found]


async def test_what_cannot_be_sent_again_is_refused(running, api, sent):
    _, notice_id, delivery, theirs = sent
    store = running.parts.store
    nowhere = await api.post(f"/notices/{notice_id}/deliveries/{uuid4()}/resend")
    assert nowhere.status_code == 404
    inbox = next(
        each for each in await store.read(lambda tx: tx.deliveries.of_notice(UUID(notice_id))) if not each.contact_id
    )
    answer = await api.post(path_of(notice_id, inbox))
    assert (answer.status_code, "only a mail" in answer.text) == (409, True)
    # A delivery is named with its own notice.
    other = await declare(api, affected_customers=[affected(theirs, data_harm=harm(confidentiality="yes"))])
    (draft,) = (await ok(api.get(f"/incidents/{other['id']}/notices")))["items"]
    assert (await api.post(path_of(draft["id"], delivery))).status_code == 404
    (contact,) = (await ok(api.get(f"/customers/{theirs['id']}/contacts")))["items"]
    kept = ("name", "role", "email", "language", "order", "time_zone", "fallback", "mail_content", "phone")
    gone = {name: contact[name] for name in kept} | {"active": False}
    await ok(
        api.put(
            f"/customers/{theirs['id']}/contacts/{contact['id']}",
            json=gone,
            headers={"If-Match": f'"{contact["version"]}"'},
        )
    )
    answer = await api.post(path_of(notice_id, delivery))
    assert (answer.status_code, "no longer active" in answer.text) == (409, True)
    assert (await mail_of(running, notice_id)).attempts == 1
    assert "delivery.requeued" not in await logged(running, notice_id)


async def test_the_page_of_the_incident_has_the_button(running, sent):
    incident, notice_id, delivery, _ = sent
    ada, aude = await person(running, "Ada", (Role.ANALYST, None)), await person(running, "Aude", (Role.AUDITOR, None))
    path = f"/incidents/{incident['id']}/deliveries"
    async with browser(running, aude) as page:
        assert "/resend" not in (await page.get(path)).text
    async with browser(running, ada) as page:
        shown = (await page.get(path)).text
        assert f'action="{path}/{delivery.id}/resend"' in shown
        form = ada.form(form_id="one")
        answers = [await page.post(f"{path}/{delivery.id}/resend", data=form) for _ in range(2)]
        assert [answer.headers["location"] for answer in answers] == [f"{path}?done=resent"] * 2
        assert "queued again" in visible_text((await page.get(f"{path}?done=resent")).text)
        await mail_of(running, notice_id, attempts=2)
        other = await page.post(f"/incidents/{uuid4()}/deliveries/{delivery.id}/resend", data=ada.form())
        assert other.status_code == 404
