#!/usr/bin/env bash
# The certificate of a sender is for e-mail protection. The authority that issued it is for any purpose: its extendedKeyUsage is
# anyExtendedKeyUsage. Does a signed mail verify?
#
# Versions: OpenSSL 3.0 or newer (seen with 3.0.19); libnss3-tools 3.87.1 of Debian 12 (certutil -V, for usage S);
#   cryptography 50.0.2 from PyPI. CPython 3.11 or newer.
# One would guess: yes. By RFC 5280, 4.2.1.12, the extension names what a key may be used for, and this value says that its use
#   is not restricted; by openssl's manual the extension "must allow for emailProtection". The RFC lets a program that requires
#   a particular purpose refuse this value, but both programs require none of an authority: without the extension it is fine.
# What happens: both refuse the authority: "unsuitable certificate purpose", "Issuer certificate is invalid". To them "any" in an
#   authority is less than no extension at all; beside emailProtection it is fine. cryptography takes such an authority (seen
#   here for a TLS client, the form that it knows by itself), so a sender who checks a new chain with it notices nothing.
# The product: greffier keys rotate signing --install says so of such a chain (service/key_rotation/rotation.py,
#   _any_purpose_fault); tests/adapters/test_key_rotation.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check cryptography==50.0.2
cd "$folder"
issue() { # name, issuer, lines of extensions
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>>log
  printf '%s\n' "subjectKeyIdentifier = hash" "authorityKeyIdentifier = keyid" "${@:3}" > extensions
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 30 -extfile extensions -out "$1.pem" 2>>log
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout Root.key -out Root.pem -days 30 -subj /CN=Root \
  -addext "keyUsage = critical, keyCertSign, cRLSign" 2>log
cat > verify.py <<'PYTHON'
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

root, authority, leaf = (x509.load_pem_x509_certificate(Path(f"{name}.pem").read_bytes()) for name in ("Root", "S", "Tls"))
try:
    PolicyBuilder().store(Store([root])).build_client_verifier().verify(leaf, [authority])
    print("OK")
except VerificationError as error:
    print(str(error).rpartition(": ")[2])
PYTHON

results=""
for purposes in none any "any, emailProtection"; do
  lines=("basicConstraints = critical, CA:true" "keyUsage = critical, keyCertSign, cRLSign")
  if [ "$purposes" != none ]; then lines+=("extendedKeyUsage = ${purposes/any/anyExtendedKeyUsage}"); fi
  issue S Root "${lines[@]}"
  issue Zoe S "subjectAltName = email:zoe@valmont.example" "extendedKeyUsage = emailProtection"
  issue Tls S "subjectAltName = DNS:valmont.example" "extendedKeyUsage = clientAuth"
  by_openssl=$(openssl verify -purpose smimesign -CAfile Root.pem -untrusted S.pem Zoe.pem 2>&1 || true)
  rm -rf store
  mkdir store
  certutil -N -d sql:store --empty-password
  for each in Root:,C, S:,, Zoe:,,; do certutil -A -d sql:store -n "${each%%:*}" -t "${each#*:}" -a -i "${each%%:*}.pem"; done
  by_nss=$(certutil -V -d sql:store -n Zoe -u S 2>&1 || true)
  results+="$purposes: openssl $(grep -Eo "OK$|unsuitable.*" <<<"$by_openssl"); NSS ${by_nss#certutil: }; cryptography $(
    venv/bin/python verify.py)
"
done
echo "$results"
[ "$results" = "none: openssl OK; NSS certificate is valid; cryptography OK
any: openssl unsuitable certificate purpose; NSS certificate is invalid: Issuer certificate is invalid.; cryptography OK
any, emailProtection: openssl OK; NSS certificate is valid; cryptography OK
" ] || { echo "this has changed"; exit 1; }
