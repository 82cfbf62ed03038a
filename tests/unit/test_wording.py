import html
import json
import re
import textwrap
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from itertools import product

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from notifications import classification, decision
from notifications.agreement import DeadlineBinding
from notifications.agreement.reading import FACTS
from notifications.decision import Verdict
from notifications.incident import (
    LANGUAGES,
    Answer,
    Cause,
    Controller,
    Intent,
    LocalizedText,
    PersonalDataBreach,
    Property,
    Resource,
    ResourceKind,
    Tlp,
)
from notifications.notice import NoticeKind
from notifications.wording import catalogues, render, words
from notifications.wording.formats import moment, visible
from notifications.wording.rendering import _wrapped
from support.notice_samples import CONFIRMED, MANY, SAMPLES, breach_facts, compose, plain_facts, text

FOLDER = resources.files("notifications.wording")
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
KEYWORDS = {"say": None, "N_": None}
SOURCES = [("**.py", "python"), ("**.jinja", "jinja2")]
OPTIONS = {"**.jinja": {"trim_blocks": "true", "lstrip_blocks": "true"}}


def document_of(name):
    return json.loads(SAMPLES[name]().document)


def words_of(message, language):
    return re.sub(r"\s+", " ", catalogues.translate(message, language))


def extracted():
    return {
        found[2] for found in extract_from_dir(str(FOLDER), SOURCES, options_map=OPTIONS, keywords=KEYWORDS)
    }  # fmt: skip


