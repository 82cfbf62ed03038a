"""Legal clocks against tables that were worked out by hand from the acts, and properties that hold for any moment."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.customer.legal_profile import Entity
from notifications.duties import (
    MEMBER_STATES,
    ClockState,
    Moments,
    Occasion,
    Owner,
    Start,
    StepKind,
    bundled_law,
    clocks,
    regions,
    validate_entity,
)
from notifications.duties.month import add_months
from notifications.duties.working_days import _holidays_of, day_off, zone_of
from notifications.errors import InvalidInputError
from notifications.incident import Answer

LAW = bundled_law()


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def run(entity, aware, moments=None, submissions=None, owner=Owner.CUSTOMER, occasions=None):
    """Return the clocks by id; ``aware`` is the owner's own awareness."""
    aware_at = at(aware)
    known = {Start.AWARENESS: aware_at, **{Start(name): at(text) for name, text in (moments or {}).items()}}
    sent = {name: [at(text) for text in texts] for name, texts in (submissions or {}).items()}
    found = clocks(LAW, entity, {owner}, occasions or {}, Moments(known, sent), aware_at)
    return {clock.duty.id: clock for clock in found}


def entity(state="FR", region=None, *sectors):
    return Entity(state, region, frozenset(sectors))


INSURER = ("insurance_undertaking",)
BANK = ("credit_institution",)


@pytest.mark.parametrize(
    ("duty", "owner_entity", "aware", "due"),
    [
        # Hours run through weekends and through both changes of the clock.
        ("gdpr_authority", entity(), "2026-03-27T22:30", "2026-03-30T22:30"),
        ("gdpr_authority", entity(), "2026-10-23T22:30", "2026-10-26T22:30"),
        ("gdpr_authority", entity(), "2026-12-23T10:00", "2026-12-26T10:00"),
        ("nis2_early_warning", entity("FR", None, "nis2_essential"), "2026-10-24T12:00", "2026-10-25T12:00"),
        ("nis2_notification", entity("FR", None, "nis2_important"), "2026-12-31T23:59", "2027-01-03T23:59"),
        # Trust services have 24 hours for the notification.
        ("nis2_notification", entity("FR", None, "qualified_trust_service"), "2026-05-01T08:00", "2026-05-02T08:00"),
        ("nis2_notification", entity("FR", None, "trust_service", "nis2_important"), "2026-05-01T08:00",
         "2026-05-02T08:00"),
        ("eidas_qualified", entity("IT", None, "qualified_trust_service"), "2026-05-01T08:00", "2026-05-02T08:00"),
        ("bsig_early_warning", entity("DE", "DE-BY", "nis2_essential"), "2026-01-05T08:00", "2026-01-06T08:00"),
        ("bsig_notification", entity("DE", None, "nis2_essential"), "2026-01-05T08:00", "2026-01-08T08:00"),
        # A German trust service that states no other sector has the duties of the BSIG too.
        ("bsig_early_warning", entity("DE", None, "trust_service"), "2026-01-05T08:00", "2026-01-06T08:00"),
        ("bsig_notification", entity("DE", None, "qualified_trust_service"), "2026-01-05T08:00", "2026-01-08T08:00"),
        ("cra_vulnerability_warning", entity("FR", None, "product_manufacturer"), "2026-09-11T12:00",
         "2026-09-12T12:00"),
        ("cra_incident_notification", entity("FR", None, "product_manufacturer"), "2026-09-11T12:00",
         "2026-09-14T12:00"),
    ],
)  # fmt: skip
def test_hours_from_awareness(duty, owner_entity, aware, due):
    assert run(owner_entity, aware)[duty].due_at == at(due)


