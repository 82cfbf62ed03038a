"""Categories of data subjects and of records are texts by language, in facts, notices and follow-ups; strings stay."""

import json
import re
from dataclasses import replace

import pytest
from test_public_incidents import INCIDENTS, facts_of

from notifications.canonical_json import canonicalize
from notifications.classification import classify
from notifications.decision import decide
from notifications.errors import InvalidInputError
from notifications.incident import (
    LANGUAGES,
    LocalizedText,
    PersonalData,
    PersonalDataBreach,
    is_restated,
    validate_facts,
)
from notifications.notice import NoticeKind
from notifications.use_cases.audit_context import as_json
from notifications.use_cases.incidents.follow_up import change_kind
from notifications.wording import catalogues, render
from support.domain_facts import AGREEMENT, AWARE_AT
from support.notice_samples import CONFIRMED, CUSTOMER, breach_facts, compose

PATIENTS = LocalizedText.of({"fr": "patients", "en": "patients (en)", "de": "Patienten"})
CARERS = LocalizedText.of({"en": "carers"})
STAFF = LocalizedText.of({"fr": "soignants"})


def stated(*categories, **more):
    return breach_facts(replace(CONFIRMED, categories_of_data_subjects=categories, **more))


def row(facts, language):
    """Return the categories of data subjects as the notice says them."""
    label = re.escape(catalogues.translate("Categories of data subjects", language))
    text = compose(facts).rendered[language].text
    return re.sub(r"\s+", " ", re.search(rf"^{label}\s?: (.*(?:\n .*)*)$", text, re.MULTILINE)[1])


#: The demo incidents whose facts name categories, with the customer they name them for.
NAMED = [
    (incident, own)
    for incident in INCIDENTS
    for own in facts_of(incident).affected_customers
    if own.personal_data.categories_of_data_subjects or own.personal_data.categories_of_records
]


class TestDemoIncidents:
    def test_each_category_is_there_in_every_language(self):
        assert len(NAMED) >= 6
        for _, own in NAMED:
            data = own.personal_data
            for category in (*(data.categories_of_data_subjects or ()), *(data.categories_of_records or ())):
                assert set(category.as_mapping()) == set(LANGUAGES)

    @pytest.mark.parametrize(("language", "others"), [("fr", ("en", "de")), ("de", ("en", "fr")), ("en", ("fr", "de"))])
    @pytest.mark.parametrize(("incident", "own"), NAMED, ids=lambda value: getattr(value, "slug", ""))
    def test_a_notice_says_them_in_its_language_only(self, incident, own, language, others):
        facts = replace(facts_of(incident), affected_customers=(replace(own, customer_id=CUSTOMER.id),))
        rendered = compose(facts).rendered[language]
        data = own.personal_data
        for category in (*(data.categories_of_data_subjects or ()), *(data.categories_of_records or ())):
            mapping = category.as_mapping()
            said = re.sub(r"\s+", " ", rendered.text)
            assert mapping[language] in said
            for other in others:
                # Whole words: "noms" is in other French words.
                assert not re.search(rf"(?<!\w){re.escape(mapping[other])}(?!\w)", said), mapping[other]


class TestWords:
    @pytest.mark.parametrize(
        ("language", "said"), [("fr", "patients"), ("en", "patients \\(en\\)"), ("de", "Patienten")]
    )
    def test_the_reader_s_language(self, language, said):
        assert re.fullmatch(said, row(stated(PATIENTS), language))

    def test_a_text_of_another_language_is_marked_as_other_texts_are(self):
        assert row(stated(CARERS), "fr") == "carers [texte en anglais]"
        assert row(stated(STAFF, CARERS), "de") == ("soignants [Text auf Französisch], carers [Text auf Englisch]")
        assert row(stated(PATIENTS, CARERS), "fr") == "patients, carers [texte en anglais]"
        html = compose(stated(CARERS)).rendered["fr"].html
        assert '<span lang="en">carers</span> <span class="note">[texte en anglais]</span>' in html

    def test_a_string_has_no_language_and_no_mark(self):
        for language in LANGUAGES:
            assert row(stated("patients", "carers"), language) == "patients, carers"
        assert row(stated("x", CARERS), "fr") == "x, carers [texte en anglais]"

    def test_none_and_not_known(self):
        assert row(stated(), "en") == "none"
        unknown = breach_facts(replace(CONFIRMED, categories_of_data_subjects=None))
        assert row(unknown, "en") == "not known yet"

    def test_what_changed_is_said_in_the_reader_s_language(self):
        text = compose(stated(STAFF), stated(PATIENTS, CARERS), NoticeKind.CORRECTION, 2).rendered["fr"].text
        said = re.sub(r"\s+", " ", text)
        assert "patients, carers [texte en anglais]" in said
        assert "soignants" in said


