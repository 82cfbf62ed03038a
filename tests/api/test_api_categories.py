"""Categories of data subjects and of records over HTTP: by language, and as the plain strings of earlier clients."""

import re

import pytest
from test_api_bad_input import is_problem

from support import scenario
from support.scenario import affected, ok

TEXTS = {
    "categories_of_data_subjects": [
        {"fr": "utilisateurs du site", "en": "users of the web site", "de": "Nutzer der Website"},
        "patients",
    ],
    "categories_of_records": [{"en": "cookies"}],
}


def breach(customer, **stated):
    data = {"breach": "confirmed", "controller": "customer"} | stated
    return scenario.facts(affected_customers=[affected(customer, personal_data=data)])


async def test_both_forms_come_back_as_they_were_stated(api):
    one = await scenario.customer(api)
    made = await ok(api.post("/incidents", json=breach(one, **TEXTS)))
    (own,) = made["facts"]["affected_customers"]
    assert {name: own["personal_data"][name] for name in TEXTS} == TEXTS
    (notice,) = (await ok(api.get(f"/incidents/{made['id']}/notices")))["items"]
    for language, said, foreign in (
        ("fr", "utilisateurs du site, patients", "cookies [texte en anglais]"),
        ("de", "Nutzer der Website, patients", "cookies [Text auf Englisch]"),
        ("en", "users of the web site, patients", "cookies"),
    ):
        words = (await ok(api.get(f"/notices/{notice['id']}/preview", params={"language": language})))["text"]
        words = re.sub(r"\s+", " ", words)
        assert said in words
        assert foreign in words


@pytest.mark.parametrize(
    "categories", [[{}], [{"it": "pazienti"}], [{"fr": "a\nb"}], [{"fr": ["a"]}], [None], ["a", "a"], [""]]
)
async def test_what_is_no_category_is_named(api, categories):
    one = await scenario.customer(api)
    response = await api.post("/incidents", json=breach(one, categories_of_records=categories))
    is_problem(response, 422, "affected_customers.0.personal_data.categories_of_records")
