"""Agreements as data: levels, matrix, GTI and default levels, each with its clause."""

from dataclasses import replace

from starlette.responses import Response

from notifications.agreement import Agreement, Definition, Dpa, Level, Limb, Priority, ScaleLevel
from notifications.agreement.commitments import NoticeKind, Retention, ServiceLevel, SupportHours
from notifications.agreement.terms import Validity
from notifications.errors import NotFoundError
from notifications.use_cases.audit_context import as_json
from service.web.api.incidents.agreement_schemas import (
    AgreementList,
    AgreementOut,
    DefinitionOut,
    DpaOut,
    LevelOut,
    LimbOut,
    SupportHoursOut,
    ValidityOut,
)
from service.web.api.requests import Context, MayReadAgreements, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/agreements", tags=["agreements"])


def _out(agreement: Agreement) -> AgreementOut:
    shape = {
        name: as_json(getattr(agreement, name))
        for name in (
            "id",
            "version",
            "title",
            "clauses",
            "four_eyes",
            "four_eyes_clause",
            "references",
            "authoritative_language",
            "products",
            "documents",
            "doubts",
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
                if agreement.matrix
            },
            "default_levels": levels[:-1],
            "plain_incident": levels[-1],
            "deadlines": [as_json(deadline) for deadline in agreement.deadlines.values()],
            "clause_products": {number: sorted(held) for number, held in agreement.clause_products.items()},
            "validity": _validity(agreement.validity),
            "matrix_products": _sorted(agreement.matrix_products),
            "dpa_id": None if agreement.dpa is None else agreement.dpa.id,
            "dpa_periods": [
                {"dpa_id": period.dpa_id, "validity": _validity(period.validity)} for period in agreement.dpa_periods
            ],
            "support_hours": _support_hours(agreement.support_hours),
            "retention": [_part(each) for each in agreement.retention],
            "service_levels": [_part(each) for each in agreement.service_levels],
            "notices": [_part(each) for each in agreement.notices],
            "priorities": [_part(each) for each in agreement.priorities],
            "impacts": [_part(each) for each in agreement.impacts],
            "criticalities": [_part(each) for each in agreement.criticalities],
        }
    )


def _dpa(dpa: Dpa) -> DpaOut:
    shape = {name: as_json(getattr(dpa, name)) for name in ("id", "version", "title", "authoritative_language")}
    lists = {name: as_json(getattr(dpa, name)) for name in ("breach_items", "other_times", "clauses")}
    return DpaOut.model_validate(
        shape
        | lists
        | {
            "dated_on": dpa.dated_on.isoformat(),
            "validity": _validity(dpa.validity),
            "deadlines": [as_json(deadline) for deadline in dpa.deadlines.values()],
            "levels": [_level(level) for level in dpa.levels],
            "notices": [_part(each) for each in dpa.notices],
        }
    )


def _validity(validity: Validity | None) -> ValidityOut | None:
    if validity is None:
        return None
    until = validity.until_on
    return ValidityOut(from_on=validity.from_on.isoformat(), until_on=None if until is None else until.isoformat())


def _support_hours(hours: SupportHours | None) -> SupportHoursOut | None:
    if hours is None:
        return None
    return SupportHoursOut(
        clause=hours.clause,
        days=[day.value for day in hours.days],
        from_at=hours.from_at.isoformat(),
        until_at=hours.until_at.isoformat(),
        time_zone=hours.time_zone,
        holidays=hours.holidays,
    )


def _part(part: ScaleLevel | Priority | Retention | ServiceLevel | NoticeKind) -> dict[str, object]:
    """Return a part with the products that it holds for, sorted; null: all."""
    shape = as_json(replace(part, products=None))
    assert isinstance(shape, dict)
    return shape | {"products": _sorted(part.products)}


def _sorted(products: frozenset[str] | None) -> list[str] | None:
    return None if products is None else sorted(products)


def _level(level: Level) -> LevelOut:
    return LevelOut(
        id=level.id,
        clause=level.clause,
        text=level.text.as_mapping(),
        waivable=level.waivable,
        deadline=level.deadline,
        deadlines=list(level.deadlines),
        products=None if level.products is None else sorted(level.products),
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
            items=[_out(agreement) for agreement in agreements.by_id.values()],
            dpas=[_dpa(dpa) for dpa in agreements.dpas.values()],
            reference_id=agreements.reference_id,
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