@pytest.mark.parametrize(
    ("submitted", "due"),
    [
        ("2026-01-31T10:00", "2026-02-28T10:00"),
        ("2028-01-31T10:00", "2028-02-29T10:00"),
        ("2026-05-31T10:00", "2026-06-30T10:00"),
        ("2026-04-30T10:00", "2026-05-30T10:00"),
        ("2026-12-15T10:00", "2027-01-15T10:00"),
        # 11:00 in Paris stays 11:00 in Paris when the clock changes in between.
        ("2026-03-15T10:00", "2026-04-15T09:00"),
        ("2026-10-10T09:00", "2026-11-10T10:00"),
        # 23:30 UTC of 30 January is 31 January in Paris.
        ("2026-01-30T23:30", "2026-02-27T23:30"),
        # 02:30 does not exist on 29 March in Paris: it is 03:30.
        ("2026-02-28T23:30", "2026-03-31T22:30"),
    ],
)
def test_a_month_ends_on_the_same_date_or_on_the_last_day(submitted, due):
    found = run(
        entity("FR", None, "nis2_essential"), "2026-01-01T00:00", submissions={"nis2_notification": [submitted]}
    )
    assert found["nis2_progress"].due_at == at(due)


@pytest.mark.parametrize(
    ("state", "region", "submitted", "due"),
    [
        # 72 hours after the initial report. Monday 6 April 2026 is Easter Monday.
        ("FR", None, "2026-04-03T10:00", "2026-04-07T10:00"),
        ("DE", "DE-BE", "2026-04-03T10:00", "2026-04-07T10:00"),
        # Saturday: noon of Monday, in local time.
        ("FR", None, "2026-06-10T15:00", "2026-06-15T10:00"),
        ("IE", None, "2026-06-10T15:00", "2026-06-15T11:00"),
        ("GR", None, "2026-06-10T15:00", "2026-06-15T09:00"),
        # A working day does not move, also not within the night.
        ("FR", None, "2026-06-15T22:30", "2026-06-18T22:30"),
        # Sunday 23:30 UTC is Monday in Paris. Friday 22:30 UTC is Saturday there.
        ("FR", None, "2026-06-11T23:30", "2026-06-14T23:30"),
        ("FR", None, "2026-06-09T22:30", "2026-06-15T10:00"),
        # Epiphany, Tuesday 6 January 2026: Bavaria keeps it, Berlin does not.
        ("DE", "DE-BY", "2026-01-03T08:00", "2026-01-07T11:00"),
        ("DE", "DE-BE", "2026-01-03T08:00", "2026-01-06T08:00"),
        # Corpus Christi, Thursday 4 June 2026.
        ("DE", "DE-BY", "2026-06-01T08:00", "2026-06-05T10:00"),
        ("DE", "DE-BE", "2026-06-01T08:00", "2026-06-04T08:00"),
        # The Assumption, Tuesday 15 August 2028: of the Saarland, but only of some municipalities of Bavaria.
        ("DE", "DE-SL", "2028-08-12T08:00", "2028-08-16T10:00"),
        ("DE", "DE-BY", "2028-08-12T08:00", "2028-08-15T08:00"),
        # The day of Catalonia, Friday 11 September 2026: noon of Monday.
        ("ES", "ES-CT", "2026-09-08T08:00", "2026-09-14T10:00"),
        ("ES", "ES-MD", "2026-09-08T08:00", "2026-09-11T08:00"),
        # Saint Ambrose, Monday 7 December 2026: only of the town of Milan; 8 December is a holiday of Italy.
        ("IT", "IT-MI", "2026-12-04T08:00", "2026-12-07T08:00"),
        ("IT", "IT-RM", "2026-12-04T08:00", "2026-12-07T08:00"),
        # Monday of Pentecost, 25 May 2026: of South Tyrol, and not of the other provinces.
        ("IT", "IT-BZ", "2026-05-22T08:00", "2026-05-26T10:00"),
        ("IT", "IT-TN", "2026-05-22T08:00", "2026-05-25T08:00"),
        # Saint John, Wednesday 24 June 2026: only of the towns of Porto and Braga; districts in holidays 0.109.
        ("PT", "PT-13", "2026-06-21T08:00", "2026-06-24T08:00"),
        ("PT", "PT-03", "2026-06-21T08:00", "2026-06-24T08:00"),
        # The day of Madeira, Wednesday 1 July 2026.
        ("PT", "PT-30", "2026-06-28T08:00", "2026-07-02T11:00"),
        ("PT", None, "2026-06-28T08:00", "2026-07-01T08:00"),
        ("IT", None, "2026-12-05T08:00", "2026-12-09T11:00"),
        # Good Friday, 3 April 2026: in Alsace and Moselle only of towns with a Protestant church (Code du travail,
        # L3134-13), by custom in Guadeloupe. Saint Stephen, Tuesday 26 December 2028, is of all of Alsace and Moselle.
        ("FR", "FR-57", "2026-03-31T08:00", "2026-04-03T08:00"),
        ("FR", "FR-6AE", "2026-03-31T08:00", "2026-04-03T08:00"),
        ("FR", "FR-971", "2026-03-31T15:00", "2026-04-03T15:00"),
        ("FR", None, "2026-03-31T08:00", "2026-04-03T08:00"),
        ("FR", "FR-57", "2028-12-23T08:00", "2028-12-27T11:00"),
        # Mid-Lent and the day of Victor Schoelcher are customs; the day of the abolition of slavery is law (L3422-2).
        ("FR", "FR-971", "2026-03-09T15:00", "2026-03-12T15:00"),
        ("FR", "FR-971", "2026-05-24T15:00", "2026-05-28T16:00"),
        ("FR", "FR-972", "2026-07-18T15:00", "2026-07-21T15:00"),
        ("FR", "FR-MF", "2026-07-18T15:00", "2026-07-21T15:00"),
        # The Canaries are an hour behind Madrid.
        ("ES", "ES-CN", "2026-06-10T15:00", "2026-06-15T11:00"),
        # Noon in Nouméa is eleven hours before noon in UTC, in Saint Pierre two hours after it in summer.
        ("FR", "FR-NC", "2026-06-10T15:00", "2026-06-15T01:00"),
        ("FR", "FR-PM", "2026-06-10T15:00", "2026-06-15T14:00"),
        # The end of the year: Friday 1 January 2027, then a weekend.
        ("FR", None, "2026-12-29T09:00", "2027-01-04T11:00"),
        # The clock changes on Sunday 25 October 2026 and on Sunday 29 March 2026.
        ("FR", None, "2026-10-22T09:00", "2026-10-26T11:00"),
        ("FR", None, "2026-03-26T09:00", "2026-03-30T10:00"),
    ],
)
def test_a_dora_limit_on_a_day_off_moves_to_noon_of_the_next_working_day(state, region, submitted, due):
    found = run(entity(state, region, *INSURER), "2026-01-01T00:00", submissions={"dora_initial": [submitted]})
    assert found["dora_intermediate"].due_at == at(due)


