from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.agreement import NATURES, DeadlineBinding, bundled_agreements, parse_agreement
from notifications.classification import Nature, classify
from notifications.decision import Verdict, decide
from notifications.errors import AgreementError
from notifications.incident import LANGUAGES, Intent, Property
from support.domain_facts import AGREEMENT, YES, customer, harmed, known_facts, listed, open_facts

FILE = "secnumcloud_iaas_3_0.toml"
#: The file as it was under version 1 of the schema.
BUNDLED = (
    Path(__file__)
    .parents[1]
    .joinpath("support", "agreements", "secnumcloud_iaas_3_0_schema_1.toml")
    .read_text(encoding="utf-8")
)

#: Agreement 7.6.4, row by row.
MATRIX = {
    "C1": ("P1", "P2", "P3"),
    "C2": ("P2", "P3", "P4"),
    "C3": ("P3", "P4", "P5"),
}
#: Agreement 8.3: GTI in minutes, target.
COMMITMENTS = {"P1": (30, 95), "P2": (120, 90), "P3": (240, 90), "P4": (24 * 60, 85), "P5": (48 * 60, 85)}

FOURTH_IMPACT = """
[[impacts]]
id = "I4"
clause = "7.6.4"
[impacts.text]
fr = "Aucun effet."
en = "No effect."
de = "Keine Auswirkung."

"""


def changed(old, new, count=1):
    assert BUNDLED.count(old) >= 1, "the file no longer says this"
    return BUNDLED.replace(old, new, count).encode()


def fault_of(data):
    with pytest.raises(AgreementError) as caught:
        parse_agreement(data, "other.toml")
    assert caught.value.file == "other.toml"
    return caught.value.key, caught.value.reason


def test_the_bundled_agreement_is_named_by_its_file():
    assert list(bundled_agreements()) == ["secnumcloud_2026", "secnumcloud_iaas_3_0"]
    assert (AGREEMENT.version, AGREEMENT.dated_on.isoformat()) == ("3.0", "2025-01-17")


def test_the_matrix():
    assert AGREEMENT.impact_ids == ("I1", "I2", "I3")
    for criticality, row in MATRIX.items():
        for impact, priority in zip(AGREEMENT.impact_ids, row, strict=True):
            assert AGREEMENT.matrix[impact, criticality] == priority


