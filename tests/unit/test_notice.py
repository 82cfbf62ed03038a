import csv
import hashlib
import io
import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.canonical_json import canonicalize, parse_canonical
from notifications.classification import classify
from notifications.customer.records import LevelChoice, ProfileVersion
from notifications.decision import decide
from notifications.errors import InvalidInputError
from notifications.incident import (
    LANGUAGES,
    AffectedCustomer,
    Cause,
    Harm,
    Intent,
    PersonalData,
    PersonalDataBreach,
    Resource,
    ResourceKind,
    UnlistedCustomers,
)
from notifications.notice import NoticeKind
from support.notice_samples import (
    AGREEMENT,
    AWARE_AT,
    CUSTOMER,
    MANY,
    NO,
    OTHER_CUSTOMER_ID,
    SAMPLES,
    UNKNOWN,
    YES,
    breach_facts,
    compose,
    plain_facts,
    text,
)

KEYS = {
    "schema", "notice_id", "incident_id", "ticket", "sequence", "kind", "facts_version", "issued_at", "supersedes",
    "provider", "customer", "agreement", "tlp", "rsit", "title", "what_happened", "times", "classification",
    "why_you_are_told", "due", "effect", "measures_taken", "recommendations", "not_known_yet", "next_update_by",
    "news_channel",
    "personal_data", "changes", "timestamping", "timestamp_independent", "renderings",
    "cause_of_incident", "your_deadlines",
}  # fmt: skip
PERSONAL_DATA_KEYS = {
    "breach", "controller", "nature_of_breach", "categories_of_data_subjects", "data_subjects_approx",
    "categories_of_records", "records_approx", "likely_consequences", "contact_point", "measures",
    "impact_on_hosted_data",
}  # fmt: skip
EFFECT_KEYS = {
    "affected", "data_harm", "text", "services", "regions", "availability_zones", "resources", "resources_count",
    "resources_csv_sha256",
}  # fmt: skip


def document(composed):
    return json.loads(composed.document)


def volumes(count):
    return tuple(Resource(ResourceKind.VOLUME, f"vol-{number}") for number in range(count))


class TestShape:
    @pytest.mark.parametrize("name", list(SAMPLES))
    def test_every_key_is_always_there(self, name):
        stated = document(SAMPLES[name]())
        assert set(stated) == KEYS
        assert stated["schema"] == "greffier.notice/1"
        assert set(stated["effect"]) == EFFECT_KEYS
        assert set(stated["times"]) == {"started_at", "detected_at", "aware_at", "ended_at"}
        assert stated["personal_data"] is None or set(stated["personal_data"]) == PERSONAL_DATA_KEYS

    @pytest.mark.parametrize("name", list(SAMPLES))
    def test_the_bytes_are_canonical_and_the_same_each_time(self, name):
        composed = SAMPLES[name]()
        assert canonicalize(parse_canonical(composed.document)) == composed.document
        assert SAMPLES[name]() == composed

    def test_renderings_hold_the_digest_of_each_body(self):
        composed = SAMPLES["security"]()
        expected = {
            (language, media_type): hashlib.sha256(body.encode()).hexdigest()
            for language, rendered in composed.rendered.items()
            for media_type, body in (("text/plain", rendered.text), ("text/html", rendered.html))
        }
        found = {
            (each["language"], each["media_type"]): each["sha256"] for each in document(composed)["renderings"]
        }  # fmt: skip
        assert found == expected
        assert len(found) == 6

    def test_only_the_languages_asked_for_are_written(self):
        composed = compose(plain_facts(), languages=["de", "fr", "de"])
        assert list(composed.rendered) == ["de", "fr"]

    def test_what_it_replaces_is_named_by_digest(self):
        assert document(compose(plain_facts()))["supersedes"] is None
        later = document(compose(plain_facts(), plain_facts(), NoticeKind.UPDATE, 4, supersedes=(3, "cd" * 32)))
        assert later["supersedes"] == {"sequence": 3, "document_sha256": "cd" * 32}
        assert later["sequence"] == 4

    def test_a_lone_surrogate_is_refused(self):
        with pytest.raises(InvalidInputError, match="surrogate"):
            compose(plain_facts(summary=text(en="bad \ud800")))


