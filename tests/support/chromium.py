"""Debian's chromium without windows, for tests that look at pages as a person does: it takes half the processor."""

from contextlib import asynccontextmanager

from playwright.async_api import async_playwright

from service.auth.authentication import SESSION_COOKIE

PATH = "/usr/bin/chromium-headless-shell"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A page is left before an optimising compiler has paid for itself: without, axe-core takes a third less of the
    # processor.
    "--js-flags=--always-sparkplug --no-maglev --no-turbofan",
]


@asynccontextmanager
async def started_chromium():
    """Start it, and close it at the end."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=PATH, args=ARGUMENTS)
        try:
            yield chromium
        finally:
            await chromium.close()


@asynccontextmanager
async def opened_page(chromium, origin, whom=None, **options):
    """Open a page as ``new_page`` does, and close it at the end."""
    page = await new_page(chromium, origin, whom, **options)
    try:
        yield page
    finally:
        await page.context.close()


async def new_page(chromium, origin, whom=None, **options):
    """Return a page in a fresh profile, with the session of a person; complaints of the browser are collected in it."""
    context = await chromium.new_context(base_url=origin, **({"locale": "en"} | options))
    context.set_default_timeout(40_000)
    page = await context.new_page()
    await hand_over(page, whom)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    return page


async def hand_over(page, whom=None):
    """Let another person use the browser, or nobody who is signed in: a new profile costs more than ten pages."""
    await page.context.clear_cookies()
    if whom is not None:
        cookie = {"name": SESSION_COOKIE, "value": whom.secret, "url": "https://localhost", "secure": True}
        await page.context.add_cookies([cookie])


async def unfold(page):
    """Open everything that is folded, at once: what is folded is on the page too."""
    await page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
