"""Documents point to files, headings, modules and commands that exist."""

import re
from pathlib import Path

import pytest

from service.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CHANGELOG.md"})
#: Named in documents and made by changes that are on their way. Take each out when it has arrived.
_ARRIVING: tuple[str, ...] = ()
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def named(path):
    return str(path.relative_to(ROOT))


def exists(path):
    return (ROOT / path).exists() or path.startswith(_ARRIVING)


def headings(path):
    """Return the anchors that the forge gives to the headings of a document."""
    lines = re.findall(r"^#+ (.*)$", _FENCED.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_to_files_and_headings(document):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", _FENCED.sub("", document.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not exists(named(target)) or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_paths_lead_to_files(document):
    paths = re.findall(
        r"`((?:service|notifications|tests|benchmarks|docs)/[\w./-]*)`", document.read_text(encoding="utf-8")
    )
    assert [path for path in paths if not exists(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_commands_are_those_of_the_program(document):
    text = document.read_text(encoding="utf-8")
    used = set(re.findall(r"(?:^ *|`)greffier ([a-z][\w-]*)", text, re.MULTILINE))
    # ``greffier evidence bundle v1`` is the first line of a signed note.
    assert used - set(cli.commands) - {"evidence"} == set()
