"""Pages from outside: what a browser is answered, as a stranger and as somebody signed in."""

import hashlib
import re
from uuid import UUID

import httpx2

from notifications.mail.bounce_record import Bounce, BounceKind
from service.auth.authentication import SESSION_COOKIE
from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from service.web.console.forms import local_path
from support.people import browser, person, visible_text
from support.scenario import affected, customer, declare, harm, ok, release

STRICT = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
BAD = "<script>alert(1)</script>\u202eevil"


async def notified(running, api, *names, **changes):
    """Declare a breach of confidentiality at customers of these names and release it; returns (customer, notice)."""
    customers = [await customer(api, name, contacts=((f"soc@{name.lower()}.example", "en"),)) for name in names]
    entries = [affected(item, data_harm=harm(confidentiality="yes")) for item in customers]
    breach = {"impact": "I1", "service_harm": harm(confidentiality="yes"), "affected_customers": entries}
    incident = await declare(api, **(breach | changes))
    notices = {item["customer_id"]: item for item in await release(api, incident)}
    await running.sink.wait_for(len(names), timeout_seconds=60)
    return [(item, notices[item["id"]]) for item in customers]


# -- strangers


async def test_a_stranger_is_led_to_the_sign_in_and_back(running):
    async with browser(running) as stranger:
        answer = await stranger.get("/notices/00000000-0000-4000-8000-000000000000?language=de")
        assert answer.status_code == 303
        way = answer.headers["location"]
        assert way.startswith("/sign-in?return_to=%2Fnotices%2F00000000")
        page = await stranger.get(way)
        assert page.status_code == 200
        assert 'value="/notices/00000000-0000-4000-8000-000000000000?language=de"' in page.text


async def test_a_program_gets_the_problem_of_the_api(running):
    async with httpx2.AsyncClient(base_url=running.url, timeout=120) as program:
        answer = await program.get("/account")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"


ELSEWHERE = (
    "//evil.example",
    "/\\evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "/\n/evil.example",
    "evil",
    "",
    "/sign-out",
    "/sign-in?return_to=/",
    "/" + "a" * 599,
)


async def test_nobody_is_led_elsewhere_after_signing_in(running):
    async with browser(running) as stranger:
        for wanted in ELSEWHERE:
            assert local_path(wanted) == "/"
            page = await stranger.get("/sign-in", params={"return_to": wanted})
            assert 'name="return_to" value="/"' in page.text, wanted


async def test_what_stands_in_the_address_is_never_markup(running):
    async with browser(running) as stranger:
        for path in (f"/sign-in?return_to=/{BAD}", f"/sign-in?notice={BAD}", f"/{BAD}", f"/invitation/{BAD}"):
            assert "<script>alert" not in (await stranger.get(path)).text


NOTHING_HERE = (
    ("de", "de", "Hier ist nichts"),
    ("en-GB", "en", "There is nothing here"),
    ("es", "fr", "Il n’y a rien ici"),
)


async def test_errors_are_pages_in_the_readers_language(running):
    async with browser(running) as stranger:
        for accepted, language, words in NOTHING_HERE:
            answer = await stranger.get("/no/such/page", headers={"Accept-Language": accepted})
            assert answer.status_code == 404
            assert answer.headers["content-language"] == language
            assert f'<html lang="{language}">' in answer.text
            assert words in answer.text


async def test_under_api_errors_stay_problems_whatever_is_accepted(running):
    async with browser(running) as stranger:
        answer = await stranger.get("/api/v1/nothing")
        assert answer.headers["content-type"] == "application/problem+json"


FORGED = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
)


async def test_another_site_cannot_sign_a_visitor_in(running):
    async with browser(running) as stranger:
        for path in ("/sign-in", "/sign-in/second-factor", "/sign-in/passkey", "/sign-in/passkey/options", "/reset"):
            for headers in FORGED:
                answer = await stranger.post(path, data={"email": "a@b.example", "password": "p"}, headers=headers)
                assert answer.status_code == 403, (path, headers)
                assert "set-cookie" not in answer.headers


# -- headers and files


