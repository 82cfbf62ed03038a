#!/usr/bin/env bash
# rfc3161-client and a timestamp under the status grantedWithMods: does it take the token?
#
# Versions: rfc3161-client 1.0.9 and cryptography 50.0.2 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or newer.
# One would guess: yes. RFC 3161, 2.4.2, demands a token with status zero and with status one, which is
#   grantedWithMods. The library's own PKIStatus has GRANTED_WITH_MODS.
# What happens: it refuses every status but zero ("PKIStatus is not GRANTED"). openssl ts -verify takes both.
# The product: notifications/crypto/timestamps.py judges the status and gives the library the token under status zero,
#   since the signature does not cover the status; tests/adapters/test_timestamp_authorities.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  rfc3161-client==1.0.9 cryptography==50.0.2 cffi==2.1.1 pycparser==3.0
cd "$folder"

printf '%s\n' "[req]" "distinguished_name = n" "prompt = no" "[n]" "CN = Time Stamping" "[x]" \
  "extendedKeyUsage = critical, timeStamping" "[tsa]" "default_tsa = t" "[t]" "serial = serial" \
  "signer_digest = sha256" "default_policy = 1.2.3.4" "digests = sha256" > ts.cnf
openssl req -x509 -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.pem -days 30 -config ts.cnf -extensions x 2>log
echo 01 > serial
echo content > content
openssl ts -query -data content -sha256 -cert -out query 2>>log
openssl ts -reply -config ts.cnf -queryfile query -inkey tsa.key -signer tsa.pem -out granted 2>>log

cat > read.py <<'PYTHON'
from pathlib import Path

import rfc3161_client
from cryptography import x509

granted = Path("granted").read_bytes()
# PKIStatusInfo ::= SEQUENCE { INTEGER }: from 0, granted, to 1, grantedWithMods.
modified = granted.replace(bytes.fromhex("3003020100"), bytes.fromhex("3003020101"), 1)
Path("modified").write_bytes(modified)
roots = x509.load_pem_x509_certificates(Path("tsa.pem").read_bytes())
verifier = rfc3161_client.VerifierBuilder(roots=roots).build()
for name, data in (("granted", granted), ("grantedWithMods", modified)):
    response = rfc3161_client.decode_timestamp_response(data)
    try:
        print(name + ":", "verified" if verifier.verify_message(response, b"content\n") else "not verified")
    except rfc3161_client.VerificationError as error:
        print(name + ":", error)
PYTHON
library_says=$("$folder/venv/bin/python" read.py)
openssl_says=$(openssl ts -verify -data content -in modified -CAfile tsa.pem 2>>log)
openssl ts -reply -in modified -text 2>>log | sed -n 's/^Status: /openssl reads the status: /p'
echo "openssl, grantedWithMods: $openssl_says"
echo "$library_says" | sed 's/^/rfc3161-client, /'
[ "$openssl_says" = "Verification: OK" ]
[ "$library_says" = "granted: verified
grantedWithMods: PKIStatus is not GRANTED" ]