class TestClassificationAndReasons:
    def test_grounds_carry_the_agreements_own_words_and_the_levels(self):
        stated = document(compose(plain_facts()))["classification"]
        grounds = {ground["id"]: ground for ground in stated["grounds"]}
        limb = AGREEMENT.limb("operation_disrupted")
        assert grounds["operation_disrupted"] == {
            "id": "operation_disrupted", "clause": limb.clause, "holds": "yes", "text": limb.text.as_mapping(),
        }  # fmt: skip
        assert grounds["impact.I1"]["clause"] == "7.6.4"
        assert grounds["priority.P2"]["text"]["en"].startswith("First intervention")
        assert (stated["nature"], stated["priority"], stated["gti_seconds"]) == ("incident", "P2", 7200)
        assert not stated["provisional"]

    def test_a_level_not_known_is_null(self):
        stated = document(compose(breach_facts()))["classification"]
        assert (stated["impact"], stated["priority"], stated["gti_seconds"]) == (None, None, None)
        assert stated["criticality"] == "C1"
        assert stated["provisional"]

    def test_reasons_that_hold_are_told_and_no_others(self):
        why = document(compose(breach_facts()))["why_you_are_told"]
        assert [reason["id"] for reason in why] == ["customer_data", "personal_data_customer_controller"]
        assert why[0]["clause"] == "11.1.1.3 (2)"
        assert why[0]["text"] == AGREEMENT.level("customer_data").text.as_mapping()

    def test_a_chosen_level_is_told_as_the_customers_choice(self):
        profile = ProfileVersion(
            UUID(int=5), CUSTOMER.id, 1, (LevelChoice(criticalities=("C1",)),), AWARE_AT, AWARE_AT, "x"
        )
        facts = breach_facts(PersonalData(breach=PersonalDataBreach.NO))
        why = document(compose(facts, profile=profile))["why_you_are_told"]
        assert [reason["id"] for reason in why] == ["profile"]
        assert "you chose" in why[0]["text"]["en"]
        assert len(set(why[0]["text"].values())) == len(LANGUAGES)

    def test_released_while_pending_says_what_is_open(self):
        facts = plain_facts(intent=Intent.UNKNOWN, inside_perimeter=UNKNOWN)
        assert decide(facts, classify(facts, AGREEMENT), AGREEMENT, CUSTOMER, None).verdict == "pending"
        why = document(compose(facts))["why_you_are_told"]
        assert [reason["id"] for reason in why] == ["impact_high", "plain_incident"]
        assert all("not known yet" in reason["text"]["en"] for reason in why)

    def test_owed_no_more_gives_no_reason(self):
        composed = SAMPLES["owed_no_more"]()
        assert document(composed)["why_you_are_told"] == []
        assert "because we told you of this incident before" in composed.rendered["en"].text.replace("\n", " ")