async def test_pages_carry_a_strict_policy_and_are_not_kept(running, api):
    ((_, notice),) = await notified(running, api, "Own")
    analyst = await person(running, "Ana", (Role.ANALYST, None))
    async with browser(running, analyst) as signed_in:
        for path in ("/", "/sign-in?again=1", "/nothing"):
            answer = await signed_in.get(path)
            assert answer.headers["content-security-policy"] == STRICT, path
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] in {"same-origin", "no-referrer"}
        framed = await signed_in.get(f"/notices/{notice['id']}")
        assert framed.headers["content-security-policy"] == f"{STRICT}; frame-src 'self'"
        words = await signed_in.get(f"/notices/{notice['id']}/words/en")
        policy = words.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy


async def test_addresses_that_hold_a_secret_are_told_to_nobody(running):
    async with browser(running) as stranger:
        for path in ("/invitation/s3cret", "/reset/s3cret", "/confirm-address/s3cret"):
            answer = await stranger.get(path)
            assert answer.status_code == 410
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "s3cret" not in answer.text


async def test_files_are_a_fixed_table_named_by_their_content(running):
    async with browser(running) as stranger:
        page = (await stranger.get("/sign-in")).text
        paths = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        assert len(paths) >= 5
        for path in paths:
            answer = await stranger.get(path)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["content-type"].startswith(("text/css", "text/javascript", "image/svg+xml"))
        for path in ("/static/console.css", "/static/..%2Fsettings.py", "/static/../../etc/passwd", "/static/"):
            assert (await stranger.get(path)).status_code == 404


# -- home


async def test_customers_stand_side_by_side_and_nothing_of_one_is_in_anothers(running, api):
    (own, own_notice), (other, other_notice) = await notified(running, api, "Alpha", "Beta")
    (_, foreign_notice), *_ = await notified(running, api, "Gamma")
    both = await person(
        running, "Ines", (Role.CUSTOMER_MEMBER, own["id"]), (Role.CUSTOMER_MANAGER, other["id"]), language="en"
    )
    async with browser(running, both) as signed_in:
        page = (await signed_in.get("/")).text
    sections = dict(
        re.findall(r'<section class="side" aria-labelledby="customer-([^"]+)">(.*?)</section>', page, re.DOTALL)
    )
    assert sections.keys() == {own["id"], other["id"]}
    assert page.index("Alpha") < page.index("Beta")
    assert own_notice["id"] in sections[own["id"]]
    assert other_notice["id"] not in sections[own["id"]]
    assert other_notice["id"] in sections[other["id"]]
    assert own_notice["id"] not in sections[other["id"]]
    assert foreign_notice["id"] not in page
    assert "Gamma" not in page
    text = visible_text(sections[own["id"]])
    assert "TLP:AMBER+STRICT" in text
    assert "Initial notice" in text
    assert "INC-" in text or "-0" in text
    assert re.search(r"Europe/Paris \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)", text)


async def test_the_newest_notice_stands_first(running, api):
    ((own, first),) = await notified(running, api, "Alpha")
    entry = affected(own, data_harm=harm(confidentiality="yes"))
    incident = await declare(api, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=[entry])
    (second,) = await release(api, incident)
    await running.sink.wait_for(2, timeout_seconds=60)
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, own["id"]))
    async with browser(running, member) as signed_in:
        page = (await signed_in.get("/")).text
    assert page.index(second["id"]) < page.index(first["id"])


async def test_an_administrator_sees_no_incident(running, api):
    own = await customer(api, "Alpha")
    await customer(api, "Lonely", contacts=())
    await declare(
        api,
        impact="I1",
        affected_customers=[affected(own, data_harm=harm(confidentiality="yes"))],
        service_harm=harm(confidentiality="yes"),
    )
    analyst = await person(running, "Ana", (Role.ANALYST, None))
    administrator = await person(running, "Adam", (Role.ADMINISTRATOR, None))
    async with browser(running, analyst) as signed_in:
        seen = (await signed_in.get("/")).text
    async with browser(running, administrator) as signed_in:
        shown = (await signed_in.get("/")).text
        foreign = await signed_in.get("/notices/00000000-0000-4000-8000-000000000000")
    assert "Draft to be released" in seen
    assert "/notices/" in seen
    assert "INC-" in seen
    assert "Draft to be released" not in shown
    assert "INC-" not in shown
    # The administrator mends it, and the line leads to where.
    assert re.search(r'href="/customers/[0-9a-f-]{36}/contacts">Customer without a person to notify<', shown)
    assert "Lonely" in shown
    assert "/notices/" not in shown
    assert "Latest notices" not in shown
    assert foreign.status_code == 403
    assert "You may not do this" in foreign.text


