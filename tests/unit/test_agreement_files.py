"""Files of schema 2 and of the DPA: what they say, every fault by file, key and reason, and files of version 1."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings

from notifications.agreement import (
    DeadlineBinding,
    agreements_of,
    bound_terms,
    bundled_agreements,
    bundled_dpas,
    bundled_files,
    parse_agreement,
    parse_dpa,
)
from notifications.agreement.commitments import DayCount, NoticeChannel
from notifications.classification import classify
from notifications.decision import decide
from notifications.errors import AgreementError
from support.domain_facts import customers, incident_facts, profiles

FILES = {name: data.decode() for name, data in bundled_files().items()}
SECOND, FIRST = FILES["secnumcloud_2026.toml"], FILES["secnumcloud_iaas_3_0.toml"]
DPA = FILES["dpa_2025_01_15.toml"]
VERSION_1 = Path(__file__).parents[1] / "support" / "agreements" / "secnumcloud_iaas_3_0_schema_1.toml"
REFERENCES = "[references]\n"
INFRA = 'products = ["iaas", "open_iaas", "bare_metal"]\n'


def notice(kind="subcontractor_change", clause="DPA 8", time='lead = { days = 10, binding = "hard" }', item=""):
    """Return the table of a kind of notice in a DPA, before that of the references."""
    texts = '{ fr = "x", en = "y", de = "z" }'
    return (
        f'[[notices]]\nid = "{kind}"\nclause = "{clause}"\ntitle = {texts}\nchannels = ["email"]\n{time}\n'
        f'[[notices.items]]\nid = "{item or "task"}"\nmandatory = true\ntext = {texts}\n[references]\n'
    )


def with_notice(**stated):
    return changed(DPA, "[references]\n", notice(**stated))


def changed(text, old, new):
    assert old in text, "the file no longer says this"
    return text.replace(old, new, 1).encode()


def fault_of(parse, *arguments):
    with pytest.raises(AgreementError) as caught:
        parse(*arguments)
    return caught.value.file, caught.value.key, caught.value.reason


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ('C3 = { I1 = "P3", I2 = "P4", I3 = "P6" }', 'C3 = { I1 = "P3", I2 = "P4" }', "matrix.cells.C3.I3", "missing"),
        ('I3 = "P6" }', 'I3 = "P7" }', "matrix.cells.C3.I3", "'P7' is not a priority"),
        ("target_percent = 95\n", "", "priorities.0.target_percent", "is missing"),
        ("gti_seconds = 1800\n", "", "priorities.0.gti_seconds", "is missing"),
        ("gti_seconds = 1800\ntarget_percent = 95\n", "", "priorities.1.gti_seconds", "the one before it has none"),
        (f'clause = "4.3"\n{INFRA}', 'clause = "4.3"\nproducts = ["iaas", "saas"]\n', "priorities.0.products", "saas"),
        (f'clause = "4.3"\n{INFRA}', 'clause = "4.3"\nproducts = ["iaas"]\n', "matrix.cells.C1.I1", "does not hold"),
        ('id = "vpc"', 'id = "paas"', "products.4.id", "used twice"),
        ('clause = "6.1.3 (4)"', 'clause = "6.2.1"', "default_levels.3.clause", "'6.2.1' is not among the clauses"),
        ('clause = "3.9.4, 6.1.3"', 'clause = "3.9.4"', "impacts.I1", "no clause of '3.9.4' holds for paas"),
        ("until = 2028-04-16", "until = 2026-04-01", "validity.until", "before 2026-04-17"),
        ("from = 2026-01-09\n", "from = 2026-01-09\nuntil = 2026-02-01\n", "data_protection.0.until", "must be absent"),
        (
            'dpa = "dpa_2026_01_09"\nfrom = 2026-01-09\n',
            (
                'dpa = "dpa_2026_01_09"\nfrom = 2026-01-09\nuntil = 2026-06-30\n'
                '[[data_protection]]\ndpa = "dpa_2025_10"\nfrom = 2026-06-30\n'
            ),
            "data_protection.1.from",
            "still holds",
        ),
        (
            'dpa = "dpa_2026_01_09"\nfrom = 2026-01-09\n',
            (
                'dpa = "dpa_2026_01_09"\nfrom = 2026-01-09\nuntil = 2026-06-30\n'
                '[[data_protection]]\ndpa = "dpa_2025_10"\nfrom = 2026-07-02\n'
            ),
            "data_protection.1.from",
            "no DPA holds between",
        ),
        (
            'dpa = "dpa_2026_01_09"\nfrom = 2026-01-09\n',
            'dpa = "dpa_2026_01_09"\nfrom = 2026-04-18\n',
            "data_protection.0.from",
            "no DPA holds between 2026-04-17, the first day of the agreement, and 2026-04-18",
        ),
        ('authoritative_language = "fr"', 'authoritative_language = "la"', "authoritative_language", "'la' is not one"),
        ('channels = ["registered_letter"]', 'channels = ["pigeon"]', "notices.4.channels", "'pigeon'"),
        ('lead = { binding = "no_number" }', 'lead = { binding = "soft" }', "notices.0.lead.binding", "is 'soft'"),
        ("lead = { days = 21,", "lead = { days = 21, months = 1,", "notices.6.lead.months", "exactly one"),
        ("erased_within_days = 30", "erased_within_days = 22", "notices.6.erased_within_days", "from 23 to"),
        (
            'lead = { binding = "no_number" }',
            'lead = { binding = "no_number" }\nerased_within_days = 30',
            "notices.0.lead",
            "calendar days",
        ),
        (
            'channels = ["registered_letter"]\n',
            'channels = ["registered_letter"]\nlead = { days = 3, binding = "hard" }\nerased_within_days = 30\n',
            "notices.6.erased_within_days",
            "only one kind",
        ),
        (
            'channels = ["email", "registered_letter"]',
            'channels = ["console"]',
            "notices.6.channels",
            "is served by email or registered_letter",
        ),
        (
            'channels = ["console", "email"]',
            'channels = ["console", "email"]\nserved_at_first_presentation = true',
            "notices.0.served_at_first_presentation",
            "whose channels have registered_letter",
        ),
        ("after = { months = 1,", "after = { months = 1, weeks = 1,", "notices.3.after.weeks", "not a known key"),
        ('days = ["monday",', 'days = ["someday",', "support_hours.days", "'someday'"),
        ("until = 19:00:00", "until = 07:00:00", "support_hours.until", "not after 08:00:00"),
        ('time_zone = "Europe/Paris"', 'time_zone = "Europe/Pari"', "support_hours.time_zone", "not a time zone"),
        ('holidays = "FR"', 'holidays = "XX"', "support_hours.holidays", "'XX' is not the code"),
        # Parts that hold for a product, and cite what holds for others only.
        (
            f'id = "C1"\nclause = "3.9.4"\n{INFRA}',
            'id = "C1"\nclause = "3.9.4"\nproducts = ["iaas"]\n',
            "criticalities.0.products",
            "'C1' is in the matrix and does not hold",
        ),
        (
            f'id = "SLA_8"\nclause = "4.3"\n{INFRA}',
            'id = "SLA_8"\nclause = "4.3"\n',
            "service_levels.SLA_8",
            "no clause of '4.3' holds for paas",
        ),
        (
            'id = "software_change"\nclause = "5.1.1"',
            'id = "software_change"\nclause = "3.9.4"',
            "notices.software_change",
            "no clause of '3.9.4' holds for paas",
        ),
        ('id = "event_logs"\nclause = "9.3"', 'id = "event_logs"\nclause = "5.9"', "retention.0.clause", "'5.9'"),
        ('profile = "6.1.3"', 'profile = "6.1.9"', "references.profile", "'6.1.9' is not among"),
        ('profile = "6.1.3"', 'other = "6.1.3"', "references.other", "not a known key"),
        (
            'any = [{ normal_operation_disrupted = ["yes"] }',
            "any = [{}",
            "definitions.2.limbs.0.when.any.0",
            "names no",
        ),
        ('may_cause = ["yes"]', 'might_cause = ["yes"]', "definitions.2.limbs.3.when.might_cause", "not a fact"),
        (
            'nature = "event"\n',
            'nature = "event"\nproducts = ["iaas"]\n',
            "definitions",
            "'event' is not defined for the product",
        ),
        ('schema = "greffier.agreement/2"', 'schema = "greffier.agreement/9"', "schema", "must be"),
    ],
)
def test_a_fault_of_an_agreement_is_named_by_file_key_and_reason(old, new, key, reason):
    file, found, said = fault_of(parse_agreement, changed(SECOND, old, new), "other.toml")
    assert (file, found) == ("other.toml", key)
    assert reason in said


@pytest.mark.parametrize(
    ("old", "new", "key", "reason"),
    [
        ('binding = "no_number"\n', 'binding = "hard"\n', "deadlines.1.seconds", "is missing"),
        ('binding = "soft"\nseconds', 'binding = "no_number"\nseconds', "deadlines.0.seconds", "absent"),
        ('binding = "soft"\n', 'binding = "strict"\n', "deadlines.0.binding", "'strict' is not one of"),
        ('clause = "DPA 8"', 'clause = "DPA 9"', "deadlines.1.clause", "'DPA 9' is not among"),
        ('deadlines = ["data_protection_failure"]', 'deadlines = ["soon"]', "levels.0.deadlines", "'soon'"),
        ("[levels.when]\n", '[levels.when]\nimpact = ["I1"]\n', "levels.0.when.impact", "not a fact"),
        ("until = 2025-09-30", "until = 2024-09-30", "validity.until", "before"),
        ('id = "records"', 'id = "nature"', "breach_items.2.id", "used twice"),
        ('series = "dpa"\n', "", "series", "is missing"),
        ('version = "', 'colour = "red"\nversion = "', "colour", "not a known key"),
        (REFERENCES, notice(clause="DPA 99"), "notices.0.clause", "'DPA 99' is not among"),
        (REFERENCES, notice(time='lead = { binding = "hard" }'), "notices.0.lead.binding", "a number of days"),
        (REFERENCES, notice(time='lead = { clause = "5.1", days = 1 }'), "notices.0.lead.clause", "'5.1' is not among"),
        (REFERENCES, notice(item='a"\nclause = "DPA 0'), "notices.0.items.0.clause", "'DPA 0' is not among"),
        (REFERENCES, notice(time='products = ["iaas"]'), "notices.0.products", "not a product of this file"),
        (
            REFERENCES, notice(time="lead = { days = 9 }\nerased_within_days = 40"),
            "notices.0.erased_within_days", "the agreement says",
        ),
    ],
)  # fmt: skip
def test_a_fault_of_a_dpa_is_named_by_file_key_and_reason(old, new, key, reason):
    file, found, said = fault_of(parse_dpa, changed(DPA, old, new), "other.toml")
    assert (file, found) == ("other.toml", key)
    assert reason in said


def test_a_fault_of_files_together_names_the_file_as_it_is_called():
    own = changed(SECOND, 'dpa = "dpa_2026_01_09"', 'dpa = "dpa_2027"')
    own = own.replace(b'id = "secnumcloud_2026"', b'id = "own"')
    file, key, _ = fault_of(agreements_of, [*together(), ("contract-of-may.toml", own)])
    assert (file, key) == ("contract-of-may.toml", "data_protection.0.dpa")


def test_an_id_that_two_files_have_names_both():
    fault = fault_of(agreements_of, [*together(), ("own.toml", SECOND.encode())])
    assert fault == ("secnumcloud_2026.toml", "id", "'secnumcloud_2026' is also the id in own.toml")


def together(**changes):
    return [(name, changes.get(name.removesuffix(".toml"), text.encode())) for name, text in FILES.items()]


@pytest.mark.parametrize(
    ("changes", "file", "key", "reason"),
    [
        (
            {"dpa_2025_01_15": changed(DPA, "until = 2025-09-30", "until = 2025-10-01")},
            "dpa_2025_01_15.toml", "validity.until", "'dpa_2025_10' is in force from 2025-10-01",
        ),
        (
            {"dpa_2025_01_15": changed(DPA, "until = 2025-09-30", "until = 2025-09-29")},
            "dpa_2025_01_15.toml", "validity.until", "no version is in force between 2025-09-29 and 2025-10-01",
        ),
        (
            {"secnumcloud_2026": changed(SECOND, 'dpa = "dpa_2026_01_09"', 'dpa = "dpa_2027"')},
            "secnumcloud_2026.toml", "data_protection.0.dpa", "'dpa_2027' is not a DPA",
        ),
        (
            {"secnumcloud_2026": changed(SECOND, '"personal_data_breach"]', '"personal_data_loss"]')},
            "secnumcloud_2026.toml", "default_levels.2.deadlines", "neither this file nor its DPA",
        ),
        (
            {"secnumcloud_2026": changed(SECOND, 'id = "customer_data"', 'id = "data_protection_failure"')},
            "secnumcloud_2026.toml", "default_levels", "also the id of a level of the DPA",
        ),
        (
            {"secnumcloud_2026": changed(SECOND, '"10.4, 5.1"', '"5.1"').replace(b'"10.4"', b'"DPA 8"')},
            "secnumcloud_2026.toml", "clauses", "'DPA 8' is also a clause of the DPA",
        ),
        (
            {"dpa_2025_01_15": with_notice(kind="end_of_contract")},
            "secnumcloud_2026.toml", "notices.end_of_contract", "the days of the notice that precedes an erasure",
        ),
        (
            {"dpa_2025_01_15": with_notice(time="after = { months = 1 }")},
            "secnumcloud_2026.toml", "notices.subcontractor_change", "before an event, and the other one after it",
        ),
    ],
)  # fmt: skip
def test_a_fault_between_files_is_named(changes, file, key, reason):
    found = fault_of(agreements_of, together(**changes))
    assert found[:2] == (file, key)
    assert reason in found[2]


def test_an_unknown_product_cannot_be_bound():
    agreement = bundled_agreements()["secnumcloud_2026"]
    for ordered, said in ((frozenset({"saas"}), "'saas' is not a product"), (frozenset(), "at least one")):
        _, key, reason = fault_of(bound_terms, agreement, agreement.dpa, ordered)
        assert key == "products"
        assert said in reason


def test_terms_are_made_once_and_say_what_binds():
    agreement, dpas = bundled_agreements()["secnumcloud_2026"], bundled_dpas()
    paas = bound_terms(agreement.own, dpas["dpa_2025_10"], frozenset({"paas"}))
    assert paas is bound_terms(agreement.own, dpas["dpa_2025_10"], frozenset({"paas"}))
    assert (paas.id, paas.product_ids, paas.dpa.id) == ("secnumcloud_2026", ("paas",), "dpa_2025_10")
    assert (paas.matrix, paas.priorities, paas.criticalities, paas.matrix_clause) == ({}, (), (), None)
    assert [level.clause for level in paas.impacts] == ["6.1.3"] * 3
    assert paas.definition("outside_perimeter").clause == "1.1, 3.4, 5.2, 5.2.1"
    assert agreement.own is not None
    iaas = bound_terms(agreement.own, dpas["dpa_2025_10"], frozenset({"iaas"}))
    assert iaas.definition("outside_perimeter").clause == "1.1, 3.4, 5.2"
    assert {"unplanned_maintenance", "software_change"} <= {kind.id for kind in paas.notices}
    assert {"unplanned_maintenance", "software_change"}.isdisjoint(kind.id for kind in iaas.notices)


def test_every_clause_that_terms_cite_is_in_the_bound_documents():
    for agreement, dpa in product(bundled_agreements().values(), bundled_dpas().values()):
        for ordered in (None, *(frozenset({each}) for each in agreement.own.product_ids)):
            terms = bound_terms(agreement.own, dpa, ordered)
            cited = [
                *(part.clause for part in (*terms.definitions, *terms.impacts, *terms.criticalities)),
                *(part.clause for part in (*terms.priorities, *terms.default_levels, terms.plain_incident)),
                *(limb.clause for definition in terms.definitions for limb in definition.limbs),
                *(deadline.clause for deadline in terms.deadlines.values()),
                *terms.references.values(),
            ]
            for clause in cited:
                assert terms.clause_texts(clause)


@pytest.mark.parametrize("agreement_id", ["secnumcloud_iaas_3_0", "secnumcloud_2026"])
def test_a_kind_of_notice_is_joined_with_that_of_the_dpa_that_binds(agreement_id):
    own, dpas = bundled_agreements()[agreement_id].own, bundled_dpas()
    (plain,) = (kind for kind in own.notices if kind.id == "subcontractor_change")
    for dpa_id in ("dpa_2025_01_15", "dpa_2025_10"):
        (kind,) = (each for each in bound_terms(own, dpas[dpa_id]).notices if each.id == plain.id)
        assert kind == plain
    (kind,) = (each for each in bound_terms(own, dpas["dpa_2026_01_09"]).notices if each.id == plain.id)
    assert kind.clause == f"{plain.clause}, DPA 13"
    assert (kind.title, kind.channels, kind.lead.clause) == (plain.title, plain.channels, plain.clause)
    assert (kind.dpa_time.days, kind.dpa_time.clause) == (30, "DPA 13")
    assert [(item.id, item.clause) for item in kind.items] == [(item.id, kind.clause) for item in plain.items]


def test_a_dpa_can_have_a_kind_and_an_item_that_the_agreement_has_not():
    dpa = parse_dpa(with_notice(kind="planned_work", item="place"), "other.toml")
    paas = bound_terms(bundled_agreements()["secnumcloud_2026"].own, dpa, frozenset({"paas"}))
    work = next(kind for kind in paas.notices if kind.id == "planned_work")
    assert (work.clause, work.items[-1].id, work.items[-1].clause) == ("5.1, DPA 8", "place", "DPA 8")
    assert {item.clause for item in work.items[:-1]} == {"5.1"}
    alone = parse_dpa(with_notice(kind="breach_drill"), "other.toml")
    terms = bound_terms(bundled_agreements()["secnumcloud_iaas_3_0"].own, alone)
    assert (terms.notices[-1].id, terms.notices[-1].clause) == ("breach_drill", "DPA 8")


def test_an_item_and_a_time_can_cite_a_clause_of_their_own():
    text = SECOND.replace("lead = { days = 30, calendar", 'lead = { clause = "7", days = 30, calendar')
    text = text.replace('id = "task"\n', 'id = "task"\nclause = "5.1"\n')
    agreements, _ = agreements_of(together(secnumcloud_2026=text.encode()))
    (kind,) = (each for each in agreements["secnumcloud_2026"].notices if each.id == "subcontractor_change")
    assert kind.lead.clause == "7"
    assert [item.clause for item in kind.items] == ["5.1, 7, DPA 13", "5.1, DPA 13"]
    wrong = text.replace('clause = "7", days', 'clause = "5.9", days').encode()
    assert fault_of(parse_agreement, wrong, "other.toml")[1:] == (
        "notices.2.lead.clause",
        "'5.9' is not among the clauses of this file",
    )
    for_paas = text.replace('clause = "7", days', 'clause = "3.9.4", days').encode()
    assert fault_of(parse_agreement, for_paas, "other.toml")[1] == "notices.subcontractor_change.lead"


def test_the_fourth_level_holds_for_every_customer():
    agreement = bundled_agreements()["secnumcloud_2026"]
    for each in agreement.own.product_ids:
        terms = bound_terms(agreement.own, agreement.dpa, frozenset({each}))
        assert terms.level("personal_data_provider_controller").clause == "6.1.3 (4)"


@pytest.mark.parametrize(
    ("dpa_id", "of_article_8", "counts"),
    [
        ("dpa_2025_01_15", (DeadlineBinding.NO_NUMBER, None), ("data_protection_failure", DeadlineBinding.SOFT)),
        ("dpa_2025_10", (DeadlineBinding.HARD, 172_800), ("personal_data_breach", DeadlineBinding.HARD)),
        ("dpa_2026_01_09", (DeadlineBinding.NO_NUMBER, None), ("data_protection_failure", DeadlineBinding.SOFT)),
    ],
)
def test_each_dpa_says_how_strictly_its_articles_bind(dpa_id, of_article_8, counts):
    dpa = bundled_dpas()[dpa_id]
    seventh, eighth = dpa.deadlines["data_protection_failure"], dpa.deadlines["personal_data_breach"]
    assert (seventh.binding, seventh.seconds, seventh.clause) == (DeadlineBinding.SOFT, 172_800, "DPA 7")
    assert (eighth.binding, eighth.seconds) == of_article_8
    terms = bound_terms(bundled_agreements()["secnumcloud_iaas_3_0"].own, dpa)
    level = terms.level("personal_data_customer_controller")
    assert (level.deadline, terms.deadlines[level.deadline].binding) == counts


def test_the_other_notices_of_the_second_agreement():
    kinds = {kind.id: kind for kind in bundled_agreements()["secnumcloud_2026"].notices}
    assert [item.id for item in kinds["planned_work"].items if item.mandatory] == [
        "nature", "planned_times", "impact_and_residual_risk", "mitigation", "responsible_contact",
    ]  # fmt: skip
    change = kinds["subcontractor_change"].lead
    assert (change.days, change.day_count, change.binding) == (30, DayCount.CALENDAR, DeadlineBinding.HARD)
    assert (kinds["non_european_law_protection"].after.months, kinds["end_of_contract"].lead.days) == (1, 21)
    assert kinds["loss_of_qualification"].channels == (NoticeChannel.REGISTERED_LETTER,)
    assert kinds["third_party_access"].consent_first
    assert kinds["planned_work"].lead.binding is DeadlineBinding.NO_NUMBER


def test_retention_and_support_hours():
    first, second = (bundled_agreements()[each] for each in ("secnumcloud_iaas_3_0", "secnumcloud_2026"))
    # The text of version 3.0 names no retention.
    assert first.retention == ()
    assert {each.id: (each.clause, each.months) for each in second.retention} == {
        "event_logs": ("9.3", 6), "console_activity_logs": ("9.3", 18), "contact_data": ("9.3", 60),
        "contracts": ("9.3", 120),
    }  # fmt: skip
    for found, clause, until in ((first, "7.6.2", 18), (second, "3.9.2", 19)):
        hours = found.support_hours
        assert (hours.clause, hours.from_at.hour, hours.until_at.hour) == (clause, 8, until)
    of_paas = bound_terms(second, bundled_dpas()["dpa_2026_01_09"], frozenset({"paas"}))
    assert of_paas.support_hours is None


def test_the_precedence_of_the_documents():
    first, second = (bundled_agreements()[each] for each in ("secnumcloud_iaas_3_0", "secnumcloud_2026"))
    assert [each.id for each in first.documents] == [
        "general_terms", "iaas_agreement", "open_iaas_agreement", "paas_agreement", "bare_metal_agreement",
        "special_agreement", "pas", "particular_conditions", "dpa",
    ]  # fmt: skip
    assert [each.id for each in second.documents] == ["general_terms", "service_agreement", "pas", "dpa"]


# -- version 1 of the schema

OF_VERSION_1 = parse_agreement(VERSION_1.read_bytes(), "secnumcloud_iaas_3_0.toml")
PRESENT = bundled_agreements()["secnumcloud_iaas_3_0"]
#: The deadline was one text of two articles; the DPA is a document of its own now, and adds a level.
_ADDED = "data_protection_failure"


def test_a_file_of_version_1_says_what_it_said():
    assert (OF_VERSION_1.products, OF_VERSION_1.dpa, OF_VERSION_1.validity) == ((), None, None)
    deadline = OF_VERSION_1.deadlines[OF_VERSION_1.level("personal_data_customer_controller").deadline]
    assert (deadline.seconds, deadline.binding, deadline.clause) == (172_800, DeadlineBinding.SOFT, "DPA 7, DPA 8")
    fields = ("id", "version", "dated_on", "title", "definitions", "impacts", "criticalities", "priorities", "matrix")
    for name in fields:
        assert getattr(OF_VERSION_1, name) == getattr(PRESENT, name), name


@settings(max_examples=200, deadline=None)
@given(incident_facts, customers, profiles)
def test_a_file_of_version_1_gives_the_same_decisions(facts, customer, chosen):
    then, now = classify(facts, OF_VERSION_1), classify(facts, PRESENT)
    assert then == now
    of_rule = {stated.personal_data.breach.value for stated in facts.affected_customers} & {
        "rule_suspected",
        "rule_broken",
    }
    if of_rule:
        return
    old, new = (
        decide(facts, each, agreement, customer, chosen) for each, agreement in ((then, OF_VERSION_1), (now, PRESENT))
    )
    for name in ("verdict", "nature", "priority", "due_at", "due_kind", "binding", "target_at", "missing"):
        assert getattr(old, name) == getattr(new, name), name
    # The version 1 file names no clause for the choice of levels by its role.
    assert [(reason.id, reason.holds, reason.message) for reason in old.reasons] == [
        (reason.id, reason.holds, reason.message) for reason in new.reasons if reason.id != _ADDED
    ]
