"""Keys: the list of keys, and the rotation of signing keys. No route shows a byte of a private key."""

from collections.abc import Callable
from typing import Literal

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.use_cases.audit_context import AuditContext
from service.auth.route_guard import Access
from service.crypto.key_states import KeyState
from service.key_rotation.rotation import KeyRotation
from service.key_rotation.staging import PreparedRotation
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.fields import Moment, Out
from service.web.api.requests import Answer, Context, IdempotencyKey, MayChangeKeys, MayReadKeys, change, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/keys", tags=["keys"])


class KeyOut(Out):
    """The public part of one key."""

    kind: Literal["signing", "log", "timestamp", "demo_ca", "master"]
    fingerprint: str = Field(
        description="Hex SHA-256 of the certificate or public key, as in the log; of a master key, under a label."
    )
    state: Literal["current", "overlapping", "retired"] = Field(
        description="An overlapping log key still signs beside the current one; what a retired one signed verifies on."
    )
    not_before: Moment | None
    not_after: Moment | None = Field(description="End of the certificate, or of a log key's signing.")
    encrypted: bool | None = Field(
        description="Whether the private part is encrypted at rest; null where none is here."
    )
    verifier_key: str | None = Field(description="C2SP verifier key of a log key.")


class KeyList(Out):
    """The keys of the service, by kind, the current one first."""

    items: list[KeyOut]


class KeyRotationOut(Out):
    """A completed rotation: the new key is announced in the log and in use."""

    key: KeyOut
    previous: KeyOut | None
    overlap_until: Moment | None = Field(
        description="Until when the key before signs too (log), or its certificate is valid (signing)."
    )


def _out(state: KeyState) -> KeyOut:
    return KeyOut.model_validate(state)


@router.get("", response_model=KeyList, summary="List keys")
async def list_keys(context: Context, access: MayReadKeys) -> Response:
    """Return the public part of every key that the service uses or used."""
    states = await context.keys.states()
    await access.trace()
    return json_response(KeyList(items=[_out(state) for state in states]))


@router.post("/signing/rotate", response_model=KeyRotationOut, summary="Replace the signing key")
async def rotate_signing(
    request: Request, context: Context, access: MayChangeKeys, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a new signing key with a certificate of the demo CA. The next signature uses the new key.

    Signatures of the old key still verify. Install a certificate of another authority on the machine, with
    `greffier keys rotate signing --install`, because no private key may pass through this API.
    """
    return await _rotate(request, context, access, idempotency_key, KeyRotation.prepare_signing)


@router.post("/log/rotate", response_model=KeyRotationOut, summary="Replace the log's key")
async def rotate_log(
    request: Request, context: Context, access: MayChangeKeys, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a new log key. The old key also signs until the overlap ends; until then, give customers the new key."""
    return await _rotate(request, context, access, idempotency_key, KeyRotation.prepare_log)


async def _rotate(
    request: Request,
    context: ApiContext,
    access: Access,
    idempotency_key: str | None,
    prepare: Callable[[KeyRotation], PreparedRotation],
) -> Response:
    async with context.keys.rotating() as rotation:

        def work(tx: AccessTransaction, act: AuditContext) -> Answer:
            return Answer(rotated_key(tx, act, context, prepare, rotation))

        return await change(request, access, idempotency_key, work)


def rotated_key(
    tx: AccessTransaction,
    act: AuditContext,
    context: ApiContext,
    prepare: Callable[[KeyRotation], PreparedRotation],
    rotation: KeyRotation,
) -> KeyRotationOut:
    """Prepare and announce a new key, for the API and the console; it is in place once the rotation ends."""
    # In the transaction, for the tenth of a second it takes: a repeated request must not prepare anything.
    prepared = prepare(rotation)
    context.keys.announce(tx, act, prepared)
    return KeyRotationOut(
        key=_out(prepared.key),
        previous=_out(prepared.previous) if prepared.previous is not None else None,
        overlap_until=prepared.change.overlap_until,
    )
