"""Every clause that a notice cites is a clause of the documents that bind its customer."""

import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from notifications.agreement import (
    Reference,
    bound_terms,
    bundled_agreements,
    bundled_dpas,
    bundled_files,
    parse_agreement,
)
from notifications.agreement.terms import CLAUSE_SEPARATOR
from notifications.customer.records import LevelChoice, NewsChannel, ProfileVersion
from notifications.incident import LANGUAGES, Cause, Intent
from notifications.notice import NoticeKind
from notifications.wording import render
from support.notice_samples import (
    AWARE_AT,
    CONFIRMED,
    CUSTOMER,
    breach_facts,
    compose,
    compose_announced,
    plain_facts,
)

_VERSION_1 = Path(__file__).parents[1] / "support" / "agreements" / "secnumcloud_iaas_3_0_schema_1.toml"
_CITED = re.compile(r"\((?:clause|Ziffer) ([^()]*(?:\([^()]*\)[^()]*)*)\)")
#: Numbers with the shape of a clause: ``11.1.1.2``, ``DPA 8``.
_NUMBER = re.compile(r"(?<![\d.])\d{1,2}(?:\.\d{1,2}){2,}(?![\d.]*\d)|\bDPA \d+")
_ATTACK = {"intent": Intent.MALICIOUS, "cause": Cause.ATTACK}
_PROFILE = ProfileVersion(CUSTOMER.id, CUSTOMER.id, 1, (LevelChoice(impacts=("I1",)),), AWARE_AT, AWARE_AT, "operator")


@cache
def without_dpa():
    """Return the second agreement as one that names no DPA: its levels have no deadline."""
    text = bundled_files()["secnumcloud_2026.toml"].decode()
    for removed in (r"\[\[data_protection\]\]\ndpa = .*\nfrom = .*\n", r"(?m)^deadlines = \[.*\]\n"):
        text, count = re.subn(removed, "", text)
        assert count
    return bound_terms(parse_agreement(text.encode(), "secnumcloud_2026.toml"))


@cache
def bound():
    """Return name to terms: each agreement with each DPA, for all products and for each, and a file of version 1."""
    found = {"version 1": parse_agreement(_VERSION_1.read_bytes(), _VERSION_1.name)}
    for agreement, dpa in product(bundled_agreements().values(), bundled_dpas().values()):
        own = agreement.own or agreement
        for ordered in (None, *(frozenset({each.id}) for each in own.products)):
            name = f"{own.id}, {dpa.id}, {'all products' if ordered is None else min(ordered)}"
            found[name] = bound_terms(own, dpa, ordered)
    return found


SAMPLES = {
    "initial": lambda terms: compose(plain_facts(), agreement=terms),
    "initial, breach suspected": lambda terms: compose(breach_facts(), agreement=terms),
    "initial, by a chosen level": lambda terms: compose(plain_facts(**_ATTACK), agreement=terms, profile=_PROFILE),
    "update, breach confirmed": lambda terms: compose(
        breach_facts(CONFIRMED), breach_facts(), NoticeKind.UPDATE, 2, agreement=terms
    ),
    "correction": lambda terms: compose(
        plain_facts(**_ATTACK), plain_facts(), NoticeKind.CORRECTION, 2, agreement=terms
    ),
    "final": lambda terms: compose(plain_facts(), plain_facts(), NoticeKind.FINAL, 3, agreement=terms),
}


@cache
def composed(sample, name):
    return SAMPLES[sample](bound()[name])


def numbers(text):
    """Return the clauses that a rendering cites."""
    found = set()
    for cited in _CITED.findall(re.sub(r"\s+", " ", html.unescape(text))):
        found.update(cited.split(CLAUSE_SEPARATOR))
    return found


@pytest.mark.parametrize("name", list(bound()))
@pytest.mark.parametrize("sample", list(SAMPLES))
def test_each_cited_clause_is_one_of_the_documents_that_bind(sample, name):
    terms = bound()[name]
    for language in LANGUAGES:
        rendered = composed(sample, name).rendered[language]
        for body in (rendered.text, rendered.html):
            cited = numbers(body)
            assert cited
            assert cited <= terms.clauses.keys(), (language, cited - terms.clauses.keys())
            shown = re.sub(r"<style>.*?</style>", "", body, flags=re.DOTALL)
            assert set(_NUMBER.findall(shown)) <= terms.clauses.keys()
            for role in (Reference.NEWS_CHANNEL, Reference.COMPLAINT, Reference.STATUS_AND_HISTORY):
                assert (terms.reference(role) or "none") in cited or role not in terms.references
            if "breach" in sample:
                assert (terms.reference(Reference.BREACH_CONTENT) or "none") in cited or not terms.references


