#!/usr/bin/env bash
# rfc3161-client and a timestamp that is exact to the microsecond: which time does it give?
#
# Versions: rfc3161-client 1.0.9, cryptography 50.0.2 and rfc3161ng 2.1.3 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or
#   newer.
# One would guess: gen_time is a datetime, which has microseconds, so it has those of the token. RFC 3161, 2.4.2, permits
#   a fraction of a second in genTime, and "openssl ts" writes one with clock_precision_digits.
# What happens: the token verifies, and gen_time is its whole second. Nothing is raised. What the authority dated after an
#   event of the same second seems to be before it. openssl and rfc3161ng give the fraction.
# The product: notifications/crypto/der.py reads the fraction from the token and timestamps.py adds it, so that the
#   evidence states the authority's own time; tests/adapters/test_timestamp_authorities.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
  rfc3161-client==1.0.9 cryptography==50.0.2 rfc3161ng==2.1.3
cd "$folder"

printf '%s\n' "[req]" "distinguished_name = n" "prompt = no" "[n]" "CN = Time Stamping" "[x]" \
  "extendedKeyUsage = critical, timeStamping" "[tsa]" "default_tsa = t" "[t]" "serial = serial" \
  "signer_digest = sha256" "default_policy = 1.2.3.4" "digests = sha256" "clock_precision_digits = 6" > ts.cnf
openssl req -x509 -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.pem -days 30 -config ts.cnf -extensions x 2>log
echo 01 > serial
echo content > content
openssl ts -query -data content -sha256 -cert -out query 2>>log
# In one of a million microseconds there is no fraction: then once more.
while
  openssl ts -reply -config ts.cnf -queryfile query -inkey tsa.key -signer tsa.pem -out reply 2>>log
  stated=$(openssl ts -reply -in reply -text 2>>log | grep -o '[0-9:]\{8\}\.[0-9]*' || true)
  [ -z "$stated" ]
do :; done
openssl ts -verify -data content -in reply -CAfile tsa.pem >/dev/null 2>>log

cat > read.py <<'PYTHON'
from pathlib import Path

import rfc3161_client
import rfc3161ng
from cryptography import x509

reply = Path("reply").read_bytes()
response = rfc3161_client.decode_timestamp_response(reply)
roots = x509.load_pem_x509_certificates(Path("tsa.pem").read_bytes())
rfc3161_client.VerifierBuilder(roots=roots).build().verify_message(response, b"content\n")
token = rfc3161ng.decode_timestamp_response(reply).time_stamp_token
for at in (response.tst_info.gen_time, rfc3161ng.get_timestamp(token)):
    print(f"{at:%H:%M:%S}" + f".{at.microsecond:06}".rstrip("0").rstrip("."))
PYTHON
{ read -r client_says; read -r other_says; } < <("$folder/venv/bin/python" read.py)
echo "openssl:        $stated"
echo "rfc3161ng:      $other_says"
echo "rfc3161-client: $client_says, verified"
[ "$other_says" = "$stated" ]
[ "$client_says" = "${stated%.*}" ]
