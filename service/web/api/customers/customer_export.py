"""Everything about one customer that the caller may read, in one JSON file."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from notifications.notice.inbox import InboxFilter, InboxNotice
from notifications.ports import Page
from service.auth.members import members_of
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.delivery.acknowledgements import acknowledgement_status
from service.ports.store import AccessTransaction
from service.web.api.accounts.account_schemas import MemberOut, membership_members
from service.web.api.customers.customer_schemas import contact_out, customer_out, profile_out
from service.web.api.customers.reachability import reachability_of
from service.web.api.customers.webhooks import webhook_out
from service.web.api.duty_schemas import legal_profile_out
from service.web.api.notices.acknowledgements import AcknowledgementList, standing_fields
from service.web.api.notices.inbox import inbox_notice_out
from service.web.api.notices.notice_schemas import delivery_out
from service.web.api.notices.questions import feedback_out, names_of, question_out
from service.web.api.requests import MayReadCustomers
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["customers"])

_AT_ONCE = 200
_Part = Callable[[AccessTransaction, Access, UUID], Any]


@router.get("/{customer_id}/export", response_class=Response, summary="Everything about a customer, in one file")
async def export_customer(access: MayReadCustomers, customer_id: UUID) -> Response:
    """Return a JSON file with all that the other routes say of the customer; what the caller may not read is left out.

    Secrets of webhooks are never in it. Documents, signatures and proofs are in the evidence bundle.
    """
    content = await customer_file(access, customer_id)
    headers = {"Content-Disposition": 'attachment; filename="customer.json"'}
    return Response(content, media_type="application/json", headers=headers)


async def customer_file(access: Access, customer_id: UUID) -> str:
    """Return the file; each part is read under its own permission and within its own scope."""
    found: dict[str, Any] = {}
    for name, permission, part in _PARTS:
        reading = _under(access, permission)
        if reading is not None and reading.scope.covers_customer(customer_id):
            found[name] = await reading.read(lambda tx, part=part, reading=reading: part(tx, reading, customer_id))  # type: ignore[misc]  # bound at once
        elif permission is access.permission:
            await access.read(lambda tx: tx.customers.require(customer_id))
    return json.dumps(found, ensure_ascii=False, indent=1)


def _under(access: Access, permission: Permission) -> Access | None:
    scope = access.caller.scope(permission)
    return None if scope is None else replace(access, permission=permission, scope=scope)


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json")


def _customer(tx: AccessTransaction, _access: Access, customer_id: UUID) -> Any:
    customer = tx.customers.require(customer_id)
    return _plain(customer_out(customer, list(tx.customers.bindings(customer_id))))


def _contacts(tx: AccessTransaction, access: Access, customer_id: UUID) -> Any:
    # How mails go out depends on the moment; the file says what is stated.
    changing = {"mail_form", "mail_form_reason", "certificate_fault"}
    now = access.clock.now()
    return [
        contact_out(each, now).model_dump(mode="json", exclude=changing) for each in tx.customers.contacts(customer_id)
    ]


def _reachability(tx: AccessTransaction, _access: Access, customer_id: UUID) -> Any:
    # The time of the next test depends on a setting; the file says what happened.
    return _plain(reachability_of(tx, customer_id, every_days=0))


def _profiles(tx: AccessTransaction, _access: Access, customer_id: UUID) -> Any:
    return [_plain(profile_out(each)) for each in tx.customers.profiles(customer_id)]


def _legal_profiles(tx: AccessTransaction, _access: Access, customer_id: UUID) -> Any:
    return [_plain(legal_profile_out(each)) for each in tx.duties.legal_profiles(customer_id)]


def _members(tx: AccessTransaction, _access: Access, customer_id: UUID) -> Any:
    found = []
    for member in members_of(tx, customer_id):
        members = membership_members(member.membership)
        del members["customer_id"]
        account_id = member.membership.account_id
        found.append(_plain(MemberOut.model_construct(account_id=account_id, email=member.email, **members)))
    return found


def _webhooks(tx: AccessTransaction, _access: Access, customer_id: UUID) -> Any:
    endpoints = tx.webhooks.endpoints(customer_id)
    return [_plain(webhook_out(each, tx.webhooks.secrets(each.id))) for each in endpoints]


def _notices(tx: AccessTransaction, access: Access, customer_id: UUID) -> Any:
    return [_notice(tx, access, shown) for shown in _every_notice(tx, access, customer_id)]


def _every_notice(tx: AccessTransaction, access: Access, customer_id: UUID) -> Iterator[InboxNotice]:
    cursor = None
    while True:
        found = tx.notices.inbox([customer_id], access.actor, InboxFilter(), Page(_AT_ONCE, cursor))
        shown, cursor = found.get(customer_id, ([], None))
        yield from shown
        if cursor is None:
            return


def _notice(tx: AccessTransaction, access: Access, shown: InboxNotice) -> dict[str, Any]:
    notice, named = shown.notice, names_of(tx)
    deliveries = tx.deliveries.of_notice(notice.id)
    standing = acknowledgement_status(tx, access, notice)
    return _plain(inbox_notice_out(shown)) | {
        "document": json.loads(shown.document),
        "acknowledgements": _plain(AcknowledgementList.model_construct(**standing_fields(standing))),
        "deliveries": [
            _plain(delivery_out(each, list(tx.deliveries.attempts(each.id)), (), with_words=False))
            for each in deliveries
        ],
        "questions": [_plain(question_out(each, named)) for each in tx.questions.of_notice(notice.id)],
        "feedback": [_plain(feedback_out(each, named)) for each in tx.questions.feedback(notice.id)],
    }


def _trail(tx: AccessTransaction, _access: Access, customer_id: UUID) -> Any:
    found: list[dict[str, Any]] = []
    pseudonym, cursor = tx.customers.pseudonym(customer_id), None
    while True:
        entries, cursor = tx.audit.about("customer", pseudonym, Page(_AT_ONCE, cursor))
        found += [{"index": entry.index, "leaf": json.loads(entry.leaf)} for entry in entries]
        if cursor is None:
            return found


_PARTS: tuple[tuple[str, Permission, _Part], ...] = (
    ("customer", Permission.CUSTOMER_READ, _customer),
    ("contacts", Permission.CONTACT_READ, _contacts),
    ("reachability", Permission.CONTACT_READ, _reachability),
    ("profiles", Permission.PROFILE_READ, _profiles),
    ("legal_profiles", Permission.PROFILE_READ, _legal_profiles),
    ("members", Permission.MEMBER_READ, _members),
    ("webhooks", Permission.WEBHOOK_READ, _webhooks),
    ("notices", Permission.NOTICE_READ, _notices),
    ("trail", Permission.TRAIL_READ, _trail),
)
