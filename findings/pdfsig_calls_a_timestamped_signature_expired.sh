#!/usr/bin/env bash
# A PDF was signed and timestamped while its certificate was valid (PAdES B-T), and the certificate has ended since. What does
# poppler's pdfsig say of it?
#
# Versions: poppler-utils 22.12.0 and libnss3-tools 3.87.1 of Debian 12; pyHanko 0.38.0 and typst 0.15.2 from PyPI. CPython 3.11
#   or newer.
# One would guess: what it said before. The timestamp is in the signature so that it outlives its certificate (ETSI EN 319
#   142-1, level B-T; EN 319 102-1, 5.5): it proves that the signature was there while the certificate was valid.
# What happens: "Certificate has Expired", although it has the authority in its database and the timestamp is from within the
#   validity. pdfsig judges the certificate now, does not read the timestamp, and has no option for a moment, as openssl
#   has in -attime. The "Signing Time" that it shows is the signer's claim. Public certificates for mail last 825 days at most
#   (S/MIME Baseline Requirements, 6.3.2): in the end every notice looks so.
# The product: greffier verify judges the certificate at the time of the timestamp (service/notice_pdf/verification.py), and
#   README.md says what pdfsig means; tests/adapters/test_notice_pdf.py shows both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pyhanko==0.38.0 typst==0.15.2 cryptography==50.0.2
cd "$folder"

"$folder/venv/bin/python" - <<'PYTHON'
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typst
from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, fields, signers
from pyhanko.sign.timestamps import DummyTimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

NOW, DAY = datetime.now(UTC), timedelta(days=1)


def certificate(name, key, issuer_key, purpose=None, days=30):
    named, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, "Authority"))
    builder = x509.CertificateBuilder().subject_name(named).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(NOW - 60 * DAY).not_valid_after(NOW + days * DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=purpose is None, path_length=None), critical=True)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    return builder.sign(issuer_key, SHA256())


def for_pyhanko(certificate, key):
    info = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)), keys.PrivateKeyInfo.load(info)


authority_key, key = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
Path("authority.pem").write_bytes(certificate("Authority", authority_key, authority_key).public_bytes(Encoding.PEM))
stamping = for_pyhanko(certificate("Time Stamping", key, authority_key, ExtendedKeyUsageOID.TIME_STAMPING), key)
plain = typst.compile({"main.typ": b"Words"}, format="pdf", timestamp=0)
for name, days in (("valid", 30), ("ended", -30)):
    signing = for_pyhanko(certificate("Provider", key, authority_key, ExtendedKeyUsageOID.EMAIL_PROTECTION, days), key)
    wanted = PdfSignatureMetadata(field_name="S", subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256")
    signed = signers.sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(plain)),
        wanted,
        signer=signers.SimpleSigner(*signing, cert_registry=SimpleCertificateStore()),
        timestamper=DummyTimeStamper(*stamping, fixed_dt=NOW - 45 * DAY),
    )
    Path(f"{name}.pdf").write_bytes(signed.getvalue())
PYTHON
mkdir trust
certutil -N -d sql:trust --empty-password
certutil -A -d sql:trust -n Authority -t C,C,C -a -i authority.pem
results=""
for name in valid ended; do
  said=$(pdfsig -nssdir sql:trust "$name.pdf" | sed -n 's/^ *- [SC][a-z]* Validation://p' | tr -d '\n')
  results+="$name:$said
"
done
echo "$results"
[ "$results" = "valid: Signature is Valid. Certificate is Trusted.
ended: Signature is Valid. Certificate has Expired
" ]
