#!/usr/bin/env bash
# rfc3161-client and the token of an authority that names itself by its address in the web: who dated the content?
#
# Versions: rfc3161-client 1.0.9, cryptography 50.0.2 and asn1crypto 1.5.1 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or
#   newer.
# One would guess: the URI. The field "tsa" of a token is any GeneralName that the authority's certificate has (RFC 3161,
#   2.4.2), tst_info.name is a cryptography.x509.GeneralName or None, and cryptography has classes for all common forms.
# What happens: the token verifies in the library and in openssl ts, which also compares the name with the certificate. Then
#   tst_info.name raises ValueError("Unknown name form"), as it does for DNS names and mail addresses. A program that shows who
#   dated a document ends with an error on a token that it has just found right.
# The product: notifications/crypto/der.py reads such a name from the token, and timestamps.py (_name) compares it with the
#   certificate and shows it; tests/adapters/test_timestamp_authorities.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  rfc3161-client==1.0.9 cryptography==50.0.2 cffi==2.1.1 pycparser==3.0 asn1crypto==1.5.1
cd "$folder"

printf '%s\n' "[req]" "distinguished_name = n" "prompt = no" "[n]" "CN = Time Stamping" "[x]" \
  "extendedKeyUsage = critical, timeStamping" "subjectAltName = URI:https://tsa.example, DNS:tsa.example" "[tsa]" \
  "default_tsa = t" "[t]" "serial = serial" "signer_digest = sha256" "default_policy = 1.2.3.4" "digests = sha256" > ts.cnf
openssl req -x509 -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.pem -days 30 -config ts.cnf -extensions x 2>log
echo 01 > serial
echo content > content
openssl ts -query -data content -sha256 -cert -out query 2>>log
openssl ts -reply -config ts.cnf -queryfile query -inkey tsa.key -signer tsa.pem -token_out -out token 2>>log
openssl cms -verify -noverify -inform DER -in token -out stated 2>>log

cat > name.py <<'PYTHON'
import sys
from pathlib import Path

from asn1crypto import tsp, x509

stated = tsp.TSTInfo.load(Path("stated").read_bytes())
if sys.argv[1] == "directory_name":
    (certificate,) = tsp.TimeStampResp.load(Path("reply").read_bytes())["time_stamp_token"]["content"]["certificates"]
    name = x509.GeneralName("directory_name", certificate.chosen.subject)
else:
    name = x509.GeneralName(sys.argv[1], sys.argv[2])
stated["tsa"] = name
Path("named").write_bytes(stated.dump(force=True))
PYTHON
cat > read.py <<'PYTHON'
from pathlib import Path

import rfc3161_client
from cryptography import x509

roots = x509.load_pem_x509_certificates(Path("tsa.pem").read_bytes())
response = rfc3161_client.decode_timestamp_response(Path("reply").read_bytes())
verified = rfc3161_client.VerifierBuilder(roots=roots).build().verify_message(response, b"content\n")
try:
    print("verified" if verified else "not verified", response.tst_info.name)
except ValueError as error:
    print("verified" if verified else "not verified", repr(error))
PYTHON

results=""
openssl ts -reply -token_in -in token -out reply 2>>log
for form in "directory_name -" "uniform_resource_identifier https://tsa.example" "dns_name tsa.example"; do
  read -r kind name <<<"$form"
  venv/bin/python name.py "$kind" "$name"
  # What the token states, signed again: the signing-certificate attribute that a token needs comes with -cades.
  openssl cms -sign -binary -nodetach -cades -nosmimecap -md sha256 -econtent_type 1.2.840.113549.1.9.16.1.4 -in named \
    -inkey tsa.key -signer tsa.pem -outform DER -out token 2>>log
  openssl ts -reply -token_in -in token -out reply 2>>log
  openssl_says=$(openssl ts -verify -data content -in reply -CAfile tsa.pem 2>>log || true)
  results+="$kind: openssl $openssl_says; rfc3161-client $(venv/bin/python read.py)
"
done
echo "$results"
[ "$results" = "directory_name: openssl Verification: OK; rfc3161-client verified <DirectoryName(value=<Name(CN=Time\
 Stamping)>)>
uniform_resource_identifier: openssl Verification: OK; rfc3161-client verified ValueError('Unknown name form')
dns_name: openssl Verification: OK; rfc3161-client verified ValueError('Unknown name form')
" ]
