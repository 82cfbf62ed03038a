"""A file of legal duties with a fault: named by file, key and reason when it is read."""

from importlib import resources

import pytest

from notifications.duties import bundled_law, parse_act, parse_law
from notifications.errors import AgreementError

LAW = bundled_law()
FOLDER = resources.files("notifications.duties")


def text_of(name):
    return FOLDER.joinpath(name).read_text(encoding="utf-8")


def fault(text, name="mine.toml"):
    with pytest.raises(AgreementError) as error:
        parse_act(text.encode(), name, LAW.sectors)
    assert error.value.file == name
    return error.value.key, error.value.reason


def test_the_bundled_acts_are_complete():
    assert {act.id for act in LAW.acts} == {"gdpr", "nis2", "dora", "eidas", "bsig", "cra"}
    assert all(duty.title.as_mapping().keys() == {"fr", "en", "de"} for duty in LAW.duties)


@pytest.mark.parametrize(
    ("file", "old", "new", "key", "reason"),
    [
        ("dora.toml", 'submission_of = "dora_initial"', 'submission_of = "dora_intermediate"',
         "duties.1.submission_of", "'dora_intermediate' starts from itself"),
        ("dora.toml", 'submission_of = "dora_initial"', 'submission_of = "dora_final"',
         "duties.1.submission_of", "'dora_intermediate' starts from itself"),
        ("dora.toml", 'submission_of = "dora_initial"', 'submission_of = "dora_first"',
         "duties.1.submission_of", "'dora_first' is not a duty of this file"),
        ("dora.toml", 'start = "classification"', 'start = "noticing"', "duties.0.start", "'noticing' is none of"),
        ("dora.toml", 'start = "classification"', 'start = "submission"', "duties.0.submission_of", "must be given if"),
        ("dora.toml", "hours = 4", "hours = 4\nmonths = 1", "duties.0.hours", "exactly one of"),
        ("dora.toml", "hours = 4", "", "duties.0.hours", "exactly one of"),
        ("dora.toml", "hours = 4", "hours = 0", "duties.0.hours", "must be from 1"),
        ("dora.toml", "hours = 4", "hours = 4\nminutes = 4", "duties.0.minutes", "is not a known key"),
        ("dora.toml", 'sectors = ["financial"]', 'sectors = ["banks"]', "duties.0.sectors", "'banks' is not known"),
        ("dora.toml", 'sectors = ["financial"]', "sectors = []", "duties.0.sectors", "at least one name"),
        ("dora.toml", "falls_away = true", "", "duties.0.second_limit.falls_away", "is missing"),
        ("dora.toml", 'start = "awareness"\nhours = 24', 'start = "classification"\nhours = 24',
         "duties.0.second_limit.start", "'classification' is the start of the first limit too"),
        ("nis2.toml", 'sectors = ["trust"]\nhours = 24',
         'sectors = ["trust"]\nhours = 24\n[[duties.variants]]\nsectors = ["trust"]\nhours = 12',
         "duties.1.variants.1.sectors", "'trust' is in another variant too"),
        ("dora.toml", 'owners = ["customer"]', 'owners = ["bank"]', "duties.0.owners", "'bank' is none of"),
        ("dora.toml", "valid_from = 2025-01-17", 'valid_from = "2025-01-17"', "duties.0.valid_from", "must be a date"),
        ("dora.toml", "valid_from = 2025-01-17", "valid_from = 2025-01-17\nvalid_until = 2025-01-16",
         "duties.0.valid_until", "2025-01-16 is before"),
        ("dora.toml", 'calendar = "noon_of_next_working_day"\n', "", "duties.0.calendar_exempt", "needs a calendar"),
        ("nis2.toml", "valid_until = 2025-12-05", "valid_until = 2025-12-06",
         "duties.5.valid_from", "two versions of 'nis2_early_warning' hold on 2025-12-06"),
        ("nis2.toml", "valid_until = 2025-12-05\n", "",
         "duties.5.valid_from", "two versions of 'nis2_early_warning' hold on 2025-12-06"),
        ("nis2.toml", 'handling_at = "nis2_progress"', 'handling_at = "nis2_final_after_handling"',
         "duties.4.handling_at", "'nis2_final_after_handling' starts from itself"),
        ("nis2.toml", 'source = "malicious"', 'source = "guess"', "items.0.source", "'guess' is none of"),
        ("bsig.toml", 'member_states = ["DE"]', 'member_states = ["UK"]', "duties.0.member_states", "'UK' is not"),
        ("gdpr.toml", 'id = "gdpr_controller"', 'id = "gdpr controller"', "duties.1.id", "is not an identifier"),
        ("gdpr.toml", 'schema = "greffier.duties/1"', 'schema = "greffier.duties/9"', "schema", "must be"),
        ("gdpr.toml", 'en = "Controller"\n', "", "duties.1.recipient.en", "is missing"),
        ("gdpr.toml", 'items = ["nature", "contact_point"', 'items = ["nature", "phone"', "duties.2.items", "'phone'"),
    ],
)  # fmt: skip
def test_a_fault_names_file_key_and_reason(file, old, new, key, reason):
    text = text_of(file)
    assert old in text
    found_key, found_reason = fault(
        text.replace(old, new) if "valid_until" in old or "handling" in old else text.replace(old, new, 1)
    )
    assert found_key == key
    assert reason in found_reason


def test_a_file_that_is_no_toml_is_a_fault():
    assert fault("schema = ")[0] == "(file)"


def test_a_circle_of_three_is_found():
    text = text_of("dora.toml").replace(
        'start = "classification"', 'start = "submission"\nsubmission_of = "dora_final"'
    )
    text = text.replace('[duties.second_limit]\nstart = "awareness"\nhours = 24\nfalls_away = true\n', "")
    assert fault(text) == ("duties.0.submission_of", "'dora_initial' starts from itself")


def test_an_act_or_a_duty_in_two_files_is_a_fault():
    data = text_of("dora.toml").encode()
    with pytest.raises(AgreementError, match=r"b\.toml: id: 'dora' is also the id in a\.toml"):
        parse_law({"a.toml": data, "b.toml": data}, LAW.sectors)
    renamed = data.replace(b'id = "dora"', b'id = "dora2"', 1)
    with pytest.raises(AgreementError, match=r"b\.toml: duties: 'dora_initial' is also a duty of 'dora'"):
        parse_law({"a.toml": data, "b.toml": renamed}, LAW.sectors)