class TestDocuments:
    def test_texts_by_language_in_the_document(self):
        document = json.loads(compose(stated(PATIENTS, "carers")).document)
        assert document["schema"] == "greffier.notice/1"
        assert document["personal_data"]["categories_of_data_subjects"] == [
            {"de": "Patienten", "en": "patients (en)", "fr": "patients"}, "carers",
        ]  # fmt: skip

    def test_a_document_of_strings_is_as_it_was_and_renders_as_it_did(self):
        """The digests of its words are in the document: a verifier makes them again."""
        composed = compose(stated("patients", "carers"))
        document = json.loads(composed.document)
        assert document["personal_data"]["categories_of_data_subjects"] == ["patients", "carers"]
        for language in LANGUAGES:
            assert render(document, language) == composed.rendered[language]

    def test_what_the_log_commits_to_of_earlier_facts_is_unchanged(self):
        data = PersonalData(breach=PersonalDataBreach.SUSPECTED, categories_of_data_subjects=("patients",))
        stated = as_json(data)
        # Earlier releases did not have it; how their entries are compared: see test_fsck_facts.
        assert stated.pop("health_data") == "unknown"
        assert canonicalize(stated) == (
            b'{"breach":"suspected","categories_of_data_subjects":["patients"],"categories_of_records":null,'
            b'"controller":"unknown","data_subjects_approx":null,"likely_consequences":null,"records_approx":null}'
        )
        data = replace(data, categories_of_data_subjects=(PATIENTS,))
        assert as_json(data)["categories_of_data_subjects"] == [PATIENTS.as_mapping()]


class TestFollowUps:
    OLD = LocalizedText.of({"en": "patients"})
    TRANSLATED = LocalizedText.of({"en": "patients", "fr": "malades"})

    @pytest.mark.parametrize(
        ("then", "now"),
        [
            (("patients",), (TRANSLATED,)),
            ((OLD,), (TRANSLATED,)),
            ((TRANSLATED,), (OLD,)),
            (("patients", CARERS), (CARERS, TRANSLATED)),
        ],
    )
    def test_a_translation_is_no_change_and_no_correction(self, then, now):
        assert change_of(then, now) is NoticeKind.UPDATE
        document = json.loads(compose(stated(*now), stated(*then), NoticeKind.UPDATE, 2).document)
        assert [change["fact"] for change in document["changes"]] == []

    def test_another_category_is_news_and_one_that_is_gone_is_a_correction(self):
        assert change_of((self.OLD,), (self.TRANSLATED, CARERS)) is NoticeKind.UPDATE
        assert change_of((self.OLD, CARERS), (self.TRANSLATED,)) is NoticeKind.CORRECTION
        assert change_of((PATIENTS,), (STAFF,)) is NoticeKind.CORRECTION
        assert change_of((PATIENTS,), ("patients", "carers")) is NoticeKind.UPDATE
        now, before = stated(self.TRANSLATED, CARERS), stated(self.OLD)
        text = compose(now, before, NoticeKind.CORRECTION, 2).rendered["en"].text
        wrong = text[text.index("What was not right") : text.index("What has become known")]
        assert "Categories of data subjects" not in wrong
        assert "Categories of data subjects" in text[text.index("What has become known") :]
        text = compose(before, now, NoticeKind.CORRECTION, 2).rendered["en"].text
        assert (
            "Categories of data subjects" in text[text.index("What was not right") : text.index("What happened\n----")]
        )

    @pytest.mark.parametrize(
        ("then", "now", "restated"),
        [
            ([], [], True),
            ([], ["a"], True),
            (["a"], [], False),
            (["a"], ["b", "a"], True),
            (["a"], [{"fr": "x", "en": "a"}], True),
            ([{"fr": "x"}], ["x"], True),
            ([{"fr": "x"}], [{"en": "x"}], False),
            ([{"fr": "x", "en": "y"}], [{"fr": "z", "en": "y"}], True),
            ([{"fr": "x"}, "a"], [{"fr": "x"}], False),
        ],
    )
    def test_restated(self, then, now, restated):
        assert is_restated(then, now) is restated


def change_of(then, now):
    facts = [stated(*then), stated(*now)]
    decisions = [decide(item, classify(item, AGREEMENT), AGREEMENT, CUSTOMER, None) for item in facts]
    return change_kind(*facts, *decisions)


class TestValidation:
    @pytest.mark.parametrize("field", ["categories_of_data_subjects", "categories_of_records"])
    @pytest.mark.parametrize(
        ("categories", "place", "reason"),
        [
            ((PATIENTS, LocalizedText(())), ".1", "must be given in at least one language"),
            ((LocalizedText.of({"it": "pazienti"}),), ".0", "language 'it' is not one of fr, en, de"),
            ((PATIENTS, LocalizedText.of({"fr": "a\nb"})), ".1.fr", "must not contain the character U+000A"),
            ((LocalizedText.of({"fr": "a" * 201}),), ".0.fr", "must not be longer than 200 characters"),
            ((LocalizedText.of({"fr": " "}),), ".0.fr", "must not be empty"),
            (("a\nb", PATIENTS), ".0", "must not contain the character U+000A"),
            ((PATIENTS, LocalizedText.of({"de": "Patienten"})), "", "must not name the same thing twice"),
            (("a", "a"), "", "must not name the same thing twice"),
            (("a",) * 1001, "", "must not have more than 1000 entries"),
        ],
    )
    def test_what_is_no_category(self, field, categories, place, reason):
        facts = breach_facts(replace(CONFIRMED, **{field: categories}))
        with pytest.raises(InvalidInputError) as caught:
            validate_facts(facts, AGREEMENT, AWARE_AT)
        (fault,) = caught.value.faults
        assert (fault.field, fault.reason[: len(reason)]) == (
            f"affected_customers.0.personal_data.{field}{place}",
            reason,
        )

    def test_both_forms_are_taken(self):
        validate_facts(stated(PATIENTS, CARERS, "x"), AGREEMENT, AWARE_AT)
