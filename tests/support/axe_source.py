"""axe-core from its lock, and how a page is judged by it (WCAG 2.2 A and AA). Use it in browser tests of pages."""

import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "axe"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: Only what is wrong leaves the browser: what passes is every element of the page, once for each rule.
VIOLATIONS = "rules => axe.run({runOnly: rules, resultTypes: ['violations']}).then(found => found.violations)"
DARK_AND_NARROW = {"type": "rule", "values": ["color-contrast", "target-size"]}
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}


def axe_source(folder):
    """Install axe-core into a folder and return its source."""
    assert shutil.which("npm"), "npm is not here: install nodejs and npm, as .ci/run does"
    shutil.copytree(FOLDER, folder / "axe")
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(words, cwd=folder / "axe", check=True, capture_output=True, timeout=240)
    return (folder / "axe" / "node_modules" / "axe-core" / "axe.min.js").read_text()


async def faults_of(page, axe, name):
    """Return what is wrong with a page as it is now: wide and light by every rule, then narrow and dark."""
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(WIDE)
    await page.evaluate(axe)
    found = [(name, each) for each in await page.evaluate(VIOLATIONS, RULES)]
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size(PHONE)
    found += [(f"{name}, dark and narrow", each) for each in await page.evaluate(VIOLATIONS, DARK_AND_NARROW)]
    wrong = [f"{where}: {each['id']}: {[node['html'][:160] for node in each['nodes'][:3]]}" for where, each in found]
    if await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
        wrong.append(f"{name}: wider than {PHONE['width']} px")
    return wrong