# -- one notice


async def test_a_notice_shows_its_words_its_proofs_and_whom_it_was_served_on(running, api):
    ((own, notice),) = await notified(running, api, "Alpha")
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, own["id"]))
    async with browser(running, member) as signed_in:
        page = (await signed_in.get(f"/notices/{notice['id']}")).text
        for path in re.findall(r'href="(/api/v1/notices/[^"]+)"', page):
            assert (await signed_in.get(path)).status_code == 200, path
        document = (await signed_in.get(f"/api/v1/notices/{notice['id']}/document")).json()
        words = await signed_in.get(f"/notices/{notice['id']}/words/en")
        missing = await signed_in.get(f"/notices/{notice['id']}/words/xx")
    stated = {each["sha256"] for each in document["renderings"] if each["language"] == "en"}
    assert hashlib.sha256(words.content).hexdigest() in stated
    assert missing.status_code == 404
    text = visible_text(page)
    assert "soc@alpha.example" in text
    assert "RelayToNonERDS" in text
    assert "ContentConsignment" in text
    assert "openssl cms -verify" in text
    assert '<iframe class="words"' in page
    assert " sandbox></iframe>" in page


async def test_what_came_back_is_shown_to_the_analyst_alone_and_as_text(running, api):
    ((own, notice),) = await notified(running, api, "Alpha")
    store, act = running.parts.store, running.parts.context.identifiers
    (mail,) = [
        item
        for item in await store.read(lambda tx: tx.deliveries.of_notice(UUID(notice["id"])))
        if item.channel.value == "email"
    ]
    held = Bounce(
        id=act.new_id(),
        delivery_id=mail.id,
        received_at=running.parts.context.clock.now(),
        kind=BounceKind.UNKNOWN,
        status=None,
        diagnostic="Message on hold",
        reporting_mta=None,
        content=f"Subject: Message on hold\r\n\r\nPlease click {BAD}".encode(),
    )
    await store.write(lambda tx: tx.deliveries.record_bounce(held))
    pages = {}
    for name, grant in (("Ana", (Role.ANALYST, None)), ("Max", (Role.CUSTOMER_MEMBER, own["id"]))):
        async with browser(running, await person(running, name, grant)) as signed_in:
            pages[name] = (await signed_in.get(f"/notices/{notice['id']}")).text
            if name == "Ana":
                raw = await signed_in.get(f"/api/v1/notices/{notice['id']}/deliveries/{mail.id}/returned/{held.id}")
                assert raw.content == held.content
    assert "Please click &lt;script&gt;alert(1)&lt;/script&gt; evil" in visible_text(pages["Ana"])
    assert "To be read by a person" in visible_text(pages["Ana"])
    assert BAD not in pages["Ana"]
    assert "Message on hold" not in pages["Max"]