class TestOnlyThisCustomer:
    @pytest.mark.parametrize("name", ["security", "update"])
    def test_no_other_customer_is_in_it(self, name):
        composed = SAMPLES[name]()
        bodies = b"".join(
            body.encode() for each in composed.rendered.values() for body in (each.subject, each.text, each.html)
        )
        for whole in (composed.document, bodies):
            assert str(OTHER_CUSTOMER_ID).encode() not in whole
            assert b"SECRET-OF-B" not in whole

    @given(
        st.lists(st.sampled_from([YES, NO, UNKNOWN]), min_size=4, max_size=4),
        st.sampled_from(list(UnlistedCustomers)),
        st.sampled_from(list(Intent)),
    )
    def test_whatever_is_stated_of_another_it_is_not_named(self, answers, unlisted, intent):
        other = AffectedCustomer(
            OTHER_CUSTOMER_ID, UNKNOWN, Harm(*answers), PersonalData(categories_of_records=("SECRET-OF-B",)),
            resources=(Resource(ResourceKind.MACHINE, "SECRET-OF-B"),), effect=text(fr="SECRET-OF-B"),
        )  # fmt: skip
        facts = breach_facts(unlisted_customers=unlisted, intent=intent)
        facts = replace(facts, affected_customers=(facts.affected_customers[0], other))
        before = replace(facts, affected_customers=(*facts.affected_customers[:1], replace(other, data_harm=Harm())))
        whole = compose(facts, before, NoticeKind.UPDATE, 2, languages=("fr",)).document
        assert str(OTHER_CUSTOMER_ID).encode() not in whole
        assert b"SECRET-OF-B" not in whole

    def test_a_change_for_another_customer_is_no_change_for_this_one(self):
        facts = plain_facts(unlisted_customers=UnlistedCustomers.NOT_AFFECTED)
        other = AffectedCustomer(OTHER_CUSTOMER_ID, YES, Harm(NO, NO, NO, NO), resources=volumes(3))
        now = replace(facts, affected_customers=(*facts.affected_customers, other))
        assert document(compose(now, facts, NoticeKind.UPDATE, 2))["changes"] == []

    def test_scope_is_cut_to_what_the_customer_uses(self):
        facts = plain_facts(services=("storage", "dns"), regions=("fr-north", "fr-south"))
        stated = document(compose(facts, customer=replace(CUSTOMER, services=("dns", "mail"))))["effect"]
        assert stated["services"] == ["dns"]
        assert stated["regions"] == ["fr-north", "fr-south"]

    @pytest.mark.parametrize(
        ("regions", "unlisted", "affected", "harm"),
        [
            (("fr-north",), UnlistedCustomers.UNKNOWN, "yes", "unknown"),
            (("fr-north",), UnlistedCustomers.NOT_AFFECTED, "yes", "no"),
            (("fr-west",), UnlistedCustomers.UNKNOWN, "no", "unknown"),
            ((), UnlistedCustomers.UNKNOWN, "unknown", "unknown"),
        ],
    )
    def test_a_customer_that_is_not_listed_stands_as_the_decision_reads_it(self, regions, unlisted, affected, harm):
        facts = plain_facts(affected_customers=(), unlisted_customers=unlisted)
        stated = document(compose(facts, customer=replace(CUSTOMER, regions=regions)))["effect"]
        assert stated["affected"] == affected
        assert set(stated["data_harm"].values()) == {harm}


class TestNotKnownYet:
    def test_open_facts_are_named_as_this_customers_own(self):
        facts = document(compose(breach_facts(), languages=("en",)))["not_known_yet"]["facts"]
        assert {
            "impact", "intent", "cause", "started_at", "detected_at", "ended_at", "data_harm.integrity",
            "data_harm.traceability", "personal_data.data_subjects_approx", "personal_data.categories_of_records",
            "personal_data.records_approx", "personal_data.likely_consequences", "effect",
        } == set(facts)  # fmt: skip
        assert len(facts) == len(set(facts))

    def test_what_waits_for_other_customers_does_not_say_whose(self):
        facts = plain_facts(intent=Intent.ACCIDENTAL, normal_operation_disrupted=NO, service_harm=Harm(NO, NO, NO, NO))
        own = replace(facts.affected_customers[0], data_harm=Harm(NO, NO, NO, NO))
        other = AffectedCustomer(OTHER_CUSTOMER_ID, YES, Harm(NO, UNKNOWN, NO, NO))
        stated = document(compose(replace(facts, affected_customers=(own, other))))
        assert stated["not_known_yet"]["facts"] == [
            "affected_customers.data_harm.integrity", "started_at", "ended_at",
        ]  # fmt: skip

    def test_a_customer_that_is_not_listed_learns_that_its_own_part_is_open(self):
        facts = plain_facts(affected_customers=(), unlisted_customers=UnlistedCustomers.UNKNOWN)
        assert "affected" in document(compose(facts))["not_known_yet"]["facts"]

    def test_when_all_is_known_nothing_is_listed(self):
        facts = plain_facts(started_at=AWARE_AT - timedelta(hours=1), ended_at=AWARE_AT + timedelta(hours=1))
        composed = compose(facts)
        assert document(composed)["not_known_yet"] == {"facts": [], "text": None}
        assert "Nothing that this notice has to state is still unknown" in composed.rendered["en"].text


