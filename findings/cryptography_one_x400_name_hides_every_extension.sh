#!/usr/bin/env bash
# cryptography and a certificate with an X.400 name beside its mail address: what can be read of it?
#
# Versions: cryptography 50.0.2 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or newer.
# One would guess: the mail address and the key usage can be read, and the X.400 name is unknown; or the certificate is
#   refused with ValueError, as a malformed one is.
# What happens: the certificate loads. Asked for any extension, also for one without names, the library raises
#   UnsupportedGeneralNameType, which is no ValueError. A handler for malformed certificates lets it through.
# The product: notifications/mail/enveloped.py (certificate_fault) refuses the certificate with this reason;
#   tests/unit/test_recipient_certificates.py and tests/end_to_end/test_import_export.py show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  cryptography==50.0.2 cffi==2.1.1 pycparser==3.0
cd "$folder"

# GeneralNames { rfc822Name "zoe@valmont.example", x400Address { country "FR" } } (RFC 5280, 4.2.1.6)
names=301f8113$(printf 'zoe@valmont.example' | od -An -tx1 | tr -d ' \n')a3083006610413024652
printf '%s\n' "[req]" "distinguished_name = n" "prompt = no" "[n]" "CN = Reader" "[x]" "keyUsage = keyEncipherment" \
  "subjectAltName = DER:$names" > req.cnf
openssl req -x509 -newkey rsa:2048 -nodes -keyout reader.key -out reader.pem -days 30 -config req.cnf -extensions x 2>log
openssl_reads=$(openssl x509 -in reader.pem -noout -ext subjectAltName,keyUsage | tr -s ' \n' ' ')

library_reads=$("$folder/venv/bin/python" - <<'PYTHON'
from pathlib import Path

from cryptography import x509

certificate = x509.load_pem_x509_certificate(Path("reader.pem").read_bytes())
for kind in (x509.SubjectAlternativeName, x509.KeyUsage):
    try:
        certificate.extensions.get_extension_for_class(kind)
        print(kind.__name__, "read")
    except Exception as error:
        print(kind.__name__, type(error).__name__, "is a ValueError:", isinstance(error, ValueError))
PYTHON
)
echo "openssl: $openssl_reads"
echo "$library_reads" | sed 's/^/cryptography: /'
[[ "$openssl_reads" == *"Key Encipherment"*"email:zoe@valmont.example"* ]]
[ "$library_reads" = "SubjectAlternativeName UnsupportedGeneralNameType is a ValueError: False
KeyUsage UnsupportedGeneralNameType is a ValueError: False" ]
