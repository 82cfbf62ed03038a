#!/usr/bin/env bash
# cryptography verifies the chain of a certificate for mail, with a policy of one's own for that certificate: does the chain
# of a usual S/MIME authority hold?
#
# Versions: cryptography 50.0.2 from PyPI; OpenSSL 3.0 or newer. CPython 3.11 or newer.
# One would guess: yes. ExtensionPolicy.permit_all() for the certificate itself leaves its purposes to the caller, and
#   webpki_defaults_ca() is about authorities. An authority below a root is limited to emailProtection in its
#   extendedKeyUsage (CA/Browser Forum, S/MIME Baseline Requirements, 7.1.2.2; Mozilla's root store policy, 5.3, demands the
#   limit). RFC 5280 has no purpose that every authority must have.
# What happens: the verifier of "clients" wants clientAuth in the authority too: "Neither EKU nor anyEKU could be found".
#   Without the extension, as test authorities mostly are, or with clientAuth beside emailProtection, the same chain holds.
#   openssl verify -purpose smimesign takes all three.
# The product: notifications/crypto/cms.py (_authority_policy) asks for e-mail protection instead;
#   tests/unit/test_verification.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  cryptography==50.0.2 cffi==2.1.1 pycparser==3.0
cd "$folder"

issue() { # name, issuer, lines of extensions
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>>log
  printf '%s\n' "subjectKeyIdentifier = hash" "authorityKeyIdentifier = keyid" "${@:3}" > extensions
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 30 -extfile extensions -out "$1.pem" 2>>log
}
authority=("basicConstraints = critical, CA:true" "keyUsage = critical, keyCertSign, cRLSign")
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout Root.key -out Root.pem -days 30 -subj /CN=Root \
  -addext "keyUsage = critical, keyCertSign, cRLSign" 2>log

cat > verify.py <<'PYTHON'
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

root, authority, leaf = (x509.load_pem_x509_certificate(Path(f"{name}.pem").read_bytes()) for name in ("Root", "S", "Zoe"))
policies = {"ca_policy": ExtensionPolicy.webpki_defaults_ca(), "ee_policy": ExtensionPolicy.permit_all()}
verifier = PolicyBuilder().store(Store([root])).extension_policies(**policies).build_client_verifier()
try:
    verifier.verify(leaf, [authority])
    print("OK")
except VerificationError as error:
    print(str(error).rpartition(": ")[2])
PYTHON

results=""
for purposes in none "emailProtection, clientAuth" emailProtection; do
  lines=("${authority[@]}")
  if [ "$purposes" != none ]; then lines+=("extendedKeyUsage = $purposes"); fi
  issue S Root "${lines[@]}"
  issue Zoe S "subjectAltName = email:zoe@valmont.example" "extendedKeyUsage = emailProtection"
  openssl_says=$(openssl verify -purpose smimesign -CAfile Root.pem -untrusted S.pem Zoe.pem 2>>log)
  results+="$purposes: openssl ${openssl_says#Zoe.pem: }, cryptography $("$folder/venv/bin/python" verify.py)
"
done
echo "$results"
[ "$results" = "none: openssl OK, cryptography OK
emailProtection, clientAuth: openssl OK, cryptography OK
emailProtection: openssl OK, cryptography Neither EKU nor anyEKU could be found
" ]
