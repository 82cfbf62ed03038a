"""The law of an installation: its own files, and the provider's settings, each with its fault by name."""

from datetime import UTC, datetime
from importlib import resources

import pytest

from notifications.duties import Moments, Owner, Start, clocks
from notifications.errors import AgreementError, InvalidInputError
from service.bootstrap.duties import load_duties
from service.settings.duties import DutySettings

GDPR = resources.files("notifications.duties").joinpath("gdpr.toml").read_text(encoding="utf-8")


def test_a_file_of_the_folder_takes_the_place_of_the_bundled_act(tmp_path):
    # The proposal of 2025 would give 96 hours; a version with a date is all that it needs.
    later = GDPR.replace("hours = 72", "hours = 96").replace("2018-05-25", "2027-01-01", 1)
    (tmp_path / "mine.toml").write_text(later, encoding="utf-8")
    duties = load_duties(DutySettings(folder=tmp_path))
    assert sorted(act.id for act in duties.law.acts) == ["bsig", "cra", "dora", "eidas", "gdpr", "nis2"]
    aware_at = datetime(2027, 2, 1, 8, tzinfo=UTC)
    found = clocks(duties.law, duties.provider, {Owner.CUSTOMER}, {}, Moments({Start.AWARENESS: aware_at}), aware_at)
    (clock,) = [clock for clock in found if clock.duty.id == "gdpr_authority"]
    assert (clock.due_at - aware_at).total_seconds() == 96 * 3600


def test_a_duty_of_the_folder_that_a_bundled_act_has_already_is_a_fault(tmp_path):
    # With the same id as the bundled act it takes its place; with another id there would be two clocks of one name.
    text = resources.files("notifications.duties").joinpath("dora.toml").read_text(encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text.replace('id = "dora"', 'id = "mine"', 1), encoding="utf-8")
    with pytest.raises(AgreementError, match=r"mine\.toml: duties: 'dora_initial' is also a duty of 'dora'"):
        load_duties(DutySettings(folder=tmp_path))


def test_a_fault_of_an_own_file_names_file_key_and_reason(tmp_path):
    (tmp_path / "mine.toml").write_text(GDPR.replace('start = "high_risk"', 'start = "rumour"'), encoding="utf-8")
    with pytest.raises(AgreementError, match=r"mine\.toml: duties\.2\.start: 'rumour' is none of"):
        load_duties(DutySettings(folder=tmp_path))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"member_state": "XX"}, "duties.member_state"),
        ({"region": "DE-BY"}, "duties.region"),
        ({"sectors": ["cloud"]}, "duties.sectors"),
        ({"authorities": {"nis2_first": "CERT-FR"}}, "duties.authorities"),
        ({"reminders_percent": [75, 50]}, "duties.reminders_percent"),
        ({"reminders_percent": [50, 50]}, "duties.reminders_percent"),
        ({"reminders_percent": [0, 50]}, "duties.reminders_percent"),
        ({"reminders_percent": [50, 101]}, "duties.reminders_percent"),
    ],
)
def test_a_wrong_setting_is_named(changes, field):
    with pytest.raises(InvalidInputError) as error:
        load_duties(DutySettings(**changes))
    assert [fault.field for fault in error.value.faults] == [field]


def test_no_reminders_and_other_authorities_are_taken():
    duties = load_duties(DutySettings(reminders_percent=[], authorities={"nis2_final": "CERT-FR"}, turnover_eur=1))
    assert (duties.reminders_percent, duties.authorities, duties.turnover_eur) == ((), {"nis2_final": "CERT-FR"}, 1)
