#!/usr/bin/env bash
# Python's email package reads a signed mail and writes it again, as programs do that pass mails on: does the signature hold?
#
# Versions: CPython 3.14.2, as pyodide 314.0.7 from npm has it; Node.js 20 or newer; OpenSSL 3.0 or newer.
# One would guess: yes. By its documentation email.generator folds no header of multipart/signed and of what is in it, for the
#   sake of S/MIME, and a message that is parsed and written under one policy is the same message. Headers within the signed
#   part are usual since they are protected there (RFC 9788).
# What happens: a header whose text begins on its second line is joined to one line, and the signature is wrong. RFC 5322,
#   2.2.3, permits this form, and the package itself writes it where the first word is too long for the first line. A header
#   that is folded later stays as it is. CPython 3.11.7 leaves "Subject: " with a space and the fold as it is. (Open at CPython
#   as issue 153822, for PGP.)
# The product: notifications/mail/mail.py (_encoded) begins the text of each header on its first line, whatever its length;
#   tests/unit/test_mail.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --no-update-notifier pyodide@314.0.7 >log 2>&1 || { cat log; exit 1; }
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 30 -subj /CN=SOC \
  -addext subjectAltName=email:soc@provider.example -addext extendedKeyUsage=emailProtection 2>>log
cat > again.mjs <<'JAVASCRIPT'
import { readFileSync, writeFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const python = await loadPyodide();
console.log("CPython " + python.runPython("import email, email.policy, platform; platform.python_version()"));
for (const name of process.argv.slice(2)) {
  python.globals.set("mail", readFileSync(name, "latin1"));
  const again = "email.message_from_bytes(mail.encode('latin-1'), policy=email.policy.SMTP).as_bytes().decode('latin-1')";
  writeFileSync("again_" + name, python.runPython(again), "latin1");
}
JAVASCRIPT

verified() { if openssl cms -verify -noverify -in "$1" -out content 2>>log; then echo holds; else echo is wrong; fi; }

write_mail() { # subject as it is written, name of the file
  printf 'Content-Type: text/plain; hp="clear"\r\nSubject: %b\r\n\r\nwords\r\n' "$1" > entity
  openssl cms -sign -binary -in entity -signer certificate.pem -inkey key.pem -outform DER -out signature.p7s
  {
    printf 'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="signed"; micalg=sha-256;\r\n'
    printf ' protocol="application/pkcs7-signature"\r\n\r\n--signed\r\n'
    cat entity
    printf '\r\n--signed\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    base64 signature.p7s | sed 's/$/\r/'
    printf '\r\n--signed--\r\n'
  } > "$2"
}

long_word=$(printf 'x%.0s' {1..80})
write_mail 'INC-2026-000042:\r\n a disk' folded_later
write_mail "$long_word" not_folded
write_mail "\r\n $long_word" folded_first
node again.mjs folded_later not_folded folded_first
results=$(for name in folded_later not_folded folded_first; do
  echo "$name: as it was sent it $(verified $name), written again it $(verified again_$name)"
done)
echo "$results"
grep -a -A1 '^Subject: ' folded_first
echo "became"
grep -a -A1 '^Subject: ' again_folded_first
[ "$results" = 'folded_later: as it was sent it holds, written again it holds
not_folded: as it was sent it holds, written again it holds
folded_first: as it was sent it holds, written again it is wrong' ]