def test_the_support_commitments():
    found = {each.id: (each.gti_seconds // 60, each.target_percent) for each in AGREEMENT.priorities}
    assert found == COMMITMENTS


def test_the_default_levels():
    assert [(level.id, level.clause, level.waivable) for level in AGREEMENT.default_levels] == [
        ("impact_high", "11.1.1.3 (1)", True),
        ("customer_data", "11.1.1.3 (2)", True),
        ("personal_data_customer_controller", "11.1.1.3 (3)", False),
        ("personal_data_provider_controller", "11.1.1.3 (4)", False),
        ("data_protection_failure", "DPA 7", False),
    ]
    assert (AGREEMENT.plain_incident.id, AGREEMENT.plain_incident.clause) == ("plain_incident", "11.1.1.2")
    assert AGREEMENT.plain_incident.waivable is False


def test_the_deadline_of_the_dpa():
    deadline = AGREEMENT.deadlines[AGREEMENT.level("personal_data_customer_controller").deadline]
    assert (deadline.seconds, deadline.binding, deadline.clause) == (48 * 3600, DeadlineBinding.SOFT, "DPA 7")


def test_legal_clocks_in_a_file_of_an_earlier_release_are_read_and_ignored():
    clock = '[[legal_clocks]]\nid = "gdpr_authority"\nstarts = "aware"\n\n[[default_levels]]'
    parse_agreement(changed("[[default_levels]]", clock), "other.toml")


def test_natures_are_those_of_classification_most_protective_first():
    assert tuple(nature.value for nature in Nature) == NATURES


def test_every_clause_is_worded_in_every_language():
    for each in (*AGREEMENT.default_levels, *AGREEMENT.priorities, *AGREEMENT.impacts, *AGREEMENT.definitions):
        for number, wording in AGREEMENT.clause_texts(each.clause):
            assert number
            assert set(wording.as_mapping()) == set(LANGUAGES)


def test_look_ups_by_id():
    assert AGREEMENT.gti_seconds("P1") == 1800
    assert AGREEMENT.limb("malicious").clause == "3.2 (a)"
    assert AGREEMENT.limb("availability_excluded").clause == "3.2"
    assert AGREEMENT.level("plain_incident") is AGREEMENT.plain_incident
    assert AGREEMENT.definition("incident").title.in_language("de") == ("de", "Vorfall")
    for look_up in (AGREEMENT.gti_seconds, AGREEMENT.limb, AGREEMENT.level, AGREEMENT.definition):
        with pytest.raises(KeyError):
            look_up("nothing")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('C1 = { I1 = "P1", I2 = "P2", I3 = "P3" }', 'C1 = { I1 = "P1", I2 = "P2" }', "matrix.cells.C1.I3"),
        ('C3 = { I1 = "P3", I2 = "P4", I3 = "P5" }', "", "matrix.cells.C3"),
        ('I3 = "P5" }', 'I3 = "P6" }', "matrix.cells.C3.I3"),
        ('I3 = "P5" }', 'I3 = "P5", I4 = "P5" }', "matrix.cells.C3.I4"),
        ('I3 = "P5" }', 'I3 = "P5" }\nC4 = { I1 = "P1" }', "matrix.cells.C4"),
        ('version = "3.0"', 'version = "3.0"\nauthor = "x"', "author"),
        ("target_percent = 95", "target_percent = 95\ntarget = 1", "priorities.0.target"),
        ('id = "I2"', 'id = "I1"', "impacts.1.id"),
        ('id = "C3"', 'id = "C1"', "criticalities.2.id"),
        ('id = "P2"', 'id = "P1"', "priorities.1.id"),
        ('id = "customer_data"', 'id = "impact_high"', "default_levels.1.id"),
        ('id = "plain_incident"', 'id = "customer_data"', "plain_incident.id"),
        ('id = "plain_incident"', 'id = "profile"', "plain_incident.id"),
        ('id = "security_measures"', 'id = "malicious"', "definitions.1.limbs.2.id"),
        ('number = "7.1"', 'number = "3.2"', "clauses.4.number"),
        ('clause = "8.3"', 'clause = "8.4"', "priorities.0.clause"),
        ("gti_seconds = 1800", "gti_seconds = 0", "priorities.0.gti_seconds"),
        ("gti_seconds = 1800", "gti_seconds = true", "priorities.0.gti_seconds"),
        ("gti_seconds = 1800", "gti_seconds = 1.5", "priorities.0.gti_seconds"),
        ("gti_seconds = 7200", "gti_seconds = 60", "priorities.1.gti_seconds"),
        ("target_percent = 95", "target_percent = 101", "priorities.0.target_percent"),
        ('en = "One or more services are degraded."\n', "", "impacts.1.text.en"),
        ('en = "One or more services are degraded."', 'en = "x"\nes = "x"', "impacts.1.text.es"),
        ('en = "One or more services are degraded."', 'en = ""', "impacts.1.text.en"),
        ('en = "One or more services are degraded."', 'en = "a\\nb"', "impacts.1.text.en"),
        ('intent = ["malicious"]', 'intention = ["malicious"]', "definitions.1.limbs.0.when.intention"),
        ('intent = ["malicious"]', 'intent = ["evil"]', "definitions.1.limbs.0.when.intent"),
        ('intent = ["malicious"]', 'intent = ["unknown"]', "definitions.1.limbs.0.when.intent"),
        ('intent = ["malicious"]', 'intent = ["malicious", "malicious"]', "definitions.1.limbs.0.when.intent"),
        ('intent = ["malicious"]', "intent = []", "definitions.1.limbs.0.when.intent"),
        ('intent = ["malicious"]', 'intent = "malicious"', "definitions.1.limbs.0.when.intent"),
        ('intent = ["malicious"]', "", "definitions.1.limbs"),
        ('intent = ["malicious"]', 'touched = ["yes"]', "definitions.1.limbs.0.when.touched"),
        ('intent = ["malicious"]', 'any = [{ intent = ["bad"] }]', "definitions.1.limbs.0.when.any.0.intent"),
        ('impact = ["I1", "I2"]', 'impact = ["I1", "I9"]', "default_levels.0.when.impact"),
        ('nature = ["incident"]\ntouched = ["yes"]', "", "plain_incident.when"),
        ('nature = "incident"', 'nature = "event"', "definitions.3.nature"),
        ('nature = "incident"', 'nature = "accident"', "definitions.2.nature"),
        (
            "[definitions.limbs.when]\n\n# ---",
            '[definitions.limbs.when]\nintent = ["malicious"]\n\n# ---',
            "definitions.3.limbs",
        ),
        ("waivable = true", 'waivable = "yes"', "default_levels.0.waivable"),
        ('deadline = "personal_data_breach"', 'deadline = "soon"', "default_levels.2.deadline"),
        ("seconds = 172800\n[deadlines", "seconds = -1\n[deadlines", "deadlines.0.seconds"),
        ('schema = "greffier.agreement/1"', 'schema = "greffier.agreement/3"', "schema"),
        ('id = "secnumcloud_iaas_3_0"', 'id = "../other"', "id"),
        ("dated_on = 2025-01-17", 'dated_on = "2025-01-17"', "dated_on"),
        ("[matrix]", "[matrix", "(file)"),
        ("[matrix]", "[matrix]\n[matrix]", "(file)"),
    ],
)
def test_a_fault_names_file_and_key(old, new, key):
    found, reason = fault_of(changed(old, new))
    assert found == key
    assert reason


