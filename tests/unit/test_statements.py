"""Prepared statements: complete in every language, found by any of their words, filled in without surprises."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.errors import InvalidInputError
from notifications.incident import LANGUAGES
from notifications.wording.statements import (
    MOMENTS,
    NAMES,
    StatementPart,
    bundled_statements,
    found_statements,
    parse_statements,
    with_own,
)

STATEMENTS = bundled_statements()
AT = datetime(2026, 11, 28, 22, 40, tzinfo=UTC)
VALUES = dict.fromkeys(NAMES, "st-07") | dict.fromkeys(MOMENTS, AT)
OWN = """
[[statement]]
id = "badge_lost"
part = "summary"
en = "A badge for {place} was lost."
fr = "Un badge pour {place} a été perdu."
de = "Ein Ausweis für {place} ging verloren."
"""


def by_id(identifier):
    return next(statement for statement in STATEMENTS if statement.id == identifier)


def test_each_text_of_the_facts_has_several():
    for part in StatementPart:
        assert len(found_statements(STATEMENTS, "", part)) >= 8
    assert len(STATEMENTS) >= 60


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.id)
def test_each_is_filled_in_every_language_and_nothing_is_left_open(statement):
    texts = statement.filled(VALUES).as_mapping()
    assert set(texts) == set(LANGUAGES)
    assert len(set(texts.values())) == len(LANGUAGES)
    for text in texts.values():
        assert "{" not in text
        assert text[0].isupper() or text.startswith("st-07")
        assert text.endswith(".")
        assert ("st-07" in text) == bool(NAMES & set(statement.placeholders))


def test_moments_are_written_in_the_language_and_zone_of_the_reader():
    texts = by_id("service_unavailable").filled(VALUES, "Europe/Paris").as_mapping()
    assert "28 novembre 2026 à 23:40 Europe/Paris (2026-11-28 22:40 UTC)" in texts["fr"]
    assert "28. November 2026, 23:40 Uhr" in texts["de"]
    assert "28 November 2026, 23:40" in texts["en"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"since": AT}, "service"),
        ({"service": "", "since": AT}, "service"),
        ({"service": "two\nlines", "since": AT}, "service"),
        ({"service": "x" * 201, "since": AT}, "service"),
        ({"service": "right\u202eleft", "since": AT}, "service"),
        ({"service": AT, "since": AT}, "service"),
        ({"service": "mail"}, "since"),
        ({"service": "mail", "since": "yesterday"}, "since"),
        ({"service": "mail", "since": AT.replace(tzinfo=None)}, "since"),
    ],
)
def test_a_value_that_cannot_be_said_is_refused_by_its_name(values, field):
    with pytest.raises(InvalidInputError) as refused:
        by_id("service_unavailable").filled(values)
    assert [fault.field for fault in refused.value.faults] == [field]


@given(st.text(min_size=1, max_size=50))
def test_what_is_filled_in_is_text_and_never_another_placeholder(name):
    try:
        texts = by_id("intrusion").filled({"system": name}).as_mapping()
    except InvalidInputError:
        return
    assert all(name in text for text in texts.values())


def test_a_name_in_braces_is_a_name():
    assert "{since}" in by_id("intrusion").filled({"system": "{since}"}).as_mapping()["en"]


@pytest.mark.parametrize(
    ("query", "identifier"),
    [
        ("fire", "datacenter_fire"),
        ("incendie", "datacenter_fire"),
        ("BRAND", "datacenter_fire"),
        ("rancongiciel", "ransomware"),
        ("verschlüss", "ransomware"),
        ("Schlussel ersetzt", "keys_replaced"),
        ("stolen_signing", "stolen_signing_key"),
        ("bgp", "route_leak"),
    ],
)
def test_a_statement_is_found_by_words_of_any_language_without_accents(query, identifier):
    assert identifier in [statement.id for statement in found_statements(STATEMENTS, query)]


def test_every_word_of_the_query_counts():
    assert not found_statements(STATEMENTS, "fire rançongiciel phishing")
    assert found_statements(STATEMENTS, "   ") == STATEMENTS
    assert not found_statements(STATEMENTS, "fire", StatementPart.NOT_KNOWN_YET)


def test_the_public_incidents_find_their_words():
    # One word or two per incident that ships, as an analyst would type them.
    for query in ("fire", "cooling", "removed", "open bucket", "memory", "ransomware", "update", "network", "ddos",
                  "deleted", "support", "signing key", "bgp", "phishing", "isolation", "credentials"):  # fmt: skip
        assert found_statements(STATEMENTS, query, StatementPart.SUMMARY), query


def test_own_statements_come_first_and_replace_those_of_the_same_id():
    own = parse_statements(OWN, "own.toml")
    assert [statement.id for statement in with_own(own)][:2] == ["badge_lost", STATEMENTS[0].id]
    replaced = with_own(parse_statements(OWN.replace("badge_lost", "ransomware"), "own.toml"))
    assert len(replaced) == len(STATEMENTS)
    assert replaced[0].texts["en"] == "A badge for {place} was lost."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[[statement]]", "[statement]"), "must have tables [[statement]]"),
        (("de = ", "es = "), "has no de"),
        (("de = ", "es = "), "unknown key es"),
        (('"summary"', '"title"'), "part must be one of summary"),
        (('"badge_lost"', '"Badge lost"'), "id must be lower-case"),
        (("für {place}", "für {system}"), "de has other placeholders"),
        (("{place}", "{ticket}"), "placeholder ticket is not known"),
        (("A badge", "A {badge"), "brace"),
        (('"A badge for {place} was lost."', "7"), "en must be a text"),
        (('"A badge for {place} was lost."', '"  "'), "en must have 1 to"),
        (('id = "badge_lost"', "id = "), "is no TOML"),
    ],
)
def test_a_file_with_a_fault_is_refused_with_file_statement_and_reason(change, said):
    with pytest.raises(InvalidInputError) as refused:
        parse_statements(OWN.replace(*change), "own.toml")
    assert any(said in fault.reason and fault.field.startswith("own.toml") for fault in refused.value.faults)


def test_every_fault_of_a_file_is_named_at_once():
    with pytest.raises(InvalidInputError) as refused:
        parse_statements(OWN + OWN + OWN.replace("badge_lost", "other").replace('"summary"', '"x"'), "own.toml")
    assert [fault.field for fault in refused.value.faults] == ["own.toml: badge_lost", "own.toml: other"]
