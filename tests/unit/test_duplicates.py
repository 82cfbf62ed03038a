"""Incidents that may be the same: the same service at the same time, or similar words in the title."""

from datetime import timedelta

import pytest

from notifications.incident import IncidentState, Likeness, LocalizedText, possible_duplicates, title_similarity
from support.records import NOW, make_facts, make_incident

BEFORE = NOW - timedelta(hours=1)


def facts(title="Disk failure", **changes):
    stated = {
        "title": LocalizedText.of({"en": title}),
        "services": (),
        "regions": (),
        "availability_zones": (),
        "aware_at": BEFORE,
        "detected_at": None,
        "started_at": None,
        "ended_at": None,
    }
    return make_facts(**stated | changes)


def likenesses(new, known, **incident):
    found = possible_duplicates(new, [make_incident(facts=known, **incident)])
    return found[0].likenesses if found else ()


@pytest.mark.parametrize(
    ("one", "other", "similar"),
    [
        ({"en": "Fire in the datacenter SBG2"}, {"en": "fire, in datacenter sbg2!"}, True),
        ({"en": "Failure of a switch in hall 7"}, {"en": "Switch failure in hall 7"}, True),
        ({"fr": "Panne électrique à Strasbourg"}, {"fr": "PANNE ELECTRIQUE A STRASBOURG"}, True),
        ({"en": "Fire in the datacenter SBG2"}, {"en": "Memory disclosure by the load balancer"}, False),
        # Without a language in common, names still agree.
        ({"fr": "Incendie SBG2"}, {"de": "Incendie SBG2"}, True),
        # One language in common counts alone.
        ({"fr": "Incendie", "en": "Fire"}, {"fr": "Fuite", "en": "Leak"}, False),
        ({"en": "!!!"}, {"en": "???"}, False),
    ],
)
def test_titles_are_compared_by_their_words(one, other, similar):
    first, second = LocalizedText.of(one), LocalizedText.of(other)
    assert (title_similarity(first, second) >= 0.5) is similar
    assert title_similarity(first, second) == title_similarity(second, first)


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ({"services": ("dns",)}, {"services": ("dns", "vpn")}, True),
        ({"services": ("dns",)}, {"services": ("vpn",)}, False),
        ({"services": ("dns",)}, {}, False),
        ({"services": ("dns",), "regions": ("sbg",)}, {"services": ("dns",), "regions": ("gra",)}, False),
        ({"services": ("dns",), "regions": ("sbg",)}, {"services": ("dns",)}, True),
    ],
)
def test_the_same_place_is_a_service_in_common_and_nothing_that_keeps_them_apart(here, there, same):
    found = likenesses(facts("Slow answers", **here), facts("Memory disclosed", **there))
    assert (Likeness.SAME_PLACE_AND_TIME in found) is same


@pytest.mark.parametrize(
    ("known", "same"),
    [
        ({"aware_at": BEFORE - timedelta(days=9)}, True),
        ({"aware_at": BEFORE - timedelta(days=9), "ended_at": BEFORE - timedelta(days=8)}, False),
        ({"aware_at": BEFORE - timedelta(days=9), "ended_at": BEFORE - timedelta(hours=11)}, True),
    ],
)
def test_an_incident_that_was_over_before_is_another_one(known, same):
    assert bool(likenesses(facts(), facts(**known))) is same


def test_a_closed_incident_was_over_when_it_was_closed():
    known = facts(aware_at=BEFORE - timedelta(days=9))
    closed = {"state": IncidentState.CLOSED, "closed_at": BEFORE - timedelta(days=7)}
    assert likenesses(facts(), known, **closed) == ()


def test_the_most_similar_come_first_and_no_more_than_ten():
    known = [make_incident(facts=facts(f"Disk failure {number}")) for number in range(14)]
    exact = make_incident(facts=facts("Disk failure"))
    found = possible_duplicates(facts(), [*known, exact])
    assert len(found) == 10
    assert found[0].incident == exact