@pytest.mark.parametrize("sector", ["credit_institution", "central_counterparty", "trading_venue"])
def test_some_entities_have_no_noon_for_the_initial_and_intermediate_report_but_for_the_final_one(sector):
    found = run(
        entity("FR", None, sector),
        "2026-06-01T08:00",
        {"classification": "2026-06-13T08:00"},
        {"dora_initial": ["2026-06-10T15:00"], "dora_intermediate": ["2026-06-13T15:00"]},
    )
    assert found["dora_intermediate"].due_at == at("2026-06-13T15:00")
    assert StepKind.DAY_OFF_EXEMPT in {step.kind for step in found["dora_intermediate"].steps}
    # 14 July 2026 is a holiday in France.
    later = run(entity("FR", None, sector), "2026-06-01T08:00", {}, {"dora_intermediate": ["2026-06-14T15:00"]})
    assert later["dora_final"].due_at == at("2026-07-15T10:00")


def test_an_essential_financial_entity_has_no_noon():
    found = run(
        entity("FR", None, *INSURER, "nis2_essential"), "2026-06-01T08:00", {}, {"dora_initial": ["2026-06-10T15:00"]}
    )
    assert found["dora_intermediate"].due_at == at("2026-06-13T15:00")
    assert "nis2_early_warning" not in found


