"""Prepared statements on the pages that state facts: chosen, filled in, added in every language, without JavaScript."""

import html
import re
from datetime import UTC, datetime

import pytest

from notifications.wording.statements import bundled_statements
from service.ports.accounts import Role
from service.web.console.facts_form import Fields
from service.web.console.statement_picker import StatementRefusedError, statement_picker, with_statement
from support.people import browser, person
from support.scenario import declare

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
FIRE = {"statement": ["datacenter_fire"], "statement.place": ["fr1-b"], "statement.service": ["Calcul <b>"]}


def text_of(page, name):
    """Return what a text field of a page holds."""
    return html.unescape(
        re.search(rf'<textarea id="{re.escape(name)}"[^>]*>\n(.*?)</textarea>', page, re.DOTALL).group(1)
    )


def test_it_goes_below_what_is_typed_in_every_language():
    fields = with_statement(Fields(FIRE | {"summary.fr": ["Déjà là."]}), bundled_statements(), NOW)
    assert fields["summary.fr"].startswith("Déjà là.\nUn incendie s'est déclaré dans le centre de données fr1-b.")
    assert fields["summary.en"] == (
        "A fire broke out in the datacenter fr1-b. The fire brigade has closed the site. Calcul <b> is down there."
    )
    assert fields["summary.de"].startswith("Im Rechenzentrum fr1-b")
    assert fields["statement"] == ""
    assert fields["statement.place"] == "fr1-b"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"statement": []}, "statements.wrong.choose"),
        ({"statement": ["identity_theft"]}, "statements.wrong.choose"),
        ({"statement.place": []}, "statements.wrong.place"),
        ({"statement": ["service_unavailable"]}, "statements.wrong.since"),
        ({"statement": ["service_unavailable"], "statement.since": ["soon"]}, "facts.wrong.moment"),
    ],
)
def test_what_is_missing_is_named(changes, key):
    with pytest.raises(StatementRefusedError) as refused:
        with_statement(Fields(FIRE | changes), bundled_statements(), NOW)
    assert refused.value.worded[0] == key


def test_facts_that_are_stated_already_are_suggested():
    fields = Fields({"services": ["compute"], "availability_zones": ["fr1-b"], "started_at": ["2026-11-29T01:40"]})
    picker = statement_picker(fields, bundled_statements(), "fr")
    assert picker.values["service"] == "compute"
    assert picker.values["place"] == "fr1-b"
    assert picker.values["since"] == "2026-11-29T01:40"
    assert sum(map(len, picker.groups.values())) == 60
    assert all("{" not in option.said for options in picker.groups.values() for option in options)


async def test_an_analyst_adds_statements_while_declaring_and_loses_nothing(running):
    ada = await person(running, "Ada", (Role.ANALYST, None), language="fr")
    async with browser(running, ada) as pages:
        assert "Phrases préparées" in (await pages.get("/incidents/new")).text
        typed = {"title.fr": "Feu <i>", "statement": "datacenter_fire", "statement.place": "SBG2", "insert": "yes"}
        refused = await pages.post("/incidents/new/consequence", data=ada.form(**typed))
        assert refused.status_code == 422
        assert "Indiquez le service." in refused.text
        assert 'value="SBG2"' in refused.text
        added = await pages.post("/incidents/new/consequence", data=ada.form(**typed | {"statement.service": "Calcul"}))
    assert added.status_code == 200
    assert text_of(added.text, "summary.de").startswith("Im Rechenzentrum SBG2 ist ein Brand ausgebrochen.")
    assert 'value="Feu &lt;i&gt;"' in added.text


async def test_they_are_added_to_the_facts_of_an_incident_without_changing_it(running, api):
    incident = await declare(api)
    ada = await person(running, "Ada", (Role.ANALYST, None))
    path = f"/incidents/{incident['id']}/facts/change"
    async with browser(running, ada) as pages:
        form = ada.form(version="1", insert="yes", statement="systems_isolated") | {"measures_taken.en": "Before."}
        shown = await pages.post(path, data=form)
        refused = await pages.post(path, data=form | {"statement": "none of ours"})
    assert text_of(shown.text, "measures_taken.en") == "Before.\nThe systems concerned are isolated from the network."
    assert (refused.status_code, "Choose a statement." in refused.text) == (422, True)
    assert (await api.get(f"/incidents/{incident['id']}")).json()["version"] == 1
