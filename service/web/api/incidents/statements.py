"""Prepared statements: found by words, filled with names and moments, in every language at once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError, NotFoundError
from notifications.time_zones import time_zone
from notifications.wording.statements import MOMENTS, Statement, StatementPart, found_statements
from service.web.api.fields import Line, Moment, Out, Schema
from service.web.api.requests import Context, IdempotencyKey, MayReadIncidents, inspect_request, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/statements", tags=["incidents"])


class PlaceholderOut(Out):
    """A value that a statement needs."""

    name: str
    kind: str = Field(description="`name`: the same in every language. `moment`: written as each language writes it.")


class StatementOut(Out):
    """A prepared statement."""

    id: str
    part: StatementPart = Field(description="The text of the facts that it is for.")
    texts: dict[str, str] = Field(description="Language to text, with placeholders in braces.")
    placeholders: list[PlaceholderOut]


class StatementList(Out):
    """Statements, the installation's own first."""

    items: list[StatementOut]


class StatementValues(Schema):
    """What a statement is filled with."""

    names: dict[str, Line] = Field(default_factory=dict, examples=[{"service": "Object storage"}])
    moments: dict[str, Moment] = Field(default_factory=dict, examples=[{"since": "2026-11-29T01:40:00Z"}])
    time_zone: str = Field(default="UTC", max_length=64, description="Zone in which moments are written.")


class StatementText(Out):
    """A filled statement, as a text of the facts takes it."""

    part: StatementPart
    texts: dict[str, str]


def statement_named(statements: Sequence[Statement], statement_id: str) -> Statement:
    """Return a statement by its id; raises NotFoundError."""
    for statement in statements:
        if statement.id == statement_id:
            return statement
    raise NotFoundError("statement", statement_id)


@router.get("", response_model=StatementList, summary="Find prepared statements")
async def list_statements(
    context: Context,
    access: MayReadIncidents,
    q: Annotated[str, Query(max_length=200, description="Words, in any language, with or without accents.")] = "",
    part: StatementPart | None = None,
) -> Response:
    """Return the statements that have every word."""
    await access.trace()
    items = [_out(statement) for statement in found_statements(context.statements, q, part)]
    return json_response(StatementList.model_construct(items=items))


@router.post("/{statement_id}/text", response_model=StatementText, summary="Fill a prepared statement")
async def fill(
    request: Request,
    context: Context,
    access: MayReadIncidents,
    statement_id: str,
    stated: StatementValues,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Return its text in every language. Nothing is recorded: put the text into the facts."""
    statement = statement_named(context.statements, statement_id)
    if not _is_zone(stated.time_zone):
        raise InvalidInputError(Fault("time_zone", "is no IANA time zone"))
    values: dict[str, str | datetime] = {**stated.names, **stated.moments}
    texts = statement.filled(values, stated.time_zone).as_mapping()
    result = StatementText.model_construct(part=statement.part, texts=texts)
    return await inspect_request(request, access, idempotency_key, lambda _tx: result)


def _is_zone(name: str) -> bool:
    try:
        time_zone(name)
    except LookupError:
        return False
    return True


def _out(statement: Statement) -> StatementOut:
    placeholders = [
        PlaceholderOut.model_construct(name=name, kind="moment" if name in MOMENTS else "name")
        for name in statement.placeholders
    ]
    return StatementOut.model_construct(
        id=statement.id, part=statement.part, texts=dict(statement.texts), placeholders=placeholders
    )
