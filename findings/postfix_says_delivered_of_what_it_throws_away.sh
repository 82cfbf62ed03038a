#!/usr/bin/env bash
# A customer's Postfix throws away the mail to an address of somebody who left (transport "discard:") and is asked to report
# success (NOTIFY=SUCCESS): what does it report?
#
# Versions: Postfix 3.7.11 of Debian 12, in a folder of its own (chroot, needs root). CPython 3.11 or newer.
# One would guess: nothing, as for the DISCARD action of its access tables, of which no report comes; or "expanded" at most, as
#   for an alias to /dev/null. RFC 3464, 2.3.3, has "delivered" for a message that was delivered to the recipient's address.
# What happens: "Successful Mail Delivery Report", "Action: delivered", "Status: 2.0.0", though the mail is nowhere. The reason
#   that the operator wrote, or else the domain, is the Diagnostic-Code, and nothing calls it a discard. A mail that is in a
#   mailbox differs from it by the words "delivery via".
# The product: notifications/mail/bounce_parser.py (_THROWN_AWAY_BY_POSTFIX) takes such a report for one that a person must read;
#   tests/faults/test_returned_mails.py and returned_mails/postfix_discarded.eml beside it show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
mkdir -p lists/partial cache/archives/partial root/{dev,etc/postfix,tmp,usr/{bin,lib,lib64,sbin},var/{lib,spool}/postfix,var/mail}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "root/$name"; done
apt=(apt-get -qq -o APT::Sandbox::User=root -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
"${apt[@]}" update
"${apt[@]}" download postfix=3.7.11-0+deb12u1 libc6 libcom-err2 libdb5.3 libgcc-s1 libgssapi-krb5-2 libicu72 libk5crypto3 \
  libkeyutils1 libkrb5-3 libkrb5support0 libnsl2 libsasl2-2 libssl3 libstdc++6 libtirpc3
for package in *.deb; do dpkg -x "$package" unpacked; done
cp -a unpacked/usr root/
for name in lib lib64; do [ ! -d "unpacked/$name" ] || cp -a "unpacked/$name/." "root/usr/$name/"; done
mknod -m 666 root/dev/null c 1 3
mknod -m 666 root/dev/urandom c 1 9
printf '%s\n' root:x:0:0::/:/bin/false postfix:x:901:901::/var/spool/postfix:/bin/false nobody:x:65534:65534::/:/bin/false \
  max:x:1001:1001::/tmp:/bin/false > root/etc/passwd
printf '%s\n' root:x:0: postfix:x:901: postdrop:x:902: max:x:1001: > root/etc/group
echo "127.0.0.1 localhost" > root/etc/hosts
chmod 1777 root/var/mail
(
  cd root/var/spool/postfix
  mkdir pid active bounce corrupt defer deferred flush hold incoming private saved trace public maildrop
  chown 901:0 ../../lib/postfix active bounce corrupt defer deferred flush hold incoming private saved trace
  chown 901:902 public maildrop
)

results=$(python3 - <<'PYTHON'
import queue
import smtplib
import socket
import socketserver
import subprocess
import threading
from pathlib import Path

MAIN = """
compatibility_level = 3.6
myhostname = mx.valmont.example
mydestination = valmont.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
biff = no
alias_maps = inline:{{ {{ gone = /dev/null }} }}
local_recipient_maps =
transport_maps = inline:{{
  {{ provider.example = smtp:[127.0.0.1]:{port} }},
  {{ left@valmont.example = discard: }},
  {{ zoe@valmont.example = discard:left in 2025 }}
 }}
"""
#: name, type, private, unprivileged, process limit, program
SERVICES = """
127.0.0.1:{port} inet n - - smtpd
cleanup unix n - 0 cleanup
qmgr unix n - 1 qmgr
rewrite unix - - - trivial-rewrite
bounce unix - - 0 bounce
defer unix - - 0 bounce
trace unix - - 0 bounce
smtp unix - - - smtp
local unix - n - local
discard unix - - - discard
anvil unix - - 1 anvil
"""
reports = queue.Queue()


class Sender(socketserver.StreamRequestHandler):
    """The mail server that takes the reports to the sender."""

    def handle(self):
        self.wfile.write(b"220 mail.provider.example ESMTP\r\n")
        text = None
        for line in self.rfile:
            if text is None:
                if line == b"DATA\r\n":
                    text = []
                self.wfile.write(b"354 go on\r\n" if text == [] else b"250 Ok\r\n")
            elif line == b".\r\n":
                reports.put(text)
                text = None
                self.wfile.write(b"250 Ok\r\n")
            else:
                text.append(line.decode().strip())


def connected():
    """Return a client of the server, as soon as it listens."""
    while server.poll() is None:
        try:
            client = smtplib.SMTP("127.0.0.1", port)
        except ConnectionRefusedError:
            continue
        client.ehlo("client.example")
        return client
    raise SystemExit("the server ended")


sender = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sender)
sender.daemon_threads = True
threading.Thread(target=sender.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
Path("root/etc/postfix/main.cf").write_text(MAIN.format(port=sender.server_address[1]))
services = (line.split() for line in SERVICES.format(port=port).strip().splitlines())
master = (f"{name} {kind} {private} {user} n - {most} {program}\n" for name, kind, private, user, most, program in services)
Path("root/etc/postfix/master.cf").write_text("".join(master))
with subprocess.Popen(["chroot", "root", "/usr/lib/postfix/sbin/master", "-c", "/etc/postfix"]) as server:
    try:
        for name in ("max", "gone", "left", "zoe"):
            with connected() as client:
                client.sendmail("bounce@provider.example", [f"{name}@valmont.example"], "Subject: x\r\n\r\nwords\r\n",
                                rcpt_options=["NOTIFY=SUCCESS,FAILURE"])  # fmt: skip
            report = reports.get(timeout=60)
            kept = Path("root/var/mail", name).exists()
            print(f"{name}: {'in the mailbox' if kept else 'nowhere'};", *(line for line in report if line.startswith("Action:")))
            print(" ", *(line for line in report if line.startswith("Diagnostic-Code:")))
    finally:
        server.terminate()
PYTHON
)
echo "$results"
[ "$results" = 'max: in the mailbox; Action: delivered
  Diagnostic-Code: X-Postfix; delivery via local: delivered to mailbox
gone: nowhere; Action: expanded
  Diagnostic-Code: X-Postfix; delivery via local: alias expanded
left: nowhere; Action: delivered
  Diagnostic-Code: X-Postfix; valmont.example
zoe: nowhere; Action: delivered
  Diagnostic-Code: X-Postfix; left in 2025' ]
