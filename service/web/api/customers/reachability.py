"""Whether a customer could be notified now: the results of the last checks of its contacts and webhooks."""

from datetime import timedelta
from uuid import UUID

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.delivery.reachability import (
    CALL_TO_MAKE,
    CheckSubject,
    SecondChannelKind,
)
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.record_checks import (
    Latest,
    active_endpoint_ids,
    is_reachable,
    latest_by_subject,
    record_second_channel_call,
    second_channel_of,
)
from service.ports.store import AccessTransaction
from service.web.api.fields import Moment, Out, Schema
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    MayChangeCalls,
    MayReadContacts,
    change,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["customers"])


class CheckOut(Out):
    """The last check of one active contact, certificate or webhook endpoint."""

    subject: CheckSubject
    subject_id: UUID = Field(description="The contact, or the endpoint.")
    checked_at: Moment
    ok: bool
    code: int | None = Field(description="What the relay or the receiver answered, where it did.")
    reason: str | None = Field(description="What is wrong, or soon will be; null where nothing is.")


class SecondChannelOut(Out):
    """The way to a customer beside the mail to its first contact, and its last real test."""

    kind: SecondChannelKind
    subject_id: UUID = Field(description="The contact, or the endpoint.")
    tested_at: Moment | None = Field(description="Null where it was not tested yet.")
    ok: bool | None = Field(description="Null where it was not tested yet, or where a person has to call.")
    call_to_make: bool = Field(description="Whether the test is due and a person has to make it.")
    reason: str | None = Field(description="What is wrong; null where nothing is.")
    next_test_at: Moment | None = Field(description="Null where tests are switched off.")


class SecondChannelCallIn(Schema):
    """The result of a test call."""

    reached: bool = Field(description="Whether somebody answered at this number.")


class ReachabilityOut(Out):
    """The results of the last checks of a customer."""

    reachable: bool = Field(description="Whether a notice would reach somebody by mail or webhook, as far as is known.")
    never_checked: int = Field(description="Active contacts whose address was not checked yet.")
    second_channel: SecondChannelOut | None = Field(description="Null where mail to one address is the only way.")
    items: list[CheckOut]


@router.get(
    "/{customer_id}/reachability", response_model=ReachabilityOut, summary="Whether a customer could be notified"
)
async def read_reachability(context: Context, access: MayReadContacts, customer_id: UUID) -> Response:
    """Return the last check of each active contact, certificate and webhook. An accepted address may still bounce.

    The second channel is tested by a real message every `contact_checks.second_channel_days`.
    """
    every_days = context.settings.contact_checks.second_channel_days
    return json_response(await access.read(lambda tx: reachability_of(tx, customer_id, every_days)))


@router.post(
    "/{customer_id}/second-channel-calls",
    response_model=ReachabilityOut,
    summary="Record the test call to a customer's second channel",
)
async def record_call(
    request: Request,
    context: Context,
    access: MayChangeCalls,
    customer_id: UUID,
    call: SecondChannelCallIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record the result of a test call; 409 if the second channel is not a telephone."""
    every_days = context.settings.contact_checks.second_channel_days

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        record_second_channel_call(tx, act, customer_id, reached=call.reached)
        return Answer(reachability_of(tx, customer_id, every_days))

    return await change(request, access, idempotency_key, work)


def reachability_of(tx: Transaction, customer_id: UUID, every_days: float) -> ReachabilityOut:
    """Return the checks of a customer for the API and the console; raises NotFoundError.

    ``every_days`` is the time between two tests of the second channel; 0: it is not tested.
    """
    tx.customers.require(customer_id)
    contacts = tx.customers.contacts(customer_id)
    active = {contact.id for contact in contacts if contact.active}
    with_certificate = {contact.id for contact in contacts if contact.active and contact.smime_certificate is not None}
    endpoints = active_endpoint_ids(tx, customer_id)
    latest = latest_by_subject(tx.customers.latest_reachability_checks(customer_id))
    in_service = {
        CheckSubject.CONTACT: active,
        CheckSubject.CERTIFICATE: with_certificate,
        CheckSubject.WEBHOOK: set(endpoints),
        # It has a field of its own.
        CheckSubject.SECOND_CHANNEL: set[UUID](),
    }
    shown = [check for (subject, subject_id), check in latest.items() if subject_id in in_service[subject]]
    return ReachabilityOut(
        reachable=is_reachable(contacts, endpoints, latest),
        never_checked=sum((CheckSubject.CONTACT, contact_id) not in latest for contact_id in active),
        second_channel=_second_channel_out(tx, customer_id, latest, every_days),
        items=[CheckOut.model_validate(check) for check in sorted(shown, key=lambda check: (check.ok, check.subject))],
    )


def _second_channel_out(
    tx: Transaction, customer_id: UUID, latest: Latest, every_days: float
) -> SecondChannelOut | None:
    channel = second_channel_of(tx, customer_id)
    if channel is None:
        return None
    test = latest.get((CheckSubject.SECOND_CHANNEL, channel.subject_id))
    call_to_make = test is not None and test.reason == CALL_TO_MAKE
    tested = None if call_to_make else test
    return SecondChannelOut(
        kind=channel.kind,
        subject_id=channel.subject_id,
        tested_at=None if tested is None else tested.checked_at,
        ok=None if tested is None else tested.ok,
        call_to_make=call_to_make,
        reason=None if test is None else test.reason,
        next_test_at=None if tested is None or not every_days else tested.checked_at + timedelta(days=every_days),
    )