def catalogue(language):
    with FOLDER.joinpath(f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


class TestCatalogues:
    @pytest.mark.parametrize("language", ["fr", "de"])
    def test_every_message_is_translated_and_none_is_left_over(self, language):
        messages = {message.id: message for message in catalogue(language) if message.id}
        assert set(messages) == extracted()
        assert [message.id for message in messages.values() if message.fuzzy or not message.string] == []
        assert not catalogue(language).obsolete

    @pytest.mark.parametrize("language", ["fr", "de"])
    def test_a_translation_has_the_placeholders_of_its_message(self, language):
        for message in catalogue(language):
            if message.id:
                assert set(PLACEHOLDER.findall(message.string)) == set(PLACEHOLDER.findall(message.id))
                assert "%" not in PLACEHOLDER.sub("", message.string)

    def test_nothing_is_said_that_extraction_has_not_found(self, monkeypatch):
        said = set()

        def listen(message, language):
            said.add(message)
            return catalogues.translate(message, language)

        monkeypatch.setattr("notifications.wording.reader.translate", listen)
        monkeypatch.setattr("notifications.wording.vocabulary.translate", listen)
        for name, language in product(SAMPLES, LANGUAGES):
            render(document_of(name), language)
        assert len(said) > 100
        assert said <= extracted()

    def test_french_has_narrow_no_break_spaces_before_double_punctuation(self):
        for message in catalogue("fr"):
            if message.id:
                assert not re.search(r"(?<!\u202f)[;!?»]| [:;!?»]|« ", message.string), message.string
                assert "'" not in message.string


class TestWords:
    IDS = (*classification.MESSAGE_IDS, *decision.MESSAGE_IDS, "reason.not_bound")

    @pytest.mark.parametrize("message_id", IDS)
    def test_every_message_of_a_decision_has_words_in_three_languages(self, message_id):
        said = {words(message_id, language) for language in LANGUAGES}
        assert message_id not in said
        assert len(said) == 3

    @pytest.mark.parametrize(
        "message_id",
        [
            *(f"answer.{each}" for each in Answer),
            *(f"property.{each}" for each in Property),
            *(f"intent.{each}" for each in Intent),
            *(f"cause.{each}" for each in Cause),
            *(f"breach.{each}" for each in PersonalDataBreach),
            *(f"controller.{each}" for each in Controller),
            *(f"resource.{each}" for each in ResourceKind),
            *(f"nature.{each}" for each in classification.Nature),
            *(f"verdict.{each}" for each in Verdict),
            *(f"due.{each}" for each in decision.DueKind),
            *(f"{kind}.{each}" for kind in ("due", "past") for each in DeadlineBinding),
            *(f"kind.{each}" for each in NoticeKind),
            *(f"tlp.{each}" for each in Tlp),
            *(f"language.{each}" for each in LANGUAGES),
        ],
    )
    def test_every_coded_value_has_words(self, message_id):
        assert message_id not in {words(message_id, language) for language in LANGUAGES}

    def test_every_fact_that_a_document_can_name_has_words(self):
        named = {"unlisted_customers", *(f"affected_customers.data_harm.{each}" for each in Property)}
        for fact in FACTS:
            kind, _, harmed = fact.partition(".")
            if kind in {"service_harm", "intent", "cause", "impact", "criticality"} or not harmed:
                named.add(fact)
        named -= {"touched", "service_reached", "personal_data_breach", "controller", "health_data"}
        for name in SAMPLES:
            document = document_of(name)
            named |= {*document["not_known_yet"]["facts"], *(change["fact"] for change in document["changes"])}
        assert "personal_data.records_approx" in named
        for fact, language in product(named, LANGUAGES):
            assert not words(f"fact.{fact}", language).startswith("fact."), fact

    def test_a_fact_of_a_customer_has_the_words_of_that_fact(self):
        fact = "fact.affected_customers.0b0e37ba-11c5-4c45-8e10-6f5f9f1b7a5a.data_harm.integrity"
        assert words(fact, "en") == words("fact.data_harm.integrity", "en") != fact

    def test_a_level_of_another_agreement_has_the_words_of_any_level(self):
        assert words("reason.their_own_level.not_touched", "de") == words("reason.level.not_touched", "de")
        assert words("reason.their_own_level.of_no_kind", "de") == "reason.their_own_level.of_no_kind"


class TestRendering:
    @pytest.mark.parametrize(("name", "language"), list(product(SAMPLES, LANGUAGES)))
    def test_it_depends_on_the_document_alone(self, name, language):
        composed = SAMPLES[name]()
        document = json.loads(composed.document)
        assert render(document, language) == composed.rendered[language]
        del document["renderings"]
        assert render(document, language) == composed.rendered[language]

    @pytest.mark.parametrize(("name", "language"), list(product(SAMPLES, LANGUAGES)))
    def test_text_and_html_say_the_same(self, name, language):
        rendered = render(document_of(name), language)
        shown = re.sub(r"\W+", " ", _text_of(rendered.html))
        # Tables are laid out in another order, and marks of foreign text stand in brackets in both.
        for line in re.findall(r"[^\n]+", rendered.text):
            words_in_line = re.sub(r"\W+", " ", re.sub(r"^ +[|*-] ", "", line)).split()
            if not line.startswith("      "):
                assert " ".join(words_in_line) in shown, line

    @pytest.mark.parametrize(("name", "language"), list(product(SAMPLES, LANGUAGES)))
    def test_bodies_have_lf_line_ends_and_the_subject_is_a_header(self, name, language):
        rendered = render(document_of(name), language)
        for body in (rendered.text, rendered.html):
            assert "\r" not in body
            assert body.endswith("\n")
            assert not body.endswith("\n\n")
        assert len(rendered.subject) < 200
        assert rendered.subject.replace("\u202f", "").isprintable()

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_the_first_screen_answers_the_first_questions(self, language):
        rendered = render(document_of("security"), language)
        first_screen = rendered.text.split("\n\n\n")[0]
        for expected in (
            "TLP:AMBER+STRICT",
            "INC-2026-000042",
            "2026-03-02 08:00 UTC",
            words("breach.suspected", language),
            words("property.confidentiality", language),
        ):
            assert expected in re.sub(r"\n +", " ", first_screen)
        assert len(first_screen.splitlines()) < 40

    @pytest.mark.parametrize("tlp", list(Tlp))
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_tlp_labels_are_never_translated(self, tlp, language):
        rendered = compose(plain_facts(tlp=tlp), languages=(language,)).rendered[language]
        assert rendered.subject.startswith(f"[{tlp.value}] ")
        assert rendered.text.startswith(f"{tlp.value}\n")
        assert rendered.text.endswith(f"{tlp.value}\n")
        assert rendered.html.count(f">{tlp.value}</p>") == 2

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_kinds_differ_in_heading_and_first_sentence(self, language):
        openings = set()
        for name in ("plain", "update", "correction", "final"):
            lines = render(document_of(name), language).text.split("\n")
            openings |= {lines[2], lines[5]}
        assert len(openings) == 8

    def test_a_correction_states_first_what_was_wrong(self):
        text = render(document_of("correction"), "en").text
        wrong, happened = text.index("What was not right"), text.index("What happened\n----")
        assert wrong < happened
        assert "Stated before: accidental\n      Stated now: malicious" in text[wrong:happened]

    def test_in_a_correction_what_was_not_known_is_not_called_wrong(self):
        text = render(document_of("correction_with_news"), "en").text
        known = text[text.index("What has become known") : text.index("What happened\n----")]
        assert "When the event began" in known
        assert "Intent" not in known
        assert (
            "When the event began" not in text[text.index("What was not right") : text.index("What has become known")]
        )

    def test_what_has_grown_or_is_confirmed_was_not_wrong(self):
        now = breach_facts(replace(CONFIRMED, categories_of_data_subjects=("patients", "carers", "staff")), MANY)
        composed = compose(now, breach_facts(resources=MANY[:2]), NoticeKind.CORRECTION, 2)
        text = composed.rendered["en"].text
        wrong = text[text.index("What was not right") : text.index("What has become known")]
        known = text[text.index("What has become known") : text.index("What happened\n----")]
        for fact in ("Whether personal data is breached", "Categories of data subjects", "Number of your resources"):
            assert fact in known
            assert fact not in wrong

    def test_what_has_shrunk_was_wrong(self):
        now = breach_facts(replace(CONFIRMED, categories_of_data_subjects=("carers",)), MANY[:1])
        before = breach_facts(CONFIRMED, MANY)
        text = compose(now, before, NoticeKind.CORRECTION, 2).rendered["en"].text
        wrong = text[text.index("What was not right") : text.index("What happened\n----")]
        assert "Categories of data subjects" in wrong
        assert "Number of your resources affected" in wrong

    def test_a_closed_incident_is_not_said_to_go_on(self):
        text = compose(plain_facts(ended_at=None), plain_facts(), NoticeKind.FINAL, 2).rendered["en"].text
        assert "Ended: not known yet" in text
        assert "not over" not in text
        assert "Ended: not over, or not known yet" in render(document_of("plain"), "en").text

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("controller", Controller)
    def test_a_possible_controller_reads_of_its_deadlines_on_the_first_screen(self, controller, language):
        own = replace(breach_facts().affected_customers[0].personal_data, controller=controller)
        rendered = compose(breach_facts(own)).rendered[language]
        first_screen = re.sub(r"\s+", " ", rendered.text.split("\n\n\n")[0])
        said = words_of("may run, such as the 72 hours of GDPR article 33; see below", language)
        assert (said in first_screen) is (controller is not Controller.PROVIDER)
        assert said not in re.sub(r"\s+", " ", render(document_of("plain"), language).text)

    def test_a_resource_takes_one_line_of_text(self):
        assert "\n  * archive-0007 (object)\n" in render(document_of("update"), "en").text

    @given(
        st.lists(st.sampled_from([1, 2, 3, 36, 37, 38, 70, 72, 75, 76, 77]), min_size=1, max_size=12),
        st.sampled_from([("", ""), ("  - ", "    ")]),
    )
    def test_lines_break_where_textwrap_breaks_them(self, lengths, margins):
        # A no-break space and a hyphen within a word are no places to break.
        text = " ".join(("x" + "-\u202f" * length)[: length - 1] + "x" for length in lengths)
        first, rest = margins
        expected = textwrap.fill(
            text, 76, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
        )
        assert _wrapped(text, first, rest) == expected

    def test_provisional_is_said_in_plain_words(self):
        text = render(document_of("security"), "en").text
        assert "security incident (provisional)" in text
        assert "This assessment is provisional" in text
        assert "provisional" not in render(document_of("update"), "en").text

    def test_an_internal_target_is_not_passed_off_as_a_deadline_of_the_contract(self):
        plain, security = (re.sub(r"\s+", " ", render(document_of(name), "en").text) for name in ("plain", "security"))
        assert "internal target of the provider, not a time of the agreement" in plain
        assert "internal target" not in security
        assert "time to meet where possible under the agreement" in security

    @pytest.mark.parametrize(
        ("language", "possible"), [("fr", "si possible"), ("en", "where possible"), ("de", "soweit möglich")]
    )
    def test_48_hours_are_no_hard_limit_where_the_dpa_says_where_possible(self, language, possible):
        """DPA of 15.01.2025: art. 7 "where possible", art. 8 no number."""
        text = re.sub(r"\s+", " ", render(document_of("security"), language).text)
        for sentence in re.findall(r"[^.]*\b48\b[^.]*\.", text):
            assert possible in sentence
        assert not re.search("contractual deadline|délai contractuel|vertragliche Frist", text)

    def test_every_item_of_dpa_8_is_there_even_when_not_known(self):
        text = render(document_of("security"), "en").text
        start = text.index("Personal data (clause DPA 8)")
        section = re.sub(r"\n +", " ", text[start : text.index("\n\n\n", start)])
        for label in (
            "Approximate number of data subjects",
            "Categories of personal data records",
            "Approximate number of personal data records",
        ):
            assert f"{label}: not known yet" in section
        assert "Categories of data subjects: patients, carers" in section
        assert "Nature of the breach: Harm to the confidentiality of your data" in section
        assert "Contact point: Security operations, soc@provider.example" in section
        assert "Likely consequences of the breach\n\nNot known yet." in section
        assert "Potential impact on your data hosted in the cloud\n\nNot known yet." in section
        assert "Session closed" in section

    def test_a_personal_data_section_stands_only_in_a_notice_of_a_breach(self):
        assert "DPA" not in render(document_of("plain"), "en").text

    @pytest.mark.parametrize(
        ("independent", "said"),
        [(False, "it is not independent"), (True, None), (None, "the timestamp follows.")],
    )
    def test_what_the_timestamp_is_worth_is_said(self, independent, said):
        text = re.sub(r"\s+", " ", compose(plain_facts(), timestamp_independent=independent).rendered["en"].text)
        assert ("not independent" in text) == (independent is False)
        assert said is None or said in text
        assert "If notice.json.tsr is missing" in text

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_the_commands_stand_unbroken_and_the_anssi_line_is_there(self, language):
        rendered = render(document_of("plain"), language)
        for command in (
            "openssl cms -verify -in mail.eml -CAfile ca.pem -purpose smimesign -out /dev/null",
            (
                "openssl cms -verify -binary -inform DER -in notice.json.p7s -content notice.json -CAfile ca.pem"
                " -purpose smimesign -out /dev/null"
            ),
            "openssl ts -verify -in notice.json.tsr -data notice.json.p7s -CAfile tsa.pem",
            "greffier verify mail.eml --trust DIR",
        ):
            assert f"    {command}\n" in rendered.text
            assert f"<pre>{command}</pre>" in rendered.html
        assert "ANSSI" in rendered.text
        assert "11.1.1.2" in rendered.text

    def test_text_in_another_language_is_marked_as_such(self):
        facts = plain_facts(summary=text(de="Ein Controller ist ausgefallen."), title=text(de="Ausfall"))
        rendered = compose(facts, languages=("fr", "de")).rendered
        assert "[texte en allemand]\n  | Ein Controller ist ausgefallen." in rendered["fr"].text
        assert '<blockquote lang="de"' in rendered["fr"].html
        assert "Ausfall [texte en allemand]" in rendered["fr"].text
        assert "Text auf" not in rendered["de"].text.split("Von uns ergriffene")[0]

    def test_french_stands_in_before_english(self):
        facts = plain_facts(summary=text(fr="Panne.", en="Failure."))
        assert "[Text auf Französisch]\n  | Panne." in compose(facts, languages=("de",)).rendered["de"].text


class TestMoments:
    def test_the_customers_zone_and_utc(self):
        assert moment("2026-07-01T22:30:00.000000Z", "en", "Europe/Paris") == (
            "2 July 2026, 00:30 Europe/Paris (2026-07-01 22:30 UTC)"
        )
        assert moment("2026-03-02T08:00:00.000000Z", "fr", "America/Cayenne") == (
            "2 mars 2026 à 05:00 America/Cayenne (2026-03-02 08:00 UTC)"
        )
        assert moment("2026-03-02T08:00:00.000000Z", "de", "Europe/Berlin") == (
            "2. März 2026, 09:00 Uhr Europe/Berlin (2026-03-02 08:00 UTC)"
        )

    @pytest.mark.parametrize("zone", ["UTC", "Africa/Abidjan", "Not/AZone", "../../etc/passwd", ""])
    def test_utc_alone_where_there_is_nothing_to_add(self, zone):
        assert moment("2026-03-02T08:00:00.000000Z", "en", zone) == "2 March 2026, 08:00 UTC"


HOSTILE = (
    "{{ 7*7 }}{% for x in range(9) %}x{% endfor %}{# c #}",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    '"><a href="javascript:alert(1)">',
    "%(ticket)s %s %n 100 %",
    "&lt;b&gt; ]]> <!-- -->",
)


class TestHostileText:
    @pytest.mark.parametrize("hostile", HOSTILE)
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_syntax_is_shown_as_it_was_typed(self, hostile, language):
        rendered = compose(
            plain_facts(
                title=text(en=hostile), summary=text(en=hostile), effect=text(en=hostile),
                recommendations=text(en=hostile), services=(hostile,),
                resources=(Resource(ResourceKind.VOLUME, hostile, hostile, hostile, hostile),),
            ),
            languages=(language,),
        ).rendered[language]  # fmt: skip
        assert rendered.text.count(hostile) >= 4
        assert hostile in rendered.subject
        parsed = _parsed(rendered.html)
        assert "script" not in parsed.tags
        assert "img" not in parsed.tags
        assert "a" not in parsed.tags
        assert "".join(parsed.pieces).count(hostile) >= 8

    def test_a_free_text_cannot_pass_for_words_of_the_template(self):
        forged = "Nothing happened.\n\nContact\n-------\n\nContact point: attacker@evil.example\n-- \nBcc: x@y.example"
        rendered = compose(plain_facts(summary=text(en=forged)), languages=("en",)).rendered["en"]
        for line in rendered.text.split("\n"):
            if "evil.example" in line or "Bcc" in line:
                assert line.startswith("  | ")
        assert rendered.text.count("\nContact\n-------\n") == 1

    def test_a_line_end_in_a_title_starts_no_header(self):
        rendered = compose(
            plain_facts(title=text(en="Failure\r\nBcc: everybody@example.org\u2028X: y\x00\x85z")), languages=("en",)
        ).rendered["en"]
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", rendered.subject)
        assert "Failure Bcc: everybody@example.org X: y" in rendered.subject

    def test_directions_and_controls_are_named_not_obeyed(self):
        sly = "invoice\u202egnp.exe \u2066a\u2069 \x1b[31m \u200bhidden\ufeff \U000e0041 \x9b"
        rendered = compose(
            plain_facts(title=text(en=sly), summary=text(en=sly), services=(sly,)), languages=("en",)
        ).rendered["en"]
        for shown in (rendered.subject, rendered.text, rendered.html):
            assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b\u200b\ufeff\U000e0000-\U000e007f\x80-\x9f]", shown)
            assert "invoice⟨U+202E⟩gnp.exe" in shown
            assert "⟨U+001B⟩[31m" in shown

    @given(st.text(st.characters(exclude_categories=()), max_size=300))
    def test_no_text_breaks_a_rendering(self, typed):
        document = document_of("plain") | {"title": {"en": typed}, "what_happened": {"en": typed}}
        for language in LANGUAGES:
            rendered = render(document, language)
            assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", rendered.subject)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", rendered.text)
            assert len(rendered.subject) < 200
            rendered.html.encode("utf-8")

    def test_a_long_title_is_cut_in_the_subject_and_whole_in_the_text(self):
        title = "Störung " * 25
        rendered = compose(plain_facts(title=text(de=title)), languages=("de",)).rendered["de"]
        assert rendered.subject.endswith("…")
        assert re.sub(r"\s+", " ", title).strip() in re.sub(r"\s+", " ", rendered.text)

    def test_what_is_seen_is_left_alone(self):
        kept = "Ünïcödé — 日本語 עברית 👩‍👧 «\u202fà\u00a0b\u202f»"
        assert visible(kept) == kept
        rendered = compose(plain_facts(title=text(fr=kept)), languages=("fr",)).rendered["fr"]
        assert kept in rendered.subject


