"""No number of a clause stands in code, templates or catalogues: each comes from the data of an agreement."""

import io
import re
import tokenize
from pathlib import Path

import pytest

from notifications.agreement import bundled_agreements, bundled_dpas

_ROOT = Path(__file__).parents[2]
#: The data of agreements, the sources of the incidents of the demonstration, and what is about laws: the articles of a
#: law have the same numbers for everybody.
_DATA = (
    "notifications/agreement/secnumcloud_", "notifications/agreement/dpa_", "service/cli/demo/incidents/",
    "notifications/duties/", "notifications/use_cases/duties/", "service/settings/duties.py",
    "service/notice_pdf/fonts/",
)  # fmt: skip
_SUFFIXES = {".py", ".toml", ".jinja", ".po", ".js", ".html", ".txt", ".mako"}
_FILES = sorted(
    path.relative_to(_ROOT).as_posix()
    for folder in ("notifications", "service")
    for path in (_ROOT / folder).rglob("*")
    if path.suffix in _SUFFIXES and not path.relative_to(_ROOT).as_posix().startswith(_DATA)
)
_CLAUSES = {
    number
    for documents in (bundled_agreements().values(), bundled_dpas().values())
    for document in documents
    for number in document.clauses
}
#: Numbers with dots that stand alone: no version such as ``HTTP/1.1``, no address, no object identifier.
_DOTTED = re.compile(r"(?<![\w./-])\d+(?:\.\d+)+(?![\w%]|\.\d)")
#: A clause by its name.
_NAMED = re.compile(r"\b(?:[cC]lauses?|[aA]rticles?|Artikel|Ziffern?|[aA]rt\.|Abschnitt|agreement|DPA) (\d[\d.]*)")
#: Names of laws, standards and software, whose own numbers may follow.
_OTHER = re.compile(
    r"\b(?:GDPR|RGPD|DSGVO|NIS ?2|DORA|Directive|Regulation|RFC|ETSI|ITU-T|X\.\d+|NIST|OpenID|CloudEvents|WebAuthn|"
    r"C2SP|WCAG|protocol binding|Python|PgBouncer)\b"
    # A regulation by its number, such as 2024/2690.
    r"|\b20\d\d/\d{3,4}\b"
    # Replies of SMTP servers, with their enhanced status.
    r"|\b[245]\d\d [245]\.\d+\.\d+ "
)


def text_of(name):
    """Return the lines of a file with their numbers; of Python only comments and strings."""
    content = (_ROOT / name).read_text(encoding="utf-8")
    if not name.endswith(".py"):
        return list(enumerate(content.splitlines(), 1))
    kinds = {tokenize.STRING, tokenize.COMMENT}
    return [
        (token.start[0] + offset, line)
        for token in tokenize.generate_tokens(io.StringIO(content).readline)
        if token.type in kinds
        for offset, line in enumerate(token.string.splitlines())
    ]


def clauses_in(line):
    """Return what looks like the number of a clause in a line."""
    found = {number for number in _DOTTED.findall(line) if number in _CLAUSES}
    found |= set(_NAMED.findall(line))
    return set() if _OTHER.search(line) else found


@pytest.mark.parametrize("name", _FILES)
def test_no_clause_stands_in_it(name):
    found = [(number, sorted(clauses_in(line)), line.strip()[:160]) for number, line in text_of(name)]
    assert [each for each in found if each[1]] == []


@pytest.mark.parametrize(
    "line",
    [
        "You may complain to ANSSI at any time (clause 9.6).",
        "Conformément aux articles 9.7 et 12 de la convention",
        '"""Everything that concerns a customer (9.1)."""',
        'msgid "Personal data (DPA, article 8)"',
        "(Ziffer 11.1.1.2)",
        "# The choice of levels (6.1.3).",
    ],
)  # fmt: skip
def test_the_scan_finds_a_clause(line):
    assert clauses_in(line)
