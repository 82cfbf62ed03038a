#!/usr/bin/env bash
# joserfc and the key set of an identity provider that has a key on a further curve beside its RSA key: can the RSA key be
# used?
#
# Versions: joserfc 1.8.0, cryptography 50.0.2 and, for comparison, PyJWT 2.15.1 from PyPI. CPython 3.11 or newer.
# One would guess: yes. RFC 7518, 6.2.1.1, permits further values of "crv", such as BP-256, under which gematik's software
#   for German health services has brainpoolP256r1. By RFC 7517, 5, keys of types that are not understood, and keys with
#   values out of the supported ranges, should be ignored. joserfc does so with the types.
# What happens: KeySet.import_key_set raises KeyError('BP-256'), which is no JoseError and no ValueError. The set has no
#   keys at all, and nobody can sign in from the day on which the provider adds the key. PyJWT takes the RSA key.
# The product: service/auth/oidc/token.py (parse_keys) reads each key by itself; tests/access/test_oidc.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check joserfc==1.8.0 cryptography==50.0.2 pyjwt==2.15.1
results=$("$folder/venv/bin/python" - <<'PYTHON'
import base64

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

point = ec.generate_private_key(ec.BrainpoolP256R1()).public_key().public_numbers()
x, y = (base64.urlsafe_b64encode(number.to_bytes(32)).rstrip(b"=").decode() for number in (point.x, point.y))
ordinary = RSAKey.generate_key(2048).as_dict(private=False) | {"kid": "rsa"}
further = {
    "an unknown key type": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "further"},
    "an unknown curve": {"kty": "EC", "crv": "BP-256", "x": x, "y": y, "kid": "further"},
}
for name, key in further.items():
    document = {"keys": [ordinary, key]}
    try:
        taken = str([each.kid for each in KeySet.import_key_set(document).keys])
    except Exception as error:
        taken = f"{error!r}, a JoseError or ValueError: {isinstance(error, (JoseError, ValueError))}"
    print(f"{name}: joserfc {taken}; PyJWT {[each.key_id for each in jwt.PyJWKSet.from_dict(document).keys]}")
PYTHON
)
echo "$results"
[ "$results" = "an unknown key type: joserfc ['rsa']; PyJWT ['rsa']
an unknown curve: joserfc KeyError('BP-256'), a JoseError or ValueError: False; PyJWT ['rsa']" ]
