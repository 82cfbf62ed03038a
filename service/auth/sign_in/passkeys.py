"""Passkeys (WebAuthn level 2): options for the browser, and its responses, verified by the webauthn library.

The library is loaded by the first passkey: it takes longer to load than the rest of the sign-in.
"""

import json
import secrets
import struct
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from service.ports.accounts import Account
from service.ports.credentials import Passkey

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

_MAX_ANSWER_CHARACTERS = 20_000
_CHALLENGE_BYTES = 32
#: Exceptions of the library for malformed responses; its parsers index and compute before they check.
_NO_PROOF = (ValueError, LookupError, TypeError, AttributeError, struct.error, OverflowError)


class PasskeyRefusedError(Exception):
    """The browser's response proves nothing; ``reason`` is for the log."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("the passkey was refused")


def new_challenge() -> bytes:
    """Return a new random challenge."""
    return secrets.token_bytes(_CHALLENGE_BYTES)


def enrolment_options(
    account: Account, known: Iterable[Passkey], challenge: bytes, *, rp_id: str, service_name: str
) -> str:
    """Return the JSON for ``navigator.credentials.create``: a discoverable credential that verifies its user."""
    import webauthn  # noqa: PLC0415 - loaded for the first passkey
    from webauthn.helpers.structs import (  # noqa: PLC0415 - loaded for the first passkey
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = webauthn.generate_registration_options(
        rp_id=rp_id,
        rp_name=service_name,
        user_id=account.id.bytes,
        user_name=account.email or account.name,
        user_display_name=account.name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(known),
    )
    return webauthn.options_to_json(options)


def sign_in_options(known: Iterable[Passkey], challenge: bytes, *, rp_id: str) -> str:
    """Return the JSON for ``navigator.credentials.get``; without ``known``, any passkey is allowed."""
    import webauthn  # noqa: PLC0415 - loaded for the first passkey
    from webauthn.helpers.structs import UserVerificationRequirement  # noqa: PLC0415 - loaded for the first passkey

    options = webauthn.generate_authentication_options(
        rp_id=rp_id,
        challenge=challenge,
        allow_credentials=_descriptors(known),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def verified_enrolment(answer: str, challenge: bytes, *, rp_id: str, origin: str) -> tuple[bytes, bytes, int]:
    """Return credential id, public key and counter of a new passkey; raises PasskeyRefusedError.

    Checked: challenge, origin, relying party, user presence and verification, the attested key. Not checked: the maker
    of the authenticator (no attestation is requested).
    """
    import webauthn  # noqa: PLC0415 - loaded for the first passkey
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415 - loaded for the first passkey

    try:
        verified = webauthn.verify_registration_response(
            credential=_parsed(answer),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
        )
    except (WebAuthnException, *_NO_PROOF) as error:
        raise PasskeyRefusedError(type(error).__name__) from None
    return verified.credential_id, verified.credential_public_key, verified.sign_count


def answered_credential(answer: str) -> tuple[bytes, bytes | None]:
    """Return the credential id of a response, and the user handle in it; raises PasskeyRefusedError."""
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415 - loaded for the first passkey

    parsed = _parsed(answer)
    try:
        handle = parsed["response"].get("userHandle")
        return base64url_to_bytes(parsed["rawId"]), None if not handle else base64url_to_bytes(handle)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise PasskeyRefusedError(type(error).__name__) from None


def verified_count(answer: str, challenge: bytes, passkey: Passkey, *, rp_id: str, origin: str) -> int:
    """Return the counter of a sign-in with a passkey; raises PasskeyRefusedError.

    Checked: challenge, origin, relying party, user presence and verification, signature, and that the counter does not
    decrease (it would for a copy of the authenticator). The counter is checked last, because only a counter that the
    key signed may report a copy.
    """
    import webauthn  # noqa: PLC0415 - loaded for the first passkey
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415 - loaded for the first passkey

    try:
        verified = webauthn.verify_authentication_response(
            credential=_parsed(answer),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, *_NO_PROOF) as error:
        raise PasskeyRefusedError(type(error).__name__) from None
    count = verified.new_sign_count
    if (count or passkey.sign_count) and count <= passkey.sign_count:
        raise PasskeyRefusedError("counter_went_back")
    return count


def used(passkey: Passkey, count: int, at: datetime) -> Passkey:
    """Return the passkey after a sign-in."""
    return Passkey(
        id=passkey.id,
        account_id=passkey.account_id,
        credential_id=passkey.credential_id,
        public_key=passkey.public_key,
        sign_count=count,
        name=passkey.name,
        created_at=passkey.created_at,
        last_used_at=at,
    )


def _parsed(answer: str) -> dict[str, Any]:
    if len(answer) > _MAX_ANSWER_CHARACTERS:
        raise PasskeyRefusedError("too_long")
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        raise PasskeyRefusedError("no_json") from None
    if not isinstance(parsed, dict):
        raise PasskeyRefusedError("no_object")
    return parsed


def _descriptors(known: Iterable[Passkey]) -> "list[PublicKeyCredentialDescriptor]":
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor  # noqa: PLC0415 - loaded for the first passkey

    return [PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in known]