@pytest.mark.parametrize("name", [*(name for name in bound() if bound()[name].notices), "without a DPA"])
def test_each_other_notice_cites_the_bound_documents(name):
    terms = bound().get(name) or without_dpa()
    for kind in terms.notices:
        made = compose_announced(kind.id, terms, AWARE_AT + timedelta(days=60))
        document = json.loads(made.document)["announcement"]
        stated = document["lead"] or document["after"]
        owed = {document["clause"], *(item["clause"] for item in document["items"])}
        owed |= {stated["clause"]} if stated else set()
        owed = {number for clause in owed for number in clause.split(CLAUSE_SEPARATOR)}
        for language in LANGUAGES:
            for body in (made.rendered[language].text, made.rendered[language].html):
                cited = numbers(body)
                assert owed <= cited <= terms.clauses.keys(), (kind.id, language)
                shown = re.sub(r"<style>.*?</style>", "", body, flags=re.DOTALL)
                assert set(_NUMBER.findall(shown)) <= terms.clauses.keys()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("agreement", ["secnumcloud_iaas_3_0", "secnumcloud_2026"])
def test_the_dpa_is_cited_where_the_dpa_that_binds_has_the_article(agreement, language):
    own, dpas = bundled_agreements()[agreement].own, bundled_dpas()
    occurs_at = AWARE_AT + timedelta(days=60)
    article = next(kind.clause for kind in dpas["dpa_2026_01_09"].notices if kind.id == "subcontractor_change")
    for dpa_id, dpa in dpas.items():
        made = compose_announced("subcontractor_change", bound_terms(own, dpa), occurs_at)
        document = json.loads(made.document)
        binds = dpa_id == "dpa_2026_01_09"
        assert (article in numbers(made.rendered[language].text)) == binds
        assert (article in document["announcement"]["lead"]["clause"]) == binds
        assert ("DPA 13" in made.document.decode()) == binds
        if binds:
            assert document["due"]["binding"] == "hard"
            assert document["announcement"]["lead"]["days"] == 30


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_dpa_a_notice_says_nothing_of_one(language):
    made = compose_announced("subcontractor_change", without_dpa(), AWARE_AT + timedelta(days=60))
    document = json.loads(made.document)
    assert "dpa" not in document["agreement"]
    assert (document["announcement"]["clause"], document["announcement"]["lead"]["clause"]) == ("5.1, 7", "5.1, 7")
    assert "DPA" not in made.rendered[language].text


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_role_the_sentence_has_no_clause(language):
    terms = replace(bound()["version 1"], references={})
    text = re.sub(r"\s+", " ", compose(breach_facts(), agreement=terms).rendered[language].text)
    complaint = {"fr": "l’ANSSI à tout moment.", "en": "to ANSSI at any time.", "de": "bei der ANSSI beschweren."}
    assert complaint[language] in text
    assert "()" not in text
    assert "None" not in text
    chosen = compose(plain_facts(**_ATTACK), agreement=terms, profile=_PROFILE)
    (reason,) = (each for each in json.loads(chosen.document)["why_you_are_told"] if each["id"] == "profile")
    assert reason["clause"] == ""
    assert f"{reason['text'][language].rstrip('.')}." in re.sub(r"\s+", " ", chosen.rendered[language].text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_document_of_an_earlier_release_is_rendered_without_what_it_does_not_state(language):
    document = json.loads(compose(breach_facts()).document)
    del document["agreement"]["references"], document["due"]["binding"], document["news_channel"]
    text = re.sub(r"\s+", " ", render(document, language).text)
    same = {"fr": "par le canal qui a porté", "en": "through the channel that carried", "de": "über den Kanal, der"}
    assert same[language] in text
    possible = {"fr": "si possible", "en": "where possible", "de": "möglichst"}
    assert possible[language] in text[text.index(json.loads(compose(breach_facts()).document)["ticket"]) :]


@pytest.mark.parametrize("channel", list(NewsChannel))
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_names_the_channel_of_news(channel, language):
    notice = compose(plain_facts(), customer=replace(CUSTOMER, news_channel=channel))
    said = {
        NewsChannel.SAME: {"fr": "par le canal qui a porté", "en": "the channel that carried", "de": "über den Kanal"},
        NewsChannel.CONSOLE: {"fr": "interface COMMANDITAIRE", "en": "customer interface", "de": "AUFTRAGGEBER-Schn"},
        NewsChannel.EMAIL: {"fr": "par courriel à vos contacts", "en": "by e-mail to", "de": "Kontakte per E-Mail"},
    }
    assert json.loads(notice.document)["news_channel"] == channel
    assert said[channel][language] in re.sub(r"\s+", " ", notice.rendered[language].text)


@pytest.mark.parametrize(
    ("binding", "said", "after"),
    [
        ("hard", "limit under the agreement", "This notice is late"),
        ("soft", "time to meet where possible under the agreement", "after the time aimed at"),
        ("no_number", "internal target of the provider", None),
    ],
)
def test_a_notice_says_how_strictly_its_deadline_binds(binding, said, after):
    kind = "internal_target" if binding == "no_number" else "contractual"
    for is_past in (False, True):
        due_at = AWARE_AT.replace(minute=1) if is_past else AWARE_AT.replace(hour=23)
        made = compose(breach_facts(), due_at=due_at, due_kind=kind, stated_binding=binding)
        assert json.loads(made.document)["due"]["binding"] == binding
        text = re.sub(r"\s+", " ", made.rendered["en"].text)
        assert said in text
        assert ("is late" in text) == (is_past and binding == "hard")
        assert after is None or (after in text) == is_past
