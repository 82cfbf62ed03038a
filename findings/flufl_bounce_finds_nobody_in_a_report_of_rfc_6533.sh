#!/usr/bin/env bash
# flufl.bounce, Mailman's reader of bounces, and the bounce of a mail that was sent with SMTPUTF8: who did not get it?
#
# Versions: flufl.bounce 6.0.0 from PyPI. CPython 3.11 or newer.
# One would guess: the recipient in Final-Recipient, as always. The report has the same fields; RFC 6533 only calls it
#   message/global-delivery-status. Postfix (seen with 3.7.11) does so for every mail that came with SMTPUTF8, also where
#   each address is in ASCII and stands there as "rfc822; …".
# What happens: the library finds nobody, neither for good nor for now. Python's email package divides
#   message/delivery-status into its blocks, and takes a part of the other name for a mail: the first block is its header,
#   the recipient's block is its text.
# The product: notifications/mail/mime_reading.py gives the part as it is, and bounce_parser.py reads both names;
#   tests/unit/test_bounce.py and tests/faults/returned_mails/postfix_smtputf8_unknown_user.eml show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check flufl.bounce==6.0.0
results=$("$folder/venv/bin/python" - <<'PYTHON'
from email import message_from_bytes

from flufl.bounce import all_failures

BOUNCE = """\
From: MAILER-DAEMON@mx.valmont.example
To: bounces@provider.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

The message could not be delivered.

--b
Content-Type: message/%s

Reporting-MTA: dns; mx.valmont.example

Final-Recipient: rfc822; zoe@valmont.example
Action: failed
Status: 5.1.1

--b--
"""
for name in ("delivery-status", "global-delivery-status"):
    message = message_from_bytes((BOUNCE % name).replace("\n", "\r\n").encode())
    temporary, permanent = all_failures(message)
    blocks = message.get_payload(1).get_payload()
    print(f"message/{name}: {len(blocks)} blocks, temporary {sorted(temporary)}, permanent {sorted(permanent)}")
PYTHON
)
echo "$results"
[ "$results" = "message/delivery-status: 2 blocks, temporary [], permanent [b'zoe@valmont.example']
message/global-delivery-status: 1 blocks, temporary [], permanent []" ]