@pytest.mark.parametrize(
    ("classified", "due", "step"),
    [
        # Monday 1 June 2026, aware at 08:00.
        ("2026-06-01T09:00", "2026-06-01T13:00", StepKind.SECOND_LIMIT_LATER),
        ("2026-06-02T06:00", "2026-06-02T08:00", StepKind.SECOND_LIMIT),
        ("2026-06-02T08:00", "2026-06-02T08:00", StepKind.SECOND_LIMIT),
        ("2026-06-02T08:01", "2026-06-02T12:01", StepKind.SECOND_LIMIT_FELL_AWAY),
        ("2026-06-09T21:00", "2026-06-10T01:00", StepKind.SECOND_LIMIT_FELL_AWAY),
    ],
)
def test_the_initial_report_is_due_at_the_earlier_limit_unless_the_classification_comes_later(classified, due, step):
    clock = run(entity("FR", None, *BANK), "2026-06-01T08:00", {"classification": classified})["dora_initial"]
    assert (clock.due_at, clock.provisional) == (at(due), False)
    assert step in {each.kind for each in clock.steps}


def test_before_the_classification_the_limit_from_awareness_is_shown_as_provisional():
    clock = run(entity("FR", None, *BANK), "2026-06-01T08:00")["dora_initial"]
    assert (clock.due_at, clock.started_at, clock.provisional) == (at("2026-06-02T08:00"), None, True)


def test_the_latest_updated_intermediate_report_starts_the_final_one_again():
    sent = {"dora_initial": ["2026-06-01T10:00"], "dora_intermediate": ["2026-06-03T10:00"]}
    first = run(entity("FR", None, *BANK), "2026-06-01T08:00", {}, sent)["dora_final"]
    assert first.due_at == at("2026-07-03T10:00")
    sent["dora_intermediate"] += ["2026-06-17T10:00", "2026-06-09T10:00"]
    again = run(entity("FR", None, *BANK), "2026-06-01T08:00", {}, sent)
    assert again["dora_final"].due_at == at("2026-07-17T10:00")
    # The limit of the intermediate report itself does not move: the first initial report started it.
    assert again["dora_intermediate"].due_at == at("2026-06-04T10:00")


def test_a_clock_that_a_submission_starts_has_not_started_before_it():
    found = run(entity("FR", None, "nis2_essential"), "2026-06-01T08:00")
    assert (found["nis2_progress"].state, found["nis2_progress"].due_at) == (ClockState.NOT_STARTED, None)
    assert run(entity("FR", None, *BANK), "2026-06-01T08:00")["dora_final"].state is ClockState.NOT_STARTED


def test_an_incident_that_goes_on_gets_a_progress_report_and_the_final_one_a_month_after_its_end():
    sent = {"nis2_notification": ["2026-06-03T08:00"]}
    goes_on = run(entity("FR", None, "nis2_essential"), "2026-06-01T08:00", {}, sent)
    assert goes_on["nis2_progress"].due_at == at("2026-07-03T08:00")
    assert goes_on["nis2_final"].state is ClockState.FALLS_AWAY
    assert goes_on["nis2_final_after_handling"].state is ClockState.NOT_STARTED
    over = run(entity("FR", None, "nis2_essential"), "2026-06-01T08:00", {"handled": "2026-06-20T08:00"}, sent)
    assert over["nis2_final"].due_at == at("2026-07-03T08:00")
    assert {over[name].state for name in ("nis2_progress", "nis2_final_after_handling")} == {ClockState.FALLS_AWAY}
    late = run(entity("FR", None, "nis2_essential"), "2026-06-01T08:00", {"handled": "2026-07-20T08:00"}, sent)
    assert late["nis2_progress"].due_at == at("2026-07-03T08:00")
    assert late["nis2_final_after_handling"].due_at == at("2026-08-20T08:00")
    assert late["nis2_final"].state is ClockState.FALLS_AWAY


def test_a_vulnerability_has_fourteen_days_after_the_fix():
    found = run(entity("FR", None, "product_manufacturer"), "2026-10-12T08:00", {"fix": "2026-10-20T08:00"})
    assert found["cra_vulnerability_final"].due_at == at("2026-11-03T09:00")  # 10:00 in Paris on both days


