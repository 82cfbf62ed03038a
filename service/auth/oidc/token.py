"""Verify an ID token and return its claims (OpenID Connect Core 1.0, 3.1.3.7).

Pure: keys, time and expected values are arguments. The key always comes from the provider's key set; the headers
``jwk``, ``jku``, ``x5c`` and ``x5u`` of the token are ignored.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from service.auth.oidc.refusal import OidcRefusedError

#: Accepted algorithms, each with its key type and curve. Never ``none``, and never a MAC: its key would be public.
ALGORITHMS = {"RS256": ("RSA", None), "PS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
MAX_TOKEN_CHARACTERS = 64_000
_MAX_HEADER_BYTES = 16_000
#: Greatest length of ``sub`` (OpenID Connect Core 1.0, 2).
_MAX_SUBJECT_CHARACTERS = 255
_MIN_RSA_BITS = 2048


class KeyUnknownError(Exception):
    """The key that signed the token is not in the set; the provider may have changed its keys."""


@dataclass(frozen=True, slots=True)
class ExpectedClaims:
    """The values that the token of one sign-in must have."""

    issuer: str
    client_id: str
    nonce: str
    #: access token, compared with ``at_hash``; None if the provider gave none
    access_token: str | None
    skew_seconds: float
    require_acr: tuple[str, ...] = ()
    require_amr: tuple[str, ...] = ()


class _Registry(JWSRegistry):
    """Allows only the algorithms above. Headers may be long, because they may contain a chain of certificates."""

    max_header_length = _MAX_HEADER_BYTES

    def get_alg(self, name: str) -> Any:
        # Avoids the library's warning about EdDSA: RFC 9864 renames it, but providers still use this name.
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError("not among the algorithms taken")
        return self.algorithms[name]


def parse_keys(document: Mapping[str, Any]) -> tuple[Key, ...]:
    """Return the signature keys of a JWK set (RFC 7517); other keys, such as symmetric ones, are ignored.

    Raises OidcRefusedError if the document is not a JWK set.
    """
    stated = document.get("keys")
    if not isinstance(stated, list):
        raise OidcRefusedError("keys_malformed")
    return tuple(key for item in stated if isinstance(item, dict) for key in _signature_key(item))


def _signature_key(stated: Mapping[str, Any]) -> Sequence[Key]:
    if stated.get("use", "sig") != "sig" or stated.get("alg", "RS256") not in ALGORITHMS:
        return ()
    public = {name: value for name, value in stated.items() if name in {"kty", "kid", "alg", "n", "e", "crv", "x", "y"}}
    try:
        match stated.get("kty"):
            case "RSA":
                modulus = base64.urlsafe_b64decode(str(stated.get("n")) + "==")
                if int.from_bytes(modulus).bit_length() < _MIN_RSA_BITS:
                    return ()
                return (RSAKey.import_key(public),)
            case "EC" if stated.get("crv") == "P-256":
                return (ECKey.import_key(public),)
            case "OKP" if stated.get("crv") == "Ed25519":
                return (OKPKey.import_key(public),)
    except (JoseError, ValueError, TypeError, KeyError):
        # RFC 7517, 5: a key that is not understood is ignored; the others are used.
        return ()
    return ()


def verify_id_token(token: str, keys: Sequence[Key], expected: ExpectedClaims, now: datetime) -> dict[str, Any]:
    """Return the claims of an ID token after verifying that the provider issued it for this sign-in.

    1. It has three parts of bounded size, an accepted algorithm, no unknown critical header, and is not another kind of
       token of the same provider.
    2. Its key is the provider's key that the header names, or the only one that fits, of the type of the algorithm.
    3. The signature is right.
    4. ``iss`` is the provider and ``aud`` contains this client. If ``azp`` is stated it is this client; it must be
       stated if ``aud`` has several values.
    5. ``exp`` is in the future, ``iat`` and ``nbf`` are not, within the allowed skew.
    6. ``nonce`` is the nonce of this sign-in.
    7. ``at_hash``, if stated, belongs to the access token.
    8. ``sub`` is present; ``acr`` and ``amr`` meet the settings.

    Raises KeyUnknownError if newer keys may help, OidcRefusedError with the reason. NOT checked: that the token is used
    only once. The caller must have used up the pending sign-in of the nonce.
    """
    # 1.
    header = _header(token)
    algorithm = header["alg"]
    # 2.
    key = _key(keys, header, algorithm)
    # 3.
    try:
        claims = jwt.decode(token, key, registry=_Registry(strict_check_header=False)).claims
    except BadSignatureError:
        if header.get("kid") is None:
            raise KeyUnknownError from None
        raise OidcRefusedError("token_signature") from None
    except (JoseError, ValueError, TypeError, RecursionError):
        raise OidcRefusedError("token_malformed") from None
    # 4.
    if not isinstance(claims.get("iss"), str) or claims["iss"] != expected.issuer:
        raise OidcRefusedError("token_issuer")
    _verify_audience(claims, expected.client_id)
    # 5.
    _verify_times(claims, expected.skew_seconds, now)
    # 6.
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise OidcRefusedError("token_nonce")
    # 7.
    if "at_hash" in claims:
        _verify_at_hash(claims["at_hash"], expected.access_token, algorithm)
    # 8.
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isascii() or not 1 <= len(subject) <= _MAX_SUBJECT_CHARACTERS:
        raise OidcRefusedError("token_subject")
    if expected.require_acr and claims.get("acr") not in expected.require_acr:
        raise OidcRefusedError("token_acr")
    methods = claims.get("amr")
    if expected.require_amr and not (isinstance(methods, list) and any(way in methods for way in expected.require_amr)):
        raise OidcRefusedError("token_amr")
    return claims


def _header(token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise OidcRefusedError("token_malformed")
    try:
        header = jws.extract_compact(token.encode("ascii"), registry=_Registry(strict_check_header=False)).headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        raise OidcRefusedError("token_malformed") from None
    if not isinstance(header.get("alg"), str) or header["alg"] not in ALGORITHMS:
        raise OidcRefusedError("token_algorithm")
    # The same keys also sign logout tokens and access tokens (RFC 9068).
    if "crit" in header or str(header.get("typ", "JWT")).upper() != "JWT":
        raise OidcRefusedError("token_type")
    return header


def _key(keys: Sequence[Key], header: Mapping[str, Any], algorithm: str) -> Key:
    key_type, curve = ALGORITHMS[algorithm]
    fitting = [
        key
        for key in keys
        if key.key_type == key_type
        and key.get("alg", algorithm) == algorithm
        and (curve is None or key.get("crv") == curve)
    ]
    kid = header.get("kid")
    if kid is not None:
        fitting = [key for key in fitting if key.kid == kid]
    if not fitting:
        raise KeyUnknownError
    if len(fitting) > 1:
        raise OidcRefusedError("token_key_ambiguous")
    return fitting[0]


def _verify_audience(claims: Mapping[str, Any], client_id: str) -> None:
    stated = claims.get("aud")
    audiences = [stated] if isinstance(stated, str) else stated
    if not isinstance(audiences, list) or client_id not in audiences:
        raise OidcRefusedError("token_audience")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise OidcRefusedError("token_authorized_party")


def _verify_times(claims: Mapping[str, Any], skew_seconds: float, now: datetime) -> None:
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()), leeway=int(skew_seconds), exp={"essential": True}, iat={"essential": True}
    )
    try:
        registry.validate({name: claims[name] for name in ("exp", "iat", "nbf") if name in claims})
    except ExpiredTokenError:
        raise OidcRefusedError("token_expired") from None
    except ClaimError:
        raise OidcRefusedError("token_times") from None


def _verify_at_hash(stated: object, access_token: str | None, algorithm: str) -> None:
    """Compare with the left half of the access token's digest (OpenID Connect Core 1.0, 3.1.3.6)."""
    digest = hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256
    whole = digest((access_token or "").encode()).digest()
    computed = base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=")
    if access_token is None or not isinstance(stated, str) or not hmac.compare_digest(stated.encode(), computed):
        raise OidcRefusedError("token_access_hash")