async def test_a_foreign_notice_and_a_draft_are_nothing(running, api):
    (own, _), (_, foreign) = await notified(running, api, "Alpha", "Beta")
    incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(own, data_harm=harm(confidentiality="yes"))],
    )
    drafts = (await ok(api.get(f"/incidents/{incident['id']}/notices")))["items"]
    (draft,) = [each for each in drafts if each["customer_id"] == own["id"]]
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, own["id"]))
    async with browser(running, member) as signed_in:
        answers = [
            await signed_in.get(f"/notices/{each}{rest}")
            for each in (foreign["id"], draft["id"], "00000000-0000-4000-8000-000000000000", "none")
            for rest in ("", "/words/en")
        ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({re.sub(r"<input[^>]*>", "", answer.text) for answer in answers}) == 1


# -- forms


FORMS = (
    "/sign-out",
    "/account/password",
    "/account/totp",
    "/account/passkeys",
    "/account/recovery-codes",
    "/account/tokens",
    "/account/sessions/end",
)


async def test_a_form_without_its_proof_changes_nothing(running):
    analyst = await person(running, "Ana", (Role.ANALYST, None))
    other = await person(running, "Otto", (Role.ANALYST, None))
    async with browser(running, analyst) as signed_in:
        for path in FORMS:
            for fields in ({}, {"csrf_token": "wrong"}, other.form()):
                answer = await signed_in.post(path, data=fields)
                assert answer.status_code == 403
                assert "out of date" in answer.text
        assert (await signed_in.get("/")).status_code == 200


async def test_a_token_is_shown_once_works_and_is_revoked(running):
    analyst = await person(running, "Ana", (Role.ANALYST, None))
    async with browser(running, analyst) as signed_in:
        fields = analyst.form(name="SIEM", days="30", permissions=["incident.read", "self"])
        made = await signed_in.post("/account/tokens", data=fields)
        assert made.status_code == 200
        (token,) = re.findall(r"<code>(grf_[\w-]+)</code>", made.text)
        async with httpx2.AsyncClient(base_url=running.url, headers={"Authorization": f"Bearer {token}"}) as program:
            assert (await program.get("/api/v1/incidents")).status_code == 200
            assert (await program.get("/api/v1/notices")).status_code == 403
            (stored,) = await running.parts.store.read(lambda tx: tx.tokens.of_account(analyst.account.id))
            revoked = await signed_in.post(f"/account/tokens/{stored.id}/revoke", data=analyst.form())
            assert revoked.status_code == 303
            assert revoked.headers["location"] == "/account?done=token"
            assert (await program.get("/api/v1/incidents")).status_code == 401


async def test_nobody_revokes_the_token_of_another(running):
    analyst = await person(running, "Ana", (Role.ANALYST, None))
    other = await person(running, "Otto", (Role.ANALYST, None))
    async with browser(running, analyst) as signed_in:
        await signed_in.post("/account/tokens", data=analyst.form(name="SIEM", days="30", permissions=["self"]))
    (stored,) = await running.parts.store.read(lambda tx: tx.tokens.of_account(analyst.account.id))
    async with browser(running, other) as signed_in:
        answer = await signed_in.post(f"/account/tokens/{stored.id}/revoke", data=other.form())
    assert answer.status_code == 404
    (stored,) = await running.parts.store.read(lambda tx: tx.tokens.of_account(analyst.account.id))
    assert stored.revoked_at is None


async def test_cookies_are_bound_to_the_host_and_closed_to_scripts(running):
    analyst = await person(running, "Ana", (Role.ANALYST, None))
    async with browser(running, analyst) as signed_in:
        answer = await signed_in.post("/sign-out", data=analyst.form())
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f'{SESSION_COOKIE}="";')
        for part in ("Max-Age=0", "Path=/", "Secure", "HttpOnly", "SameSite=lax"):
            assert part in cookie
        assert "domain" not in cookie.lower()
        assert (await signed_in.get("/account")).status_code == 303


async def test_a_notice_without_its_timestamp_stands_among_what_waits_with_the_reason(data_folder):
    settings = {"timestamps__url": "http://127.0.0.1:9/", "timestamps__ca_file": data_folder / "trust" / "tsa.pem"}
    async with embedded_service(data_folder, log__batch_seconds=0, **settings) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            await customer(api)
            (notice,) = await release(api, await declare(api, intent="malicious", cause="attack", impact="I1"))
            await running.sink.wait_for(1)
        await running.parts.worker.sealing.timestamp_sealed()
        for language, words in (
            ("en", "Notice without a timestamp"),
            ("fr", "Notification sans horodatage"),
            ("de", "Benachrichtigung ohne Zeitstempel"),
        ):
            ada = await person(running, f"Ada-{language}", (Role.ANALYST, None), language=language)
            async with browser(running, ada) as pages:
                text = (await pages.get("/")).text
            assert f'<a href="/notices/{notice["id"]}">{words}</a>' in text
            assert '<p lang="en">the authority cannot be reached' in text


async def test_the_language_chosen_at_the_sign_in_is_kept_after_it(running):
    ada = await person(running, "Ada", (Role.ANALYST, None), language="de")
    async with browser(running, ada) as pages:
        assert '<html lang="de">' in (await pages.get("/account")).text
        choice = {"language": "fr", "return_to": "/account"}
        another = await pages.post("/sign-in/language", data=choice, headers={"Sec-Fetch-Site": "cross-site"})
        assert another.status_code == 403
        answer = await pages.post("/sign-in/language", data=choice)
        assert answer.headers["location"] == "/sign-in?return_to=%2Faccount"
        pages.headers["Cookie"] += "; " + answer.headers["set-cookie"].partition(";")[0]
        assert (await pages.get(answer.headers["location"])).headers["location"] == "/account"
        assert '<html lang="fr">' in (await pages.get("/account")).text
        assert (await pages.post("/sign-in/language", data=choice | {"language": "xx"})).status_code == 422