@pytest.mark.parametrize(
    ("state", "aware", "present", "absent"),
    [
        ("DE", "2025-12-05T12:00", "nis2_early_warning", "bsig_early_warning"),
        # 23:30 UTC of 5 December is 6 December in Berlin.
        ("DE", "2025-12-05T23:30", "bsig_early_warning", "nis2_early_warning"),
        ("DE", "2025-12-06T12:00", "bsig_early_warning", "nis2_early_warning"),
        ("FR", "2025-12-06T12:00", "nis2_early_warning", "bsig_early_warning"),
    ],
)
def test_the_moment_of_awareness_chooses_the_version_of_a_duty(state, aware, present, absent):
    found = run(entity(state, None, "nis2_essential"), aware)
    assert present in found
    assert absent not in found


def test_a_duty_does_not_exist_before_its_act_applies():
    maker = entity("FR", None, "product_manufacturer")
    assert "cra_incident_warning" not in run(maker, "2026-09-10T12:00")
    assert "dora_initial" not in run(entity("FR", None, *BANK), "2025-01-16T12:00")


def test_the_sector_chooses_the_duties_and_no_sector_leaves_all_open():
    assert set(run(entity("FR", None, "other"), "2026-06-01T08:00")) == {"gdpr_authority", "gdpr_data_subjects"}
    assert {"dora_initial", "nis2_early_warning", "gdpr_authority", "eidas_qualified"} <= set(
        run(Entity(), "2026-06-01T08:00")
    )


def test_an_occasion_that_is_known_to_be_absent_takes_the_duty_away_and_an_unknown_one_does_not():
    none = run(entity(), "2026-06-01T08:00", occasions={Occasion.PERSONAL_DATA_BREACH: Answer.NO})
    assert "gdpr_authority" not in none
    unknown = run(entity(), "2026-06-01T08:00", occasions={Occasion.PERSONAL_DATA_BREACH: Answer.UNKNOWN})
    assert unknown["gdpr_authority"].occasion is Answer.UNKNOWN


def test_the_provider_owes_its_own_reports_and_not_those_of_its_customers():
    provider = entity("FR", None, "nis2_essential")
    found = run(provider, "2026-06-01T08:00", owner=Owner.CLOUD_PROVIDER)
    assert {"nis2_early_warning", "nis2_recipients"} <= set(found)
    assert not {"gdpr_authority", "dora_initial"} & set(found)
    assert found["nis2_recipients"].state is ClockState.WITHOUT_DELAY
    assert "nis2_recipients" not in run(provider, "2026-06-01T08:00")
    assert set(run(provider, "2026-06-01T08:00", owner=Owner.PROCESSOR)) == {"gdpr_controller"}


def test_a_submission_is_in_time_up_to_the_limit_itself():
    provider = entity("FR", None, "nis2_essential")
    limit = run(provider, "2026-06-01T08:00", {}, {"nis2_early_warning": ["2026-06-02T08:00"]})["nis2_early_warning"]
    assert (limit.state, limit.in_time) == (ClockState.SUBMITTED, True)
    late = run(provider, "2026-06-01T08:00", {}, {"nis2_early_warning": ["2026-06-02T08:00:01"]})["nis2_early_warning"]
    assert late.in_time is False


def test_a_customer_whose_awareness_is_not_known_has_no_limit_of_its_own():
    aware_at = at("2026-06-01T08:00")
    found = {c.duty.id: c for c in clocks(LAW, entity(), {Owner.CUSTOMER}, {}, Moments(), aware_at)}
    assert (found["gdpr_authority"].state, found["gdpr_authority"].due_at) == (ClockState.NOT_STARTED, None)


def test_without_a_member_state_a_limit_does_not_move_and_says_so():
    found = run(Entity(sectors=frozenset(INSURER)), "2026-06-01T08:00", {}, {"dora_initial": ["2026-06-10T15:00"]})
    clock = found["dora_intermediate"]
    assert clock.due_at == at("2026-06-13T15:00")
    assert clock.steps[-1].kind is StepKind.MEMBER_STATE_UNKNOWN


