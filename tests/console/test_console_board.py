"""The board as an analyst reads it at night: what burns, what is missing, what to do next, by links and forms alone."""

import re
from html import unescape

import pytest
import pytest_asyncio

from notifications.wording.vocabulary import words
from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.people import browser, person, visible_text
from support.scenario import affected, ago, customer, declare

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def titles():
    return {"burning": "Keys of the <b>console</b> leaked", "open": "Stockage indisponible", "plain": "A plain event"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def night(shared_service, shared_api, titles):
    """Three incidents and an analyst, who declared none of them."""
    api = shared_api
    hospital = await customer(api)
    made = {
        "open": await declare(api, title={"fr": titles["open"]}, intent="unknown", service_harm={}, regions=["par-1"]),
        "plain": await declare(api, title={"en": titles["plain"]}, services=["web"]),
        "burning": await declare(
            api,
            title={"en": titles["burning"]},
            **GRAVE,
            affected_customers=[affected(hospital)],
            aware_at=ago(hours=9),
        ),
    }
    return made, await person(shared_service, "Ada", (Role.ANALYST, None))


async def opened(service, whom, path):
    async with browser(service, whom) as pages:
        answer = await pages.get(path)
    return answer.status_code, answer.text


def shown(page):
    """Return the identifiers of the incidents in the list of a page, in order."""
    return re.findall(r'id="open-([0-9a-f-]{36})"', page)


async def test_what_burns_stands_first_with_what_to_do(shared_service, night):
    made, ada = night
    status, page = await opened(shared_service, ada, "/incidents")
    assert status == 200
    strip = page[page.index('id="burns"') : page.index('id="incidents"')]
    # Its time is the provider's own target, which is no limit of the agreement.
    assert words("past.no_number", "en").rstrip(".") in unescape(strip)
    assert f'href="/incidents/{made["burning"]["id"]}"' in strip
    assert f'href="/incidents/{made["burning"]["id"]}/notices"' in strip
    assert text("board.do_ask", "en") in strip
    assert shown(page)[0] == made["burning"]["id"]
    assert set(shown(page)) == {item["id"] for item in made.values()}
    assert "<b>console</b>" not in page
    # The absolute time stands there without a script.
    assert re.search(r"<time datetime=\"[^\"]+Z\" data-countdown>\d+ \w+ \d{4}, \d\d:\d\d UTC</time>", strip)


async def test_drafts_wait_for_an_approver_where_the_reader_may_not_release(shared_service, night):
    _, ada = night
    grace = await person(shared_service, "Grace", (Role.APPROVER, None))
    for whom, key, other in ((ada, "board.do_ask", "board.do_release"), (grace, "board.do_release", "board.do_ask")):
        _, page = await opened(shared_service, whom, "/incidents")
        assert text(key, "en") in page
        assert text(other, "en") not in page


async def test_what_is_unknown_is_said_with_what_hangs_on_it(shared_service, night):
    made, ada = night
    _, page = await opened(shared_service, ada, "/incidents")
    part = page[page.index(f'id="open-{made["open"]["id"]}"') :]
    part = visible_text(
        unescape(part[: part.index('</li>\n<li class="card')] if '</li>\n<li class="card' in part else part)
    )
    assert "Intent of the event (malicious or accidental)" in part
    assert "If malicious: security incident" in part


async def test_filters_stand_in_the_address(shared_service, night):
    made, ada = night
    for query, expected in (
        ("service=web", ["plain"]),
        ("region=par-1&nature=&priority=", ["open"]),
        ("nature=security_incident&priority=P1", ["burning"]),
        ("mine=yes", []),
        ("state=closed", []),
        ("state=open&service=web&region=par-1", []),
    ):
        status, page = await opened(shared_service, ada, f"/incidents?{query}")
        assert status == 200
        assert shown(page) == [made[name]["id"] for name in expected], query
        if not expected:
            assert text("board.none_found", "en") in page
    assert 'name="service" type="text" value="web"' in (await opened(shared_service, ada, "/incidents?service=web"))[1]


async def test_a_wrong_filter_comes_back_with_its_error(shared_service, night):
    _, ada = night
    status, page = await opened(shared_service, ada, "/incidents?service=a%20b&state=odd&nature=odd&mine=odd")
    assert status == 422
    assert 'value="a b"' in page
    assert 'aria-describedby="service-error"' in page
    assert text("board.problem_code", "en") in unescape(page)


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_the_board_is_read_in_every_language(shared_service, night, language):
    made, _ = night
    reader = await person(shared_service, f"Reader{language}", (Role.APPROVER, None), language=language)
    _, page = await opened(shared_service, reader, "/incidents")
    page = unescape(page)
    assert text("board.title", language) in page
    assert text("board.do_release", language) in page
    # Who may not declare is shown no button for it.
    assert "/incidents/new" not in page
    if language != "fr":
        assert f'lang="fr">{"Stockage indisponible"}' in page
    _, home = await opened(shared_service, reader, "/")
    assert f'href="/incidents/{made["burning"]["id"]}"' in home
    assert 'href="/incidents"' in home


async def test_a_long_list_goes_on_by_links(shared_service, shared_api, night):
    _, ada = night
    made = [(await declare(shared_api, services=["many"]))["id"] for _ in range(26)]
    _, page = await opened(shared_service, ada, "/incidents?service=many&mine=")
    following = unescape(re.search(r'rel="next" href="([^"]+)"', page).group(1))
    assert following.startswith("/incidents?service=many&mine=&cursor=")
    _, last = await opened(shared_service, ada, following)
    assert shown(page) + shown(last) == made
    assert 'rel="next"' not in last


async def test_customers_and_strangers_see_no_board(shared_service, shared_api, night):
    owner = await customer(shared_api, "Other")
    member = await person(shared_service, "Max", (Role.CUSTOMER_MEMBER, owner["id"]))
    assert (await opened(shared_service, member, "/incidents"))[0] == 403
    _, home = await opened(shared_service, member, "/")
    assert 'href="/incidents"' not in home
