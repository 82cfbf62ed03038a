"""Three fictitious customers, and the real public incident that the demo declares."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.cli.demo.public_incidents import PublicIncident, load_public_incidents

AGREEMENT = "secnumcloud_iaas_3_0"
#: The real incident of the story.
SLUG = "cloudbleed-2017"
#: Time between the provider's awareness and the start of the story.
_AWARE_BEFORE = timedelta(minutes=12)

#: (key in the incident's facts, customer as registered, contacts, description of the chosen levels)
CUSTOMERS: tuple[tuple[str, dict[str, Any], list[dict[str, Any]], str], ...] = (
    (
        "a",
        {
            "name": "Centre hospitalier de Valmont",
            "language": "fr",
            "time_zone": "Europe/Paris",
            "agreement": {"agreement_id": AGREEMENT, "effective_at": "2025-02-01T00:00:00+01:00"},
        },
        [
            {
                "name": "RSSI",
                "role": "security",
                "email": "rssi@ch-valmont.example",
                "language": "fr",
                "order": 1,
                "address_confirmed": True,
            },
            {
                "name": "DPO",
                "role": "dpo",
                "email": "dpo@ch-valmont.example",
                "language": "fr",
                "order": 2,
                "address_confirmed": True,
            },
        ],
        "default levels",
    ),
    (
        "b",
        {
            "name": "Stadtwerke Lindenau GmbH",
            "language": "de",
            "time_zone": "Europe/Berlin",
            "agreement": {"agreement_id": AGREEMENT, "effective_at": "2025-06-15T00:00:00+02:00"},
            "profile": {"choices": [{}]},
        },
        [
            {
                "name": "CERT",
                "role": "security",
                "email": "cert@sw-lindenau.example",
                "language": "de",
                "order": 1,
                "address_confirmed": True,
            },
            {
                "name": "Group SOC",
                "role": "security",
                "email": "soc@lindenau.example",
                "language": "en",
                "order": 2,
                "address_confirmed": True,
            },
        ],
        "every security incident",
    ),
    (
        "c",
        {
            "name": "Harbour Survey Agency",
            "language": "en",
            "time_zone": "Europe/Dublin",
            "agreement": {"agreement_id": AGREEMENT, "effective_at": "2025-09-01T00:00:00+01:00"},
            "profile": {"choices": [{"impacts": ["I1"]}]},
        },
        [
            {
                "name": "Duty officer",
                "role": "operations",
                "email": "duty@harbour-survey.example",
                "language": "en",
                "address_confirmed": True,
            }
        ],
        "interruptions only (I1)",
    ),
)

_TIMES = ("started_at", "detected_at", "aware_at", "ended_at", "next_update_by")


def demo_incident(
    customer_ids: dict[str, str], now: datetime, *, slug: str = SLUG, aware_before: timedelta = _AWARE_BEFORE
) -> tuple[dict[str, Any], PublicIncident]:
    """Return a real incident's facts as if it happened tonight: all times shifted, with our customers."""
    ids = {key: UUID(identifier) for key, identifier in customer_ids.items()}
    incident = next(item for item in load_public_incidents(ids) if item.slug == slug)
    facts = dict(incident.facts)
    shift = now - aware_before - datetime.fromisoformat(facts["aware_at"])
    for name in _TIMES:
        if facts.get(name) is not None:
            facts[name] = (datetime.fromisoformat(facts[name]) + shift).isoformat()
    return facts, incident
