"""Agreements as data: levels, matrix, GTI and default levels, each with its clause."""

from pydantic import Field
from starlette.responses import Response

from notifications.agreement import Agreement, Definition, Level, Limb
from notifications.errors import NotFoundError
from notifications.use_cases.audit_context import as_json
from service.web.api.fields import Out
from service.web.api.requests import Context, MayReadAgreements, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/agreements", tags=["agreements"])


class ScaleLevelOut(Out):
    """A level of impact or criticality."""

    id: str
    clause: str
    text: dict[str, str]


class PriorityOut(Out):
    """A priority and its support commitment (8.3)."""

    id: str
    clause: str
    text: dict[str, str]
    gti_seconds: int = Field(description="Guaranteed time to first intervention, from the opening of the ticket.")
    target_percent: int


class LevelOut(Out):
    """A rule by which a customer is notified (11.1.1.2, 11.1.1.3)."""

    id: str
    clause: str
    text: dict[str, str]
    waivable: bool = Field(description="Whether a chosen profile takes its place.")
    deadline: str | None = Field(description="Id of the deadline it sets; null where the contract names none.")


class LimbOut(Out):
    """One limb of a definition."""

    id: str
    clause: str
    text: dict[str, str]


class DefinitionOut(Out):
    """The definition of one nature (3.2). Definitions are tried in this order; the first that holds is the nature."""

    nature: str
    clause: str
    title: dict[str, str]
    text: dict[str, str]
    limbs: list[LimbOut]
    exclusions: list[LimbOut]


class DeadlineOut(Out):
    """A deadline of a notice, counted from awareness."""

    id: str
    clause: str
    text: dict[str, str]
    seconds: int


class AgreementOut(Out):
    """An agreement version."""

    id: str
    version: str
    dated_on: str
    title: dict[str, str]
    definitions: list[DefinitionOut]
    impacts: list[ScaleLevelOut]
    criticalities: list[ScaleLevelOut]
    matrix: dict[str, dict[str, str]] = Field(description="Criticality to impact to priority (7.6.4).")
    priorities: list[PriorityOut]
    default_levels: list[LevelOut]
    plain_incident: LevelOut
    deadlines: list[DeadlineOut]
    legal_clocks: list[object] = Field(
        default_factory=list, deprecated=True, description="Always empty: legal duties are no part of an agreement."
    )
    four_eyes: bool = Field(description="Whether a person other than the last author must release notices.")
    four_eyes_clause: str | None = Field(description="The clause that says so; null where none does.")
    clauses: dict[str, dict[str, str]] = Field(description="Clause number to its plain wording, by language.")


class AgreementList(Out):
    """The agreement versions of this installation."""

    items: list[AgreementOut]
    reference_id: str = Field(description="The one by which the provider itself reads an incident.")


def _out(agreement: Agreement) -> AgreementOut:
    shape = {
        name: as_json(getattr(agreement, name))
        for name in (
            "id",
            "version",
            "title",
            "impacts",
            "criticalities",
            "priorities",
            "clauses",
            "four_eyes",
            "four_eyes_clause",
        )
    }
    levels = [_level(level) for level in (*agreement.default_levels, agreement.plain_incident)]
    return AgreementOut.model_validate(
        shape
        | {
            "dated_on": agreement.dated_on.isoformat(),
            "definitions": [_definition(definition) for definition in agreement.definitions],
            "matrix": {
                criticality: {impact: agreement.matrix[impact, criticality] for impact in agreement.impact_ids}
                for criticality in agreement.criticality_ids
            },
            "default_levels": levels[:-1],
            "plain_incident": levels[-1],
            "deadlines": [as_json(deadline) for deadline in agreement.deadlines.values()],
        }
    )


def _level(level: Level) -> LevelOut:
    return LevelOut(
        id=level.id,
        clause=level.clause,
        text=level.text.as_mapping(),
        waivable=level.waivable,
        deadline=level.deadline,
    )


def _limb(limb: Limb) -> LimbOut:
    return LimbOut(id=limb.id, clause=limb.clause, text=limb.text.as_mapping())


def _definition(definition: Definition) -> DefinitionOut:
    return DefinitionOut(
        nature=definition.nature,
        clause=definition.clause,
        title=definition.title.as_mapping(),
        text=definition.text.as_mapping(),
        limbs=[_limb(limb) for limb in definition.limbs],
        exclusions=[_limb(limb) for limb in definition.exclusions],
    )


@router.get("", response_model=AgreementList, summary="Agreement versions")
async def list_agreements(context: Context, access: MayReadAgreements) -> Response:
    """Return every agreement version of this installation."""
    await access.trace()
    agreements = context.agreements
    return json_response(
        AgreementList(
            items=[_out(agreement) for agreement in agreements.by_id.values()], reference_id=agreements.reference_id
        )
    )


@router.get("/{agreement_id}", response_model=AgreementOut, summary="Read an agreement version")
async def read(context: Context, access: MayReadAgreements, agreement_id: str) -> Response:
    """Return one agreement version: definitions, levels, matrix, GTI, default levels, clauses."""
    await access.trace()
    agreement = context.agreements.by_id.get(agreement_id)
    if agreement is None:
        raise NotFoundError("agreement", agreement_id)
    return json_response(_out(agreement))
