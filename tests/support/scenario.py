"""An analyst's requests to the API: register a customer, declare, change and release an incident, list notices.

Use it in every test that needs customers or incidents and has an HTTP client. It starts no service and has no state.
``world`` and ``desk`` are built on it.
"""

from datetime import UTC, datetime, timedelta

AGREEMENT_ID = "secnumcloud_iaas_3_0"
NO_HARM = dict.fromkeys(("availability", "integrity", "confidentiality", "traceability"), "no")
#: Everything is established and nothing is harmed; a test changes the facts that it is about.
KNOWN = {
    "title": {"en": "Load balancer fault", "fr": "Défaut du répartiteur", "de": "Fehler im Lastverteiler"},
    "summary": {"en": "Something happened.", "fr": "Il s'est passé quelque chose.", "de": "Etwas ist geschehen."},
    "inside_perimeter": "yes",
    "intent": "accidental",
    "cause": "bug",
    "service_harm": NO_HARM,
    "security_measures_harmed": "no",
    "normal_operation_disrupted": "no",
    "impact": "I3",
    "criticality": "C3",
    "unlisted_customers": "not_affected",
}


def ago(**span):
    """Return a past moment, in the format of the API."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def facts(**changes):
    """Return established facts with some of them changed; aware ten minutes ago."""
    return KNOWN | {"aware_at": ago(minutes=10)} | changes


def harm(**changes):
    """Return harm to the named properties only."""
    return NO_HARM | changes


def affected(customer, **changes):
    """Return a customer's entry without harm and breach except the given ones."""
    return {
        "customer_id": customer["id"],
        "affected": "yes",
        "data_harm": NO_HARM,
        "personal_data": {"breach": "no"},
    } | changes


async def ok(response):
    """Return the JSON of a response, which must be a success."""
    answer = await response
    assert answer.is_success, f"{answer.status_code} {answer.text}"
    return answer.json()


async def customer(api, name="Hôpital de Valmont", contacts=(("rssi@valmont.example", "fr"),), **changes):
    """Register a customer with contacts; returns it."""
    body = {
        "name": name,
        "agreement": {"agreement_id": AGREEMENT_ID, "effective_at": "2025-02-01T00:00:00+01:00"},
    } | changes
    registered = await ok(api.post("/customers", json=body))
    for order, (email, language) in enumerate(contacts, 1):
        contact = {"name": email.split("@")[0], "email": email, "language": language, "order": order}
        contact["address_confirmed"] = True
        await ok(api.post(f"/customers/{registered['id']}/contacts", json=contact))
    return registered


async def declare(api, **changes):
    """Declare an incident."""
    return await ok(api.post("/incidents", json=facts(**changes)))


async def change(api, incident, **changes):
    """Change facts of an incident."""
    match = {"If-Match": f'"{incident["version"]}"'}
    return await ok(api.patch(f"/incidents/{incident['id']}/facts", json=changes, headers=match))


async def release(api, incident):
    """Release every draft of an incident; returns the notices."""
    match = {"If-Match": f'"{incident["version"]}"'}
    return (await ok(api.post(f"/incidents/{incident['id']}/release", headers=match)))["items"]


async def assessment(api, incident, of):
    """Return the decision for one customer."""
    return await ok(api.get(f"/incidents/{incident['id']}/assessments/{of['id']}"))


async def notices(api, incident):
    """Return every notice of an incident."""
    return (await ok(api.get(f"/incidents/{incident['id']}/notices")))["items"]


async def all_sent(api, notices):
    """Return whether each of these notices has deliveries, and all of them were accepted and recorded."""
    lists = [(await ok(api.get(f"/notices/{item['id']}/deliveries")))["items"] for item in notices]
    return all(items and all(item["state"] == "sent" for item in items) for items in lists)
