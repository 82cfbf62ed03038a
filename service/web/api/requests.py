"""The HTTP parts that routes share: permissions, entity tags, idempotency, cursors."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from notifications.errors import Fault, IdempotencyMismatchError, InvalidInputError
from notifications.ports import StoredResponse
from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.errors import HttpProblemError

#: Longest accepted Idempotency-Key.
_IDEMPOTENCY_KEY_CHARACTERS = 200


async def api_context(request: Request) -> ApiContext:
    """Return the context of the running app."""
    context: ApiContext = request.app.state.api_context
    return context


Context = Annotated[ApiContext, Depends(api_context)]


#: The caller's access, for each permission that routes declare.
MayDeclareIncidents = Annotated[Access, Depends(Requires(Permission.INCIDENT_DECLARE))]
MayReadIncidents = Annotated[Access, Depends(Requires(Permission.INCIDENT_READ))]
MayChangeIncidents = Annotated[Access, Depends(Requires(Permission.INCIDENT_CHANGE))]
MayReadAnnouncements = Annotated[Access, Depends(Requires(Permission.ANNOUNCEMENT_READ))]
MayChangeAnnouncements = Annotated[Access, Depends(Requires(Permission.ANNOUNCEMENT_CHANGE))]
MayReadNotices = Annotated[Access, Depends(Requires(Permission.NOTICE_READ))]
MayAcknowledgeNotices = Annotated[Access, Depends(Requires(Permission.NOTICE_ACKNOWLEDGE))]
MayAskQuestions = Annotated[Access, Depends(Requires(Permission.QUESTION_ASK))]
MayReleaseNotices = Annotated[Access, Depends(Requires(Permission.NOTICE_RELEASE))]
MayOverrideRelease = Annotated[Access, Depends(Requires(Permission.NOTICE_OVERRIDE))]
MayReadCustomers = Annotated[Access, Depends(Requires(Permission.CUSTOMER_READ))]
MayChangeCustomers = Annotated[Access, Depends(Requires(Permission.CUSTOMER_CHANGE))]
MayReadContacts = Annotated[Access, Depends(Requires(Permission.CONTACT_READ))]
MayChangeContacts = Annotated[Access, Depends(Requires(Permission.CONTACT_CHANGE))]
MayReadProfiles = Annotated[Access, Depends(Requires(Permission.PROFILE_READ))]
MayChangeProfiles = Annotated[Access, Depends(Requires(Permission.PROFILE_CHANGE))]
MayReadMembers = Annotated[Access, Depends(Requires(Permission.MEMBER_READ))]
MayChangeMembers = Annotated[Access, Depends(Requires(Permission.MEMBER_CHANGE))]
MayReadAgreements = Annotated[Access, Depends(Requires(Permission.AGREEMENT_READ))]
MayReadAttention = Annotated[Access, Depends(Requires(Permission.ATTENTION_READ))]
MayReadLog = Annotated[Access, Depends(Requires(Permission.LOG_READ))]
MayProveLog = Annotated[Access, Depends(Requires(Permission.LOG_PROVE))]
MayReadTrail = Annotated[Access, Depends(Requires(Permission.TRAIL_READ))]
MayReadAccounts = Annotated[Access, Depends(Requires(Permission.ACCOUNT_READ))]
MayChangeAccounts = Annotated[Access, Depends(Requires(Permission.ACCOUNT_CHANGE))]
MayReadKeys = Annotated[Access, Depends(Requires(Permission.KEY_READ))]
MayChangeKeys = Annotated[Access, Depends(Requires(Permission.KEY_CHANGE))]
MayReadSettings = Annotated[Access, Depends(Requires(Permission.SETTING_READ))]
MayReadChannels = Annotated[Access, Depends(Requires(Permission.CHANNEL_READ))]
MayChangeChannels = Annotated[Access, Depends(Requires(Permission.CHANNEL_CHANGE))]
MayReadCalls = Annotated[Access, Depends(Requires(Permission.CALL_READ))]
MayChangeCalls = Annotated[Access, Depends(Requires(Permission.CALL_CHANGE))]
MayReadReturned = Annotated[Access, Depends(Requires(Permission.RETURNED_READ))]
MayReadWebhooks = Annotated[Access, Depends(Requires(Permission.WEBHOOK_READ))]
MayChangeWebhooks = Annotated[Access, Depends(Requires(Permission.WEBHOOK_CHANGE))]
MayReadResources = Annotated[Access, Depends(Requires(Permission.RESOURCE_READ))]
MayChangeResources = Annotated[Access, Depends(Requires(Permission.RESOURCE_CHANGE))]
MayReadReports = Annotated[Access, Depends(Requires(Permission.REPORT_READ))]
MayReadMetrics = Annotated[Access, Depends(Requires(Permission.METRICS_READ))]
Oneself = Annotated[Access, Depends(Requires(Permission.SELF))]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Makes a repeated request safe: the same key and body get the same answer, another body gets 422.",
        max_length=_IDEMPOTENCY_KEY_CHARACTERS,
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='The ETag of the version that was read, such as `"3"`, or `*` for whichever is in force. Required.',
    ),
]
#: Items of an answer that once held all of them, for callers that know of no pages; the most items of any page.
FIRST_ITEMS = 200
Limit = Annotated[int, Query(ge=1, le=FIRST_ITEMS, description="At most so many items.")]
Cursor = Annotated[
    str | None,
    Query(max_length=500, description="`next_cursor` of the previous page of the same list, for the same account."),
]


def etag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def expected_version(if_match: str | None, current: Callable[[], int]) -> int:
    """Return the version in If-Match; ``current`` is called only for ``*``.

    Raises HttpProblemError 428 without the header, InvalidInputError for a malformed tag.
    """
    if if_match is None:
        raise HttpProblemError(428, "send If-Match with the ETag you read, or * for whichever version is in force")
    if if_match.strip() == "*":
        return current()
    tag = if_match.strip().removeprefix('"').removesuffix('"')
    if not (tag.isascii() and tag.isdigit() and len(tag) < 12):  # noqa: PLR2004 - no version is that long
        raise InvalidInputError(Fault("If-Match", "is not an entity tag of this service"))
    return int(tag)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a change. It is committed with the change, so that a repeated request gets the same answer."""

    #: the body, or a function that makes it; without an idempotency key it is called outside the transaction
    body: BaseModel | Callable[[], BaseModel]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    #: the body to store under an idempotency key, if the real one contains a secret
    kept: BaseModel | None = None

    def content(self) -> bytes:
        """Return the body as JSON."""
        body = self.body if isinstance(self.body, BaseModel) else self.body()
        return body.model_dump_json().encode()


