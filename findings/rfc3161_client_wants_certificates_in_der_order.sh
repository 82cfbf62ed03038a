#!/usr/bin/env bash
# rfc3161-client and the timestamps of an authority that runs "openssl ts -reply -chain": does it take them?
#
# Versions: rfc3161-client 1.0.9 and cryptography 50.0.2 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or newer.
# One would guess: a token that openssl writes and openssl verifies can be read by any RFC 3161 client.
# What happens: openssl writes the certificates of a token in the order of its files, the signer's first. In DER a SET OF
#   is sorted (X.690, 11.6), and rfc3161-client refuses any other order with "InvalidSetOrdering". The signature does not
#   cover the certificates: sorted, the same token verifies in both.
# The product: notifications/crypto/der.py (parse_timestamp_reply) gives the library the reply with its sets sorted, and
#   the authority's own bytes are kept; tests/adapters/test_timestamp_authorities.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  rfc3161-client==1.0.9 cryptography==50.0.2 cffi==2.1.1 pycparser==3.0
cd "$folder"

# A root with a small EC key and a signer with a large RSA key: written first, the longer certificate is out of order.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem -days 30 -subj /CN=Root 2>log
openssl req -new -newkey rsa:2048 -nodes -keyout tsa.key -out tsa.csr -subj "/CN=Time Stamping" 2>>log
echo "extendedKeyUsage = critical, timeStamping" > extensions
openssl x509 -req -in tsa.csr -CA root.pem -CAkey root.key -set_serial 2 -days 30 -extfile extensions -out tsa.pem 2>>log
printf '%s\n' "[tsa]" "default_tsa = t" "[t]" "serial = serial" "signer_digest = sha256" "default_policy = 1.2.3.4" \
  "digests = sha256" > ts.cnf
echo 01 > serial
echo content > content
openssl ts -query -data content -sha256 -cert -out query 2>>log
openssl ts -reply -config ts.cnf -queryfile query -inkey tsa.key -signer tsa.pem -chain root.pem -out reply 2>>log
openssl_says=$(openssl ts -verify -data content -in reply -CAfile root.pem 2>>log)

cat > read.py <<'PYTHON'
from pathlib import Path

import rfc3161_client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

root, signer = (x509.load_pem_x509_certificate(Path(name).read_bytes()) for name in ("root.pem", "tsa.pem"))
small, large = (item.public_bytes(Encoding.DER) for item in (root, signer))
reply = Path("reply").read_bytes()
assert large + small in reply, "openssl wrote another order"
verifier = rfc3161_client.VerifierBuilder(roots=[root]).build()
for name, data in (("as written", reply), ("sorted", reply.replace(large + small, small + large))):
    Path("reply").write_bytes(data)
    try:
        response = rfc3161_client.decode_timestamp_response(data)
        print(name + ":", "verified" if verifier.verify_message(response, b"content\n") else "not verified")
    except ValueError as error:
        print(name + ":", "InvalidSetOrdering" if "InvalidSetOrdering" in str(error) else error)
PYTHON
library_says=$("$folder/venv/bin/python" read.py)
sorted_says=$(openssl ts -verify -data content -in reply -CAfile root.pem 2>>log)
echo "openssl, as written: $openssl_says"
echo "openssl, sorted: $sorted_says"
echo "$library_says" | sed 's/^/rfc3161-client, /'
[ "$openssl_says" = "Verification: OK" ]
[ "$sorted_says" = "Verification: OK" ]
[ "$library_says" = "as written: InvalidSetOrdering
sorted: verified" ]