def test_a_file_without_a_section_is_refused():
    without_levels = BUNDLED[: BUNDLED.index("[[default_levels]]")] + BUNDLED[BUNDLED.index("[plain_incident]") :]
    assert fault_of(without_levels.encode()) == ("default_levels", "is missing")


def test_what_is_no_toml_is_refused():
    assert fault_of(b"\xff\xfe")[0] == "(file)"
    assert fault_of(b"x" * 1_000_001)[0] == "(file)"
    assert fault_of(b"a = " + b"[" * 10_000)[0] == "(file)"
    nested = "{ any = [" * 20 + '{ intent = ["malicious"] }' + "] }" * 20
    assert "nested" in fault_of(changed('intent = ["malicious"]', f"any = [{nested}]"))[1]


@given(st.data())
def test_a_file_that_lost_a_line_is_parsed_or_refused_by_name(data):
    lines = BUNDLED.splitlines()
    del lines[data.draw(st.integers(0, len(lines) - 1))]
    fault = None
    try:
        parse_agreement("\n".join(lines).encode(), "torn.toml")
    except AgreementError as error:
        fault = error
    assert fault is None or (fault.file == "torn.toml" and fault.key and fault.reason)


class TestAnotherAgreementIsAnotherFile:
    """Other levels, other matrix, other definitions, other default levels: no code."""

    @pytest.fixture
    def other(self):
        text = BUNDLED
        for old, new in [
            ('id = "secnumcloud_iaas_3_0"', 'id = "hosting_1_0"'),
            # A fourth impact level, with its column.
            (
                '[[criticalities]]\nid = "C1"',
                FOURTH_IMPACT + '[[criticalities]]\nid = "C1"',
            ),
            ('I3 = "P3" }', 'I3 = "P3", I4 = "P5" }'),
            ('I3 = "P4" }', 'I3 = "P4", I4 = "P5" }'),
            ('I3 = "P5" }', 'I3 = "P5", I4 = "P5" }'),
            # Loss of availability counts as a security incident here.
            (
                '  { "harm.integrity" = ["yes"] },\n',
                '  { "harm.integrity" = ["yes"] },\n  { "harm.availability" = ["yes"] },\n',
            ),
            # Told by priority, not by impact.
            ('impact = ["I1", "I2"]', 'priority = ["P1"]'),
            ('id = "customer_data"', 'id = "data_lost"'),
            (
                (
                    'any = [{ "customer_data_harm.integrity" = ["yes"] }, '
                    '{ "customer_data_harm.confidentiality" = ["yes"] }]'
                ),
                'none = [{ "customer_data_harm.availability" = ["no"] }]',
            ),
        ]:
            assert old in text
            text = text.replace(old, new, 1)
        return parse_agreement(text.encode(), "hosting_1_0.toml")

    def test_definitions(self, other):
        facts = known_facts(service_harm=harmed(Property.AVAILABILITY))
        assert classify(facts, AGREEMENT).nature is Nature.INCIDENT
        assert classify(facts, other).nature is Nature.SECURITY_INCIDENT

    def test_matrix_and_a_priority_that_is_settled_without_its_criticality(self, other):
        result = classify(open_facts(impact="I4"), other)
        assert (result.priority, result.gti_seconds) == ("P5", 172_800)
        assert "criticality" not in {question.fact for question in result.open_questions}

    def test_a_level_of_one_agreement_is_open_under_another(self, other):
        result = classify(known_facts(impact="I4"), AGREEMENT)
        assert (result.priority, result.remarks) == (None, ("remark.impact_not_in_agreement",))
        assert classify(known_facts(impact="I4"), other).remarks == ()

    def test_levels(self, other):
        def verdict(**stated):
            facts = known_facts(intent=Intent.MALICIOUS, **stated)
            return decide(facts, classify(facts, other), other, customer(), None)

        assert verdict(impact="I1", criticality="C1").verdict is Verdict.NOTIFY
        assert verdict(impact="I1", criticality="C2").verdict is Verdict.DO_NOT_NOTIFY
        lost = verdict(affected_customers=(listed(data_harm=harmed(Property.AVAILABILITY)),))
        assert lost.verdict is Verdict.NOTIFY
        assert (lost.reasons[0].id, lost.reasons[0].message, lost.reasons[0].holds) == (
            "data_lost",
            "reason.data_lost.yes",
            YES,
        )
