"""What somebody finds who looks around after the story: more customers, a closed incident, an open one with drafts."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any

import httpx2

from notifications.errors import GreffierError
from service.cli.demo.customers import AGREEMENT, demo_incident

#: The incident that is open: files of customers were read, so that several of them are owed a notice.
_OPEN = "okta-support-2023"
_AWARE_BEFORE = timedelta(minutes=25)
#: (name, language, time zone, day from which the agreement applies, contacts, services); all fictitious
_MORE: tuple[tuple[str, str, str, str, tuple[tuple[str, str], ...], tuple[str, ...]], ...] = (
    ("Académie de Rochebrune", "fr", "Europe/Paris", "2025-03-01",
     (("RSSI", "rssi@ac-rochebrune.example"), ("Astreinte", "astreinte@ac-rochebrune.example")), ()),
    ("Département du Val-Doré", "fr", "Europe/Paris", "2025-09-01", (("DSI", "dsi@val-dore.example"),), ("identity",)),
    ("Mutuelle Océane", "fr", "Indian/Reunion", "2026-01-01", (("RSSI", "rssi@mutuelle-oceane.example"),), ()),
    ("Kreiskrankenhaus Birkenfelde", "de", "Europe/Berlin", "2025-06-15",
     (("IT-Sicherheit", "it-sicherheit@kkh-birkenfelde.example"),), ()),
    ("Landesarchiv Nordmark", "de", "Europe/Berlin", "2026-02-01", (("Leitstelle", "leitstelle@la-nordmark.example"),),
     ("object-storage",)),
    ("Eidgenössisches Vermessungsinstitut", "de", "Europe/Zurich", "2025-11-01",
     (("CERT", "cert@vermessung.example"),), ()),
    ("Northgate Rail Signalling", "en", "Europe/London", "2025-04-01", (("Control", "noc@northgate-rail.example"),),
     ()),
    # Nobody can be notified here: the lists say so.
    ("Port autonome de Kerlann", "fr", "Europe/Paris", "2026-05-01", (), ()),
)  # fmt: skip


class FirstLookError(GreffierError):
    """A part of the demo's data could not be made."""


async def prepare_first_look(api: httpx2.AsyncClient, now: datetime) -> None:
    """Register more customers, close the incident of the story, and declare another that waits for its release."""
    listed = (await _done(api.get("/customers")))["items"]
    told = (await _done(api.get("/incidents")))["items"][0]
    for name, language, zone, since, contacts, services in _MORE:
        body = {
            "name": name,
            "language": language,
            "time_zone": zone,
            "services": services,
            "agreement": {"agreement_id": AGREEMENT, "effective_at": f"{since}T00:00:00Z"},
        }
        customer = await _done(api.post("/customers", json=body))
        for order, (who, email) in enumerate(contacts, 1):
            contact = {"name": who, "email": email, "language": language, "order": order, "address_confirmed": True}
            await _done(api.post(f"/customers/{customer['id']}/contacts", json=contact))
    # A last notice tells customers of the end.
    closed = await _done(api.post(f"/incidents/{told['id']}/close", headers={"If-Match": "*"}))
    await _done(api.post(f"/incidents/{told['id']}/release", headers={"If-Match": f'"{closed["version"]}"'}))
    ids = {key: item["id"] for key, item in zip("abc", listed, strict=False)}
    facts, _ = demo_incident(ids, now, slug=_OPEN, aware_before=_AWARE_BEFORE)
    await _done(api.post("/incidents", json=facts, headers={"Idempotency-Key": "demo-declare-2"}))


async def _done(request: Awaitable[httpx2.Response]) -> dict[str, Any]:
    response = await request
    if response.is_error:
        raise FirstLookError(f"{response.request.method} {response.request.url.path}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer
