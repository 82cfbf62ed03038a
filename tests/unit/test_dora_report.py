"""The DORA template as JSON: valid, filled with what a provider knows, and nothing made up."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from notifications.customer.legal_profile import Entity
from notifications.duties import bundled_law
from notifications.duties.dora_report import ContactPerson, OwnStatements, Submission, dora_report, report_fields
from notifications.incident import LANGUAGES, Answer, Cause, Intent
from support.dora_schema import SCHEMA, STRICT_SCHEMA
from support.notice_samples import AWARE_AT, SAMPLES, breach_facts, compose, plain_facts

SECTORS = bundled_law().sectors
BANK = Entity("FR", None, frozenset({"credit_institution", "nis2_essential"}), "969500TJ5KRTCJQWXH05")
CONTACT = ContactPerson("Anne Roux", "anne@customer.example", "+33 1 23 45 67 89")
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
STRICT_VALIDATOR = Draft202012Validator(STRICT_SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
BRUSSELS_WINTER = timezone(timedelta(hours=1))
MOMENTS = {
    "aware_at": datetime(2026, 3, 2, 10, 15, tzinfo=BRUSSELS_WINTER),
    "classified_at": datetime(2026, 3, 2, 10, 30, tzinfo=UTC),
}


def draft(facts=None, entity=BANK, submission=Submission.INITIAL, document=None, **stated):
    document = document or json.loads(compose(facts or plain_facts()).document)
    return dora_report(document, entity, SECTORS, CONTACT, submission, OwnStatements(**stated))


def without_measures():
    return json.loads(compose(plain_facts()).document) | {"measures_taken": None}


def fields_of(content):
    """Return the numbers of the fields that have a value."""
    found = set()
    for each in report_fields():
        at = content
        for part in each.path.split("."):
            at = at[0] if part == "0" and isinstance(at, list) else at.get(part) if isinstance(at, dict) else None
            if at is None:
                break
        if at not in (None, ""):
            found.add(each.number)
    return found


@pytest.mark.parametrize("submission", Submission)
@pytest.mark.parametrize("entity", [BANK, Entity(), Entity("DE", "DE-BY", frozenset({"other"}))])
@pytest.mark.parametrize("sample", list(SAMPLES))
def test_every_draft_of_every_notice_is_valid(sample, entity, submission):
    document = json.loads(SAMPLES[sample]().document)
    VALIDATOR.validate(draft(entity=entity, submission=submission, document=document).content)


@pytest.mark.parametrize("answer", [Answer.YES, Answer.NO])
@pytest.mark.parametrize("submission", Submission)
@pytest.mark.parametrize("sample", list(SAMPLES))
def test_with_what_the_customer_states_every_draft_meets_the_stricter_copies(sample, submission, answer):
    document = json.loads(SAMPLES[sample]().document)
    content = draft(document=document, submission=submission, temporary_measures=answer, **MOMENTS).content
    STRICT_VALIDATOR.validate(content)
    assert content["incident"]["detectionDateTime"] == "2026-03-02T09:15:00Z"
    assert content["incident"]["classificationDateTime"] == "2026-03-02T10:30:00Z"
    VALIDATOR.validate(content)


@given(
    cause=st.sampled_from(Cause),
    intent=st.sampled_from(Intent),
    lasted=st.timedeltas(timedelta(), timedelta(days=3000)),
    submission=st.sampled_from(Submission),
)
def test_every_cause_and_duration_gives_a_valid_draft(cause, intent, lasted, submission):
    facts = plain_facts(cause=cause, intent=intent, started_at=AWARE_AT - lasted, ended_at=AWARE_AT)
    VALIDATOR.validate(draft(facts, submission=submission).content)


def test_what_the_provider_knows_is_filled_in_the_form_of_the_template():
    facts = plain_facts(
        started_at=AWARE_AT - timedelta(minutes=90), ended_at=AWARE_AT + timedelta(days=1, hours=1), services=("Vault",)
    )
    content = draft(facts, submission=Submission.FINAL).content
    incident, impact = content["incident"], content["impactAssessment"]
    assert content["incidentSubmission"] == "final_report"
    assert content["affectedEntity"] == [
        {
            "entityType": "AFFECTED_ENTITY",
            "name": "Hôpital Saint-Roch",
            "affectedEntityType": ["credit_institution"],
            "LEI": "969500TJ5KRTCJQWXH05",
        }
    ]
    assert incident["detectionDateTime"] == "2026-03-02T07:56:00Z"
    assert incident["incidentDescription"] == "Un contrôleur est tombé en panne."
    assert incident["incidentDiscovery"] == "third-party_provider"
    assert incident["originatesFromThirdPartyProvider"] == "Sovereign Cloud"
    assert incident["incidentOccurrenceDateTime"] == "2026-03-02T06:30:00Z"
    assert incident["incidentDuration"] == impact["serviceImpact"]["serviceDowntime"] == "01:02:30"
    assert incident["incidentType"] == {"incidentClassification": ["system_failure"]}
    assert incident["rootCauseHLClassification"] == ["external_event", "system_failure_malfunction"]
    assert impact["affectedInfrastructureComponents"] == "Vault, fr-north"
    assert impact["serviceImpact"]["serviceRestorationDateTime"] == "2026-03-03T09:00:00Z"
    assert impact["serviceImpact"]["isTemporaryActionsMeasuresForRecovery"] is True


def test_every_field_of_the_report_is_filled_or_named_as_empty():
    for submission, sections in (
        (Submission.INITIAL, "12"),
        (Submission.INTERMEDIATE, "123"),
        (Submission.FINAL, "1234"),
    ):
        report = draft(submission=submission)
        named = {each.number for each in report.empty}
        filled = fields_of(report.content)
        assert {each.number for each in report_fields() if each.number[0] in sections} <= named | filled
        assert not {number for number in named if not number.startswith(tuple(sections))}
        assert named - filled == named - {"3.23"}


def test_what_is_not_known_is_left_empty_and_not_made_up():
    report = draft(breach_facts(), submission=Submission.INTERMEDIATE)
    named = {each.number for each in report.empty}
    assert {"2.1", "2.2", "2.3", "3.2", "3.3", "3.15", "3.16", "3.25", "3.35"} <= named
    assert "incidentOccurrenceDateTime" not in report.content["incident"]
    assert "affectedClients" not in report.content["impactAssessment"]["affectedAssets"]


@pytest.mark.parametrize("submission", [Submission.INTERMEDIATE, Submission.FINAL])
@pytest.mark.parametrize(("answer", "value"), [(Answer.YES, True), (Answer.NO, False), (Answer.UNKNOWN, None)])
def test_without_measures_in_the_notice_only_the_customer_says_whether_there_were_any(submission, answer, value):
    document = without_measures()
    document["times"] |= {"started_at": "2026-03-02T06:30:00Z", "ended_at": "2026-03-02T08:00:00Z"}
    report = draft(document=document, submission=submission, temporary_measures=answer, **MOMENTS)
    VALIDATOR.validate(report.content)
    service = report.content["impactAssessment"]["serviceImpact"]
    assert service.get("isTemporaryActionsMeasuresForRecovery") is value
    assert service["serviceRestorationDateTime"] == "2026-03-02T08:00:00Z", "what is known is not lost"
    assert "descriptionOfTemporaryActionsMeasuresForRecovery" not in service
    notes = {each.number: each.note for each in report.empty}
    assert ("3.33" in notes) is (value is None)
    if value is None:
        assert set(notes["3.33"].as_mapping()) == set(LANGUAGES)
        with pytest.raises(ValidationError, match="isTemporaryActionsMeasuresForRecovery"):
            STRICT_VALIDATOR.validate(report.content)


def test_the_customers_word_counts_more_than_the_measures_of_the_notice():
    def service(answer):
        return draft(submission=Submission.FINAL, temporary_measures=answer).content["impactAssessment"][
            "serviceImpact"
        ]

    assert service(Answer.UNKNOWN) == service(Answer.YES)
    assert service(Answer.YES)["descriptionOfTemporaryActionsMeasuresForRecovery"] == "Le contrôleur est remplacé."
    assert service(Answer.NO)["isTemporaryActionsMeasuresForRecovery"] is False
    assert "descriptionOfTemporaryActionsMeasuresForRecovery" not in service(Answer.NO)


def test_a_malicious_act_names_its_technique():
    facts = plain_facts(cause=Cause.ATTACK, intent=Intent.MALICIOUS, rsit_class="availability", rsit_type="ddos")
    kind = draft(facts, submission=Submission.INTERMEDIATE).content["incident"]["incidentType"]
    assert kind == {"incidentClassification": ["cybersecurity-related"], "threatTechniques": ["ddos"]}


def test_without_an_lei_the_code_of_the_submitting_entity_is_an_empty_text():
    content = draft(entity=Entity()).content
    assert content["submittingEntity"] == {
        "name": "Hôpital Saint-Roch", "code": "", "entityType": "SUBMITTING_ENTITY",
    }  # fmt: skip
    assert content["affectedEntity"] == [{"name": "Hôpital Saint-Roch"}]


def test_numbers_and_paths_of_the_fields_are_unique_and_titled():
    numbers = [each.number for each in report_fields()]
    paths = [each.path for each in report_fields()]
    assert len(set(numbers)) == len(numbers)
    assert len(set(paths)) == len(paths)