class TestPersonalData:
    def test_every_item_of_dpa_8(self):
        stated = document(SAMPLES["update"]())["personal_data"]
        assert stated["breach"] == "confirmed"
        assert stated["controller"] == "customer"
        assert stated["nature_of_breach"] == ["confidentiality"]
        assert stated["data_subjects_approx"] == 12_400
        assert stated["records_approx"] is None
        assert stated["measures"] == {"en": "Session closed."}
        assert stated["contact_point"] == {
            "name": "Security operations", "email": "soc@provider.example", "phone": "+33 1 23 45 67 89",
        }  # fmt: skip

    def test_none_without_a_breach(self):
        assert document(compose(plain_facts()))["personal_data"] is None


class TestChanges:
    def test_each_coded_fact_with_both_values(self):
        changed = document(SAMPLES["correction"]())["changes"]
        assert changed == [
            {"fact": "classification.nature", "from": "incident", "to": "security_incident"},
            {"fact": "intent", "from": "accidental", "to": "malicious"},
            {"fact": "cause", "from": "hardware_failure", "to": "attack"},
        ]

    def test_unknown_is_null_and_texts_are_no_coded_facts(self):
        before = plain_facts(cause=Cause.UNKNOWN, detected_at=None, summary=text(en="Old."))
        changed = document(compose(plain_facts(), before, NoticeKind.UPDATE, 2))["changes"]
        assert changed == [
            {"fact": "cause", "from": None, "to": "hardware_failure"},
            {"fact": "detected_at", "from": None, "to": "2026-03-02T07:56:00.000000Z"},
        ]

    def test_facts_of_the_customer_count(self):
        own = replace(plain_facts().affected_customers[0], data_harm=Harm(YES, YES, NO, NO), resources=volumes(2))
        now = replace(plain_facts(), affected_customers=(own,))
        changed = document(compose(now, plain_facts(), NoticeKind.CORRECTION, 2))["changes"]
        assert {"fact": "data_harm.integrity", "from": "no", "to": "yes"} in changed
        assert {"fact": "resources_count", "from": 0, "to": 2} in changed

    def test_a_breach_that_there_was_not_leaves_nothing_of_it_open(self):
        no_breach = replace(breach_facts().affected_customers[0], personal_data=PersonalData(PersonalDataBreach.NO))
        now = replace(breach_facts(), affected_customers=(no_breach,))
        changed = document(compose(now, breach_facts(), NoticeKind.CORRECTION, 2))["changes"]
        assert [change for change in changed if change["fact"].startswith("personal_data.")] == [
            {"fact": "personal_data.breach", "from": "suspected", "to": "no"}
        ]


class TestResources:
    @pytest.mark.parametrize("count", [0, 1, 50])
    def test_few_stand_in_the_document_alone(self, count):
        composed = compose(plain_facts(resources=volumes(count)))
        effect = document(composed)["effect"]
        assert (len(effect["resources"]), effect["resources_count"]) == (count, count)
        assert composed.resources_csv is None
        assert effect["resources_csv_sha256"] is None

    def test_many_stand_in_a_table_too(self):
        composed = compose(plain_facts(resources=volumes(51)))
        effect = document(composed)["effect"]
        assert (len(effect["resources"]), effect["resources_count"]) == (50, 51)
        assert effect["resources_csv_sha256"] == hashlib.sha256(composed.resources_csv).hexdigest()
        rows = list(csv.reader(io.StringIO(composed.resources_csv.decode(), newline="")))
        assert rows[0] == ["kind", "id", "name", "region", "availability_zone"]
        assert [row[1] for row in rows[1:]] == [f"vol-{number}" for number in range(51)]
        assert composed.resources_csv.count(b"\r\n") == 52
        assert composed.resources_csv.count(b"\n") == 52
        assert effect["resources_csv_sha256"] in composed.rendered["en"].text.replace("\n", "")

    def test_no_cell_is_a_formula(self):
        names = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'say "hi", all', "a=b", "line\nend", ""]
        listed = tuple(Resource(ResourceKind.VOLUME, name, name) for name in names) + MANY
        table = compose(plain_facts(resources=listed)).resources_csv.decode()
        rows = list(csv.reader(io.StringIO(table, newline="")))[1 : len(names) + 1]
        assert [row[1] for row in rows] == [
            "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", 'say "hi", all', "a=b", "line\nend", "",
        ]  # fmt: skip
        assert [row[2] for row in rows] == [row[1] for row in rows]
