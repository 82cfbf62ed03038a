#!/usr/bin/env bash
# cryptography verifies a chain whose authority is limited to an organisation and its domain: does the chain hold?
#
# Versions: cryptography 50.0.2 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or newer.
# One would guess: yes. "Technically constrained" authorities for S/MIME, as large organisations have them, must be limited to
#   mail addresses and directory names (CA/Browser Forum, S/MIME Baseline Requirements, 7.1.5). Of all forms of names,
#   directory names are the one whose limits every application must process (RFC 5280, 4.2.1.10).
# What happens: the limit to a domain alone is applied: the chain holds, and that of another domain does not. With a limit to
#   a directory name no chain holds, whatever its names are: "unsupported directoryName constraint" (since pull request
#   15014). It is an error of the whole verification; no ExtensionPolicy changes it. openssl verify compares the names.
# The product: notifications/crypto/cms.py (verify_chain) does not say of such a certificate that it is wrong, but that
#   it cannot be judged here and what can judge it; greffier keys rotate --install refuses it before a notice is signed with
#   it. tests/unit/test_verification.py and tests/adapters/test_key_rotation.py show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  cryptography==50.0.2 cffi==2.1.1 pycparser==3.0
cd "$folder"

issue() { # name, issuer, lines of extensions
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
    -subj "/O=Valmont/CN=$1" 2>>log
  printf '%s\n' "subjectKeyIdentifier = hash" "authorityKeyIdentifier = keyid" "${@:3}" > extensions
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 30 -extfile extensions -out "$1.pem" 2>>log
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout Root.key -out Root.pem -days 30 -subj /CN=Root \
  -addext "keyUsage = critical, keyCertSign, cRLSign" 2>log

cat > verify.py <<'PYTHON'
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

root, authority, leaf = (x509.load_pem_x509_certificate(Path(f"{name}.pem").read_bytes()) for name in ("Root", "S", "Zoe"))
policies = {"ca_policy": ExtensionPolicy.webpki_defaults_ca(), "ee_policy": ExtensionPolicy.permit_all()}
verifier = PolicyBuilder().store(Store([root])).extension_policies(**policies)
try:
    verifier.build_client_verifier().verify(leaf, [authority])
    print("OK")
except VerificationError as error:
    print("unsupported" if "unsupported directoryName constraint" in str(error) else "refused")
PYTHON

results=""
show() { # name, mail address, lines of name constraints
  issue S Root "basicConstraints = critical, CA:true" "keyUsage = critical, keyCertSign, cRLSign" \
    "nameConstraints = critical, @l" "[l]" "permitted;email.0 = valmont.example" "${@:3}"
  issue Zoe S "subjectAltName = email:$2" "extendedKeyUsage = emailProtection"
  openssl_says=$(openssl verify -purpose smimesign -CAfile Root.pem -untrusted S.pem Zoe.pem 2>>log || true)
  results+="$1: openssl ${openssl_says:-refused}, cryptography $("$folder/venv/bin/python" verify.py)
"
}
show "domain, met" zoe@valmont.example
show "domain, not met" zoe@other.example
show "domain and directory name, met" zoe@valmont.example "permitted;dirName.1 = d" "[d]" "O = Valmont"
show "domain and directory name, not met" zoe@valmont.example "permitted;dirName.1 = d" "[d]" "O = Other"
echo "$results"
[ "$results" = "domain, met: openssl Zoe.pem: OK, cryptography OK
domain, not met: openssl refused, cryptography refused
domain and directory name, met: openssl Zoe.pem: OK, cryptography unsupported
domain and directory name, not met: openssl refused, cryptography unsupported
" ]
