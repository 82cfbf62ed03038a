"""The names of the people at the provider who worked on an incident."""

from collections.abc import Iterable
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from notifications.incident import Incident
from notifications.notice import Notice
from service.ports.store import AccessTransaction
from service.web.api.fields import Out
from service.web.api.requests import MayReadIncidents, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/incidents", tags=["incidents"])

_ACCOUNT = "account:"


class PersonOut(Out):
    """Somebody who worked on an incident."""

    actor: str = Field(description="As notices and the log name it.")
    name: str


class People(Out):
    """Who worked on an incident."""

    items: list[PersonOut]


def names_of(tx: AccessTransaction, actors: Iterable[str | None]) -> dict[str, str]:
    """Return the names of accounts, by their name in the log; an actor that is no account has none."""
    names = {}
    for actor in dict.fromkeys(actors):
        if actor is not None and actor.startswith(_ACCOUNT):
            account = tx.accounts.get(UUID(actor.removeprefix(_ACCOUNT)))
            if account is not None:
                names[actor] = account.name
    return names


def people_of_incident(tx: AccessTransaction, incident_id: UUID) -> dict[str, str]:
    """Return the names of those who declared an incident, and wrote, released or reviewed its notices."""
    return people_of(tx, tx.incidents.require(incident_id), tx.notices.of_incident(incident_id))


def people_of(tx: AccessTransaction, incident: Incident, notices: Iterable[Notice]) -> dict[str, str]:
    """As ``people_of_incident``, with the notices of the incident where they were read already."""
    actors = [
        actor
        for notice in notices
        for actor in (notice.created_by, notice.drafted_by, notice.released_by, notice.override_reviewed_by)
    ]
    return names_of(tx, [incident.opened_by, *actors])


@router.get("/{incident_id}/people", response_model=People, summary="Who worked on an incident")
async def read_people(access: MayReadIncidents, incident_id: UUID) -> Response:
    """Return the names of those who declared the incident, and wrote, released or reviewed its notices."""
    names = await access.read(lambda tx: people_of_incident(tx, incident_id))
    return json_response(
        People.model_construct(
            items=[PersonOut.model_construct(actor=actor, name=name) for actor, name in names.items()]
        )
    )
