"""The page of the webhooks: every act by a form, secrets shown once, words in three languages, for whoever may."""

import html
import re

import pytest

from notifications.delivery.webhook import EndpointState
from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from support.people import browser, person
from support.scenario import customer
from support.tls_authority import new_authority
from support.webhook_server import answer, webhook_server


@pytest.fixture
async def receiver(tmp_path):
    authority = new_authority()
    (tmp_path / "tls").mkdir()
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    async with webhook_server(authority.server_context(tmp_path / "tls", "localhost")) as server:
        yield server


@pytest.fixture
async def running(data_folder, receiver, tmp_path):
    async with embedded_service(
        data_folder, webhooks__ca_file=tmp_path / "ca.pem", webhooks__allow_private=True, log__batch_seconds=0
    ) as service:
        yield service


@pytest.fixture
async def own(running, api):
    return await customer(api)


@pytest.fixture
async def manager(running, own):
    return await person(running, "Mia", (Role.CUSTOMER_MANAGER, own["id"]))


async def endpoints_of(running):
    return await running.parts.store.read(lambda tx: list(tx.webhooks.endpoints(None)))


async def secrets_of(running):
    return await running.parts.store.read(lambda tx: list(tx.webhooks.secrets(None)))


async def added(page, whom, base, url, **fields):
    answered = await page.post(base, data=whom.form(url=url, description="SIEM", **fields))
    assert answered.status_code == 200, answered.text
    return html.unescape(re.search(r"<code>(.*?)</code>", answered.text)[1])


async def test_a_manager_sets_it_up_tests_it_rotates_and_takes_it_out_of_use(running, own, manager, receiver):
    base = f"/customers/{own['id']}/webhooks"
    async with browser(running, manager) as page:
        assert f'href="{base}"' in (await page.get("/")).text
        secret = await added(page, manager, base, receiver.url())
        assert secret.startswith("whsec_")
        assert secret not in (await page.get(base)).text
        (endpoint,) = await endpoints_of(running)
        mine = f"{base}/{endpoint.id}"

        tested = await page.post(f"{mine}/test", data=manager.form())
        assert "The receiver took it." in tested.text
        assert "204" in tested.text
        receiver.answers[:] = [answer(500, b"<b>on fire</b>")]
        tested = await page.post(f"{mine}/test", data=manager.form())
        assert "did not take it" in tested.text
        assert "500 &lt;b&gt;on fire&lt;/b&gt;" in tested.text

        made = await page.post(f"{mine}/secrets", data=manager.form(kind="v1a", overlap_days="7"))
        assert "whpk_" in made.text
        first, second = await secrets_of(running)
        assert second.public_key in (await page.get(base)).text
        gone = await page.post(f"{mine}/secrets/{first.id}/remove", data=manager.form())
        assert gone.headers["location"] == f"{base}?done=removed"
        assert "signs no more" in (await page.get(f"{base}?done=removed")).text
        assert (await page.post(f"{mine}/secrets/{second.id}/remove", data=manager.form())).status_code == 409

        (endpoint,) = await endpoints_of(running)
        form = manager.form(url=receiver.url("/b"), description="", version=str(endpoint.version))
        changed = await page.post(mine, data=form)
        assert changed.headers["location"] == f"{base}?done=changed"
        (after,) = await endpoints_of(running)
        assert (after.url, after.state) == (receiver.url("/b"), EndpointState.DISABLED)
        # Somebody else was quicker.
        assert (await page.post(mine, data=form)).status_code == 409
        shown = await page.get(base)
        assert "taken out of use by a person" in shown.text


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("", {"url": "http://x.example/"}),
        ("", {"url": ""}),
        ("", {"url": "https://x.example/", "description": "d" * 201}),
        ("/secrets", {"kind": "v2", "overlap_days": "7"}),
        ("/secrets", {"kind": "v1", "overlap_days": "91"}),
        ("/secrets", {"kind": "v1", "overlap_days": "²"}),
    ],
)
async def test_a_wrong_entry_is_told_and_changes_nothing(running, own, manager, receiver, path, wrong):
    base = f"/customers/{own['id']}/webhooks"
    async with browser(running, manager) as page:
        await added(page, manager, base, receiver.url())
        before = await endpoints_of(running), await secrets_of(running)
        where = f"{base}/{before[0][0].id}{path}" if path else base
        answered = await page.post(where, data=manager.form(**wrong))
        assert answered.status_code == 422
        assert 'role="alert"' in answered.text
        if wrong.get("url"):
            assert f'value="{wrong["url"]}"' in answered.text
    assert (await endpoints_of(running), await secrets_of(running)) == before


@pytest.mark.parametrize(
    ("language", "words"), [("fr", "Ajouter un webhook"), ("en", "Add a webhook"), ("de", "Webhook hinzufügen")]
)
async def test_it_speaks_the_language_of_whoever_looks(running, own, language, words):
    who = await person(running, "Mia", (Role.CUSTOMER_MANAGER, own["id"]), language=language)
    async with browser(running, who) as page:
        assert words in (await page.get(f"/customers/{own['id']}/webhooks")).text


async def test_who_may_only_read_sees_no_form_and_nobody_sees_anothers(running, api, own, manager, receiver):
    base = f"/customers/{own['id']}/webhooks"
    async with browser(running, manager) as page:
        await added(page, manager, base, receiver.url())
        forged = await page.post(base, data={"url": "https://x.example/", "csrf_token": "x"})
        assert forged.status_code == 403
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, own["id"]))
    async with browser(running, member) as page:
        shown = await page.get(base)
        assert shown.status_code == 200
        assert receiver.url() in shown.text
        assert "<form" not in shown.text.split("<main", 1)[1]
        assert (await page.post(base, data=member.form(url="https://x.example/"))).status_code == 403
    other = await customer(api, "Other")
    stranger = await person(running, "Eve", (Role.CUSTOMER_MANAGER, other["id"]))
    async with browser(running, stranger) as page:
        assert (await page.get(base)).status_code == 404
        assert (await page.post(base, data=stranger.form(url="https://x.example/"))).status_code == 404
        (endpoint,) = await endpoints_of(running)
        crossed = await page.post(f"/customers/{other['id']}/webhooks/{endpoint.id}/test", data=stranger.form())
        assert crossed.status_code == 404
        (secret,) = await secrets_of(running)
        theirs = f"/customers/{other['id']}/webhooks/{endpoint.id}"
        for path in (f"/secrets/{secret.id}/remove", "/secrets", "/replays", ""):
            given = stranger.form(
                url="https://x.example/", version="1", kind="v1", overlap_days="7", notice_id=str(secret.id)
            )
            assert (await page.post(theirs + path, data=given)).status_code == 404, path
    assert (await endpoints_of(running), await secrets_of(running)) == ([endpoint], [secret])
    assert receiver.received == []
