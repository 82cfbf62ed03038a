"""Announcements for tests: the items of each kind, and requests to the API.

Use it in every test that declares an announcement; customers and sign-in come from ``scenario`` and ``world``.
"""

from datetime import UTC, datetime, timedelta

from support.commits import until
from support.scenario import customer, ok

V2 = "secnumcloud_2026"
ITEMS = {
    "planned_work": ("nature", "planned_times", "impact_and_residual_risk", "mitigation", "responsible_contact"),
    "capacity": ("limit", "effect"),
    "subcontractor_change": ("subcontractor", "task"),
    "non_european_law_protection": ("change",),
    "loss_of_qualification": ("fact", "right_to_terminate"),
    "third_party_access": ("third_party", "justification"),
    "unplanned_maintenance": ("nature", "times"),
    "end_of_contract": ("erasure_date", "certificate"),
}


def ahead(**span):
    """Return a moment to come, in the format of the API."""
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


def announced(kind="planned_work", **changes):
    """Return the body of an announcement with every item of its kind."""
    body = {
        "kind": kind,
        "title": {"en": "New storage controllers", "fr": "Nouveaux contrôleurs"},
        "text": {"en": "We replace the storage controllers.", "fr": "Nous remplaçons les contrôleurs."},
        "items": {
            item: {"en": f"Words on {item}", "fr": f"Texte sur {item}", "de": f"Text zu {item}"} for item in ITEMS[kind]
        },
        "occurs_at": ahead(days=40),
    }
    return body | changes


async def bound(api, name, address, agreement=V2, language="en", **binding):
    """Register a customer under an agreement, with one contact."""
    stated = {"agreement_id": agreement, "effective_at": "2026-05-01T00:00:00+02:00"} | binding
    return await customer(api, name, contacts=((address, language),), agreement=stated)


async def announce(api, kind="planned_work", **changes):
    """Declare an announcement; returns it."""
    return await ok(api.post("/announcements", json=announced(kind, **changes)))


async def act_on(api, announcement, act, body=None):
    """Return the response to an act on an announcement at the version that was read."""
    match = {"If-Match": f'"{announcement["version"]}"'}
    return await api.post(f"/announcements/{announcement['id']}/{act}", json=body, headers=match)


async def open_letter(running, api):
    """Return the open letter task, once there is one."""

    async def asked():
        return (await ok(api.get("/letters")))["items"]

    (letter,) = await until(running.parts.store, asked)
    return letter


async def released(api, announcement):
    """Release every draft; returns the notices."""
    return (await ok(act_on(api, announcement, "release")))["items"]
