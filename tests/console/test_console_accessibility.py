"""Every page, judged by axe-core (WCAG 2.2 A and AA): light and dark, narrow and wide, in every language."""

import re

import pytest
import pytest_asyncio

from support.axe_source import DARK_AND_NARROW, PHONE, RULES, VIOLATIONS, WIDE
from support.browsed_site import browsed_site
from support.chromium import hand_over, opened_page, unfold
from support.page_tour import HARD_WORDS, LONG_NAME, RIGHT_TO_LEFT, add_waiting_work, people_of, taken_by, tour_of
from support.people import browser
from support.world import build_world

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

LANGUAGES = ("fr", "en", "de")
FORM = re.compile(r'<form[^>]*method="post"[^>]*action="([^"]+)"[^>]*>(.*?)</form>', re.DOTALL)
#: What a person fills.
FIELD = re.compile(r'<textarea|<select|<input(?![^>]*type="(?:hidden|file)")')
#: Send a form without what a person types, and without the checks of the browser. Addresses of drafts have a number.
SEND_EMPTY = """action => {
    const place = address => address?.split('?')[0]
    const form = [...document.forms].findLast(each => place(each.getAttribute('action')) === place(action))
    if (!form) throw new Error(`${action} is not on ${location.pathname}`)
    for (const field of form.elements) if (field.matches('textarea, input:is([type=text], [type=search], [type=email],'
        + '[type=password], [type=number], [type=date], [type=datetime-local], [type=url], :not([type]))'))
        field.value = ''
    HTMLFormElement.prototype.submit.call(form)
}"""
WIDER = "document.documentElement.scrollWidth > window.innerWidth"
#: A wrong field says what is wrong with it.
UNEXPLAINED = """() => [...document.querySelectorAll('[aria-invalid]')].filter(field =>
    !(field.getAttribute('aria-describedby') ?? '').split(' ')
        .some(id => document.getElementById(id)?.textContent.trim()))
    .map(field => field.outerHTML.slice(0, 160))"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(prepared_folder, tmp_path_factory, chromium):
    """A service with the world, and a browser."""
    place = tmp_path_factory.mktemp("axe_site")
    async with browsed_site(chromium, prepared_folder, place, access__requests_burst=20_000) as browsed:
        running, api = browsed.service, browsed.api
        world = await build_world(running, api, customer_names=(LONG_NAME, RIGHT_TO_LEFT), **HARD_WORDS)
        await add_waiting_work(running, api, world)
        # Which pages there are, and which forms stand on them, depends on no language.
        stops = await tour_of(running, world, LANGUAGES[0])
        forms = await _filled_forms(running, stops)
        people = {language: await people_of(running, world, language) for language in LANGUAGES[1:]}
        stops_in = {LANGUAGES[0]: stops} | {language: taken_by(of_it, stops) for language, of_it in people.items()}
        yield browsed.origin, browsed.chromium, stops_in, forms


@pytest.mark.parametrize("language", LANGUAGES)
async def test_no_page_has_a_violation_and_none_is_wider_than_a_phone(site, axe, language):
    """Each page in one language, all pages in all; in each, light and dark, wide and narrow."""
    origin, chromium, stops_in, _ = site
    wrong = []
    async with opened_page(chromium, origin, locale=language) as page:
        await page.context.add_init_script(axe)
        # Each change of the look lays the page out anew: the next page begins as the last one ended.
        looks = [("", "light", WIDE, RULES), ("dark, narrow: ", "dark", PHONE, DARK_AND_NARROW)]
        for stop in stops_in[language][LANGUAGES.index(language) :: len(LANGUAGES)]:
            await hand_over(page, stop.whom)
            # A page with a stream of events is never idle.
            await page.goto(stop.path, wait_until="domcontentloaded")
            await unfold(page)
            for look, scheme, size, rules in looks:
                await page.emulate_media(color_scheme=scheme)
                await page.set_viewport_size(size)
                found = await page.evaluate(VIOLATIONS, rules)
                wrong += [f"{look}{_said(stop, violation)}" for violation in found]
                if size == PHONE and await page.evaluate(WIDER):
                    wrong.append(f"{stop.name}: wider than {PHONE['width']} px")
            looks.reverse()
            wrong += [f"{stop.name}: {text}" for text in page.complaints if "Content Security Policy" in text]
            page.complaints.clear()
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_no_answer_to_a_form_has_a_violation(site, axe, language):
    """Each form with fields is sent empty once, a third of them in each language: most answers say what is wrong."""
    origin, chromium, stops_in, forms = site
    wrong = []
    assert len(forms) > 30, sorted(forms)
    async with opened_page(chromium, origin, locale=language, viewport=PHONE) as page:
        await page.context.add_init_script(axe)
        for action, number in sorted(forms.items())[LANGUAGES.index(language) :: len(LANGUAGES)]:
            stop = stops_in[language][number]
            await hand_over(page, stop.whom)
            await page.goto(stop.path, wait_until="domcontentloaded")
            async with page.expect_navigation(wait_until="domcontentloaded"):
                await page.evaluate(SEND_EMPTY, action)
            await unfold(page)
            found = await page.evaluate(VIOLATIONS, RULES)
            wrong += [f"{action} sent empty: {_said(stop, violation)}" for violation in found]
            wrong += [f"{action} sent empty: not explained: {field}" for field in await page.evaluate(UNEXPLAINED)]
            if await page.evaluate(WIDER):
                wrong.append(f"{action} sent empty: wider than {PHONE['width']} px")
    assert wrong == [], "\n".join(wrong)


async def _filled_forms(running, stops):
    """Return the forms that a person fills: the address that each is sent to, and the number of a stop that has it."""
    found = {}
    for number, stop in enumerate(stops):
        if "?" in stop.path:
            continue
        async with browser(running, stop.whom) as client:
            text = (await client.get(stop.path)).text
        for action, content in FORM.findall(text):
            if FIELD.search(content):
                found.setdefault(action, number)
    return found


def _said(stop, violation):
    nodes = " | ".join(node["html"][:160] for node in violation["nodes"][:3])
    return f"{stop.name}: {violation['id']}: {violation['help']}: {nodes}"