class TestHtml:
    @pytest.mark.parametrize(("name", "language"), list(product(SAMPLES, LANGUAGES)))
    def test_it_is_one_self_contained_accessible_page(self, name, language):
        page = render(document_of(name), language).html
        parsed = _parsed(page)
        assert parsed.attributes["html"][0]["lang"] == language
        assert parsed.tags.count("h1") == 1
        assert parsed.tags.count("h2") >= 9
        assert all("scope" in attributes for attributes in parsed.attributes["th"])
        assert not {"script", "img", "link", "iframe", "object", "form", "a", "svg"} & set(parsed.tags)
        used = [attributes for found in parsed.attributes.values() for attributes in found]
        assert not any({"src", "href", "background", "style"} & set(attributes) for attributes in used)
        assert not any(key.startswith("on") for attributes in used for key in attributes)
        assert "url(" not in page
        assert "@import" not in page
        assert "prefers-color-scheme: dark" in page

    @pytest.mark.parametrize(
        ("tlp", "colour"),
        [
            (Tlp.RED, "#ff2b2b"), (Tlp.AMBER, "#ffc000"), (Tlp.AMBER_STRICT, "#ffc000"), (Tlp.GREEN, "#33ff00"),
            (Tlp.CLEAR, "#ffffff"),
        ],
    )  # fmt: skip
    def test_labels_have_the_colours_of_tlp_2_on_black(self, tlp, colour):
        page = compose(plain_facts(tlp=tlp), languages=("en",)).rendered["en"].html
        name = re.search(r'class="tlp (tlp-\w+)"', page)[1]
        assert f".{name} {{ color: {colour}; }}" in page
        assert re.search(r"\.tlp \{[^}]*background: #000000;", page)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_has_contrast_enough(self, scheme):
        style = re.search(r"<style>(.*)</style>", render(document_of("plain"), "en").html, re.DOTALL)[1]
        light, dark = style.split("@media (prefers-color-scheme: dark)")
        part = light if scheme == "light" else dark
        background = re.search(r"body \{[^}]*background: (#\w{6})", part)[1]
        inks = re.findall(r"(?<![-\w])color: (#\w{6})", re.sub(r"\.tlp-.*", "", part))
        assert len(inks) >= 2
        assert min(_contrast(ink, background) for ink in inks) >= 7


class _Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.pieces = [], {}, []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.setdefault(tag, []).append(dict(attrs))

    def handle_data(self, data):
        if not self.tags or self.tags[-1] != "style":
            self.pieces.append(data)


def _parsed(page):
    parser = _Page()
    parser.feed(page)
    parser.close()
    return parser


def _text_of(page):
    return html.unescape(" ".join(_parsed(page).pieces))


def _contrast(one, other):
    def luminance(colour):
        channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_localized_text_chooses_as_the_rendering_does():
    texts = {"de": "d", "en": "e"}
    assert LocalizedText.of(texts).in_language("fr") == ("en", "e")
    facts = plain_facts(summary=LocalizedText.of(texts))
    assert "[texte en anglais]\n  | e\n" in compose(facts, languages=("fr",)).rendered["fr"].text