async def change(
    request: Request,
    access: Access,
    idempotency_key: str | None,
    work: Callable[[AccessTransaction, AuditContext], Answer],
    *,
    content: bytes | None = None,
) -> Response:
    """Run a change within the caller's scope in one transaction, and answer when it is durable.

    With an idempotency key:

    1. The object in the path must be within the caller's scope now, even if an answer was recorded before.
    2. If the key has an answer to another request, raise IdempotencyMismatchError. If it has an answer to the same
       request, return that. The same request has the same method, path, query, If-Match and body.
    3. Otherwise record the answer in the transaction of the change.

    A change that fails records nothing, so the caller can try again. Only the first answer contains a secret.
    ``content`` is the digest of a body that was read already.
    """
    act = access.act()
    if idempotency_key is None:
        answer = await access.store.write(lambda tx: work(access.view(tx), act))
        return Response(answer.content(), answer.status, dict(answer.headers), media_type="application/json")
    body = await request.body() if content is None else content
    if_match = request.headers.get("if-match", "")
    stated = "\n".join((f"{request.method} {request.url.path}", request.url.query, if_match, ""))
    fingerprint = hashlib.sha256(stated.encode() + body).digest()
    key = f"{access.actor}:{idempotency_key}"

    def unit(tx: AccessTransaction) -> StoredResponse:
        # 1.
        access.verify_named(tx)
        # 2.
        stored = tx.responses.get(key)
        if stored is not None:
            if stored.fingerprint != fingerprint:
                raise IdempotencyMismatchError("this Idempotency-Key was used with another request")
            return stored
        # 3.
        answer = work(access.view(tx), act)
        response = StoredResponse(fingerprint, answer.status, answer.content(), tuple(answer.headers.items()))
        kept = response if answer.kept is None else replace(response, body=answer.kept.model_dump_json().encode())
        tx.responses.add(key, kept, act.now)
        return response

    stored = await access.store.write(unit)
    return Response(stored.body, stored.status, dict(stored.headers), media_type="application/json")


async def inspect_request(
    request: Request,
    access: Access,
    idempotency_key: str | None,
    work: Callable[[AccessTransaction], BaseModel],
) -> Response:
    """Answer a POST that changes nothing. With an idempotency key its answer is stored, as for a change."""
    if idempotency_key is None:
        return json_response(await access.read(work))
    return await change(request, access, idempotency_key, lambda tx, _act: Answer(work(tx)))


def json_response(body: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    """Return a model as JSON; it is serialised only once."""
    return Response(body.model_dump_json(), 200, dict(headers or {}), media_type="application/json")
