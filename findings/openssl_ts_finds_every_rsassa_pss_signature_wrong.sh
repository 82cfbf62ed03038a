#!/usr/bin/env bash
# A timestamp authority signs with RSASSA-PSS, as some qualified ones in the Union do: does openssl ts verify its tokens?
#
# Versions: rfc3161-client 1.0.9 and cryptography 50.0.2 (with OpenSSL 4.0.3) from PyPI; OpenSSL 3.0 or newer. CPython 3.11
#   or newer.
# One would guess: yes. A token is CMS (RFC 3161, 2.4.2), CMS has RSASSA-PSS since 2005 (RFC 4056), openssl cms makes and
#   verifies it, and openssl-ts(1) names no algorithm that is left out.
# What happens: openssl ts -verify says that the signature is wrong ("invalid padding", "signature failure"). Its older
#   PKCS #7 code ignores the algorithm that the token names and takes every RSA signature for PKCS #1 v1.5. rfc3161-client
#   uses the same code and says the same. Nothing says that the algorithm is not supported. (Open at openssl as issue 7904;
#   in 29751 it is the token of a qualified authority.)
# The product: notifications/crypto/der.py (parse_timestamp_reply) refuses such a token by the name of the algorithm and says
#   how the authority must sign, so that nobody looks for a forgery; tests/adapters/test_timestamp_authorities.py shows it.
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
openssl ts -reply -config ts.cnf -queryfile query -inkey tsa.key -signer tsa.pem -token_out -out token 2>>log
# What the token states, signed again: the signing-certificate attribute that a token needs comes with -cades.
openssl cms -verify -noverify -inform DER -in token -out stated 2>>log
for padding in pkcs1 pss; do
  openssl cms -sign -binary -nodetach -cades -nosmimecap -md sha256 -econtent_type 1.2.840.113549.1.9.16.1.4 -in stated \
    -inkey tsa.key -signer tsa.pem -keyopt "rsa_padding_mode:$padding" -outform DER -out "$padding.token" 2>>log
  openssl ts -reply -token_in -in "$padding.token" -out "$padding.reply" 2>>log
done

cat > read.py <<'PYTHON'
import sys
from pathlib import Path

import rfc3161_client
from cryptography import x509

roots = x509.load_pem_x509_certificates(Path("tsa.pem").read_bytes())
response = rfc3161_client.decode_timestamp_response(Path(sys.argv[1]).read_bytes())
try:
    rfc3161_client.VerifierBuilder(roots=roots).build().verify_message(response, b"content\n")
    print("verified")
except rfc3161_client.VerificationError as error:
    print("signature failure" if '"signature failure"' in str(error) else error)
PYTHON
results=""
for padding in pkcs1 pss; do
  cms_says=$(openssl cms -verify -inform DER -in "$padding.token" -CAfile tsa.pem -purpose timestampsign -out /dev/null 2>&1)
  ts_says=$(openssl ts -verify -data content -in "$padding.reply" -CAfile tsa.pem 2>&1 |
    grep -o 'Verification: OK\|TS_RESP_verify_signature:signature failure' || true)
  results+="$padding: openssl cms $cms_says; openssl ts $ts_says; rfc3161-client $(venv/bin/python read.py "$padding.reply")
"
done
echo "$results"
[ "$results" = "pkcs1: openssl cms CMS Verification successful; openssl ts Verification: OK; rfc3161-client verified
pss: openssl cms CMS Verification successful; openssl ts TS_RESP_verify_signature:signature failure; rfc3161-client signature\
 failure
" ]