STATES = st.sampled_from(sorted(MEMBER_STATES))
MOMENTS = st.datetimes(datetime(2025, 12, 6), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(state=STATES, moment=MOMENTS, data=st.data())
def test_a_moved_limit_is_noon_of_the_first_working_day_after_it(state, moment, data):
    region = data.draw(st.sampled_from([None, *regions(state)]))
    who = Entity(state, region, frozenset(INSURER))
    sent = Moments({}, {"dora_initial": [moment]})
    clock = next(c for c in clocks(LAW, who, {Owner.CUSTOMER}, {}, sent, moment) if c.duty.id == "dora_intermediate")
    plain, local = moment + timedelta(hours=72), clock.due_at.astimezone(zone_of(who))
    assert day_off(local.date(), state, region) is None
    if clock.due_at == plain:
        assert StepKind.MOVED_TO_NOON not in {step.kind for step in clock.steps}
        return
    assert (local.hour, local.minute, local.second) == (12, 0, 0)
    day = plain.astimezone(zone_of(who)).date()
    while day < local.date():
        assert day_off(day, state, region) is not None
        day += timedelta(days=1)


@given(moment=MOMENTS, months=st.integers(1, 24))
def test_months_end_on_the_same_date_or_the_last_day_of_the_month(moment, months):
    day, shortened = add_months(moment.date(), months)
    assert (day.year * 12 + day.month) - (moment.year * 12 + moment.month) == months
    assert day.day == moment.day or (shortened and (day + timedelta(days=1)).day == 1 and day.day < moment.day)
    assert add_months(day, -months)[0].month == moment.month


@given(state=STATES, moment=MOMENTS)
def test_hours_are_hours_for_every_state_and_moment(state, moment):
    who = Entity(state, None, frozenset({"nis2_essential"}))
    found = clocks(LAW, who, {Owner.CUSTOMER}, {}, Moments({Start.AWARENESS: moment}), moment)
    limits = {clock.due_at - moment for clock in found if clock.due_at is not None}
    assert limits == {timedelta(hours=24), timedelta(hours=72)}


@given(moment=MOMENTS, later=st.timedeltas(timedelta(), timedelta(days=5)))
def test_the_initial_report_is_never_due_before_its_classification(moment, later):
    known = Moments({Start.AWARENESS: moment, Start.CLASSIFICATION: moment + later})
    found = clocks(LAW, entity("FR", None, *BANK), {Owner.CUSTOMER}, {}, known, moment)
    clock = next(clock for clock in found if clock.duty.id == "dora_initial")
    assert moment + later <= clock.due_at <= moment + later + timedelta(hours=4)
    if later <= timedelta(hours=24):
        assert clock.due_at <= moment + timedelta(hours=24)


@pytest.mark.parametrize(
    ("who", "field"),
    [
        (Entity("XX"), "member_state"),
        (Entity(None, "DE-BY"), "region"),
        (Entity("FR", "DE-BY"), "region"),
        (Entity("FR", "FR-ZZ"), "region"),
        (Entity("GR", "GR-A"), "region"),
        (Entity("FR", None, frozenset({"bank"})), "sectors"),
        (Entity("FR", lei="969500ABCDEF"), "lei"),
    ],
)
def test_a_wrong_statement_names_its_field(who, field):
    with pytest.raises(InvalidInputError) as error:
        validate_entity(who, LAW.sectors)
    assert [fault.field for fault in error.value.faults] == [field]


def test_every_member_state_and_region_has_a_zone_and_holidays():
    for state, zone in MEMBER_STATES.items():
        assert ZoneInfo(zone)
        for region in (None, *regions(state)):
            validate_entity(Entity(state, region), LAW.sectors)
            assert day_off(datetime(2026, 12, 25).date(), state, region) is not None  # noqa: DTZ001


@pytest.mark.parametrize(
    ("state", "day", "name"),
    [("DE", "2026-10-03", None), ("DE", "2026-12-25", "Erster Weihnachtstag"), ("FR", "2026-07-14", "Fête nationale")],
)
def test_a_holiday_has_its_name_in_its_own_language_whatever_the_environment(monkeypatch, state, day, name):
    monkeypatch.setenv("LANGUAGE", "en_US")
    _holidays_of.cache_clear()
    found = day_off(datetime.fromisoformat(day).date(), state, None)
    assert found == (name or "weekend")
    _holidays_of.cache_clear()
