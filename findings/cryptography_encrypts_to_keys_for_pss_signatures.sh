#!/usr/bin/env bash
# cryptography and a mail that is encrypted to a certificate with an RSASSA-PSS key: can its reader open it?
#
# Versions: cryptography 50.0.2 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or newer.
# One would guess: the builder refuses the certificate. Its key is for signatures only (RFC 4055, 1.2).
# What happens: the library reads the key as any RSA key, and PKCS7EnvelopeBuilder encrypts to it without a word. openssl
#   with the certificate's own key cannot open the result; the reader gets a mail that is lost.
# The product: notifications/mail/enveloped.py (certificate_fault) looks at the key's algorithm and refuses the
#   certificate; tests/unit/test_recipient_certificates.py and tests/end_to_end/test_contacts.py show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  cryptography==50.0.2 cffi==2.1.1 pycparser==3.0
cd "$folder"

results=""
for algorithm in RSA RSA-PSS; do
  openssl genpkey -algorithm "$algorithm" -pkeyopt rsa_keygen_bits:2048 -out reader.key 2>>log
  openssl req -x509 -new -key reader.key -out reader.pem -days 30 -subj /CN=Reader
  "$folder/venv/bin/python" - <<'PYTHON'
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

reader = x509.load_pem_x509_certificate(Path("reader.pem").read_bytes())
builder = pkcs7.PKCS7EnvelopeBuilder().set_data(b"secret").add_recipient(reader)
sealed = builder.set_content_encryption_algorithm(AES256).encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])
Path("mail.p7m").write_bytes(sealed)
PYTHON
  opened=$(openssl cms -decrypt -inform DER -in mail.p7m -inkey reader.key -recip reader.pem 2>>log || echo "not opened")
  echo "encrypted to an $algorithm key by cryptography, by openssl: $opened"
  results+="$algorithm: $opened
"
done
[ "$results" = "RSA: secret
RSA-PSS: not opened
" ]
