#!/usr/bin/env bash
# A customer's Postfix verifies senders (reject_unverified_sender) and gets a mail with a return path (VERP). The server of the
# return paths takes bounces only, as it is there for nothing else: does the mail arrive?
#
# Versions: Postfix 3.7.11 of Debian 12, in a folder of its own (chroot, needs root). CPython 3.11 or newer.
# One would guess: yes. The question is whether a bounce could be delivered, so it is put as a bounce is: MAIL FROM:<>, RCPT TO
#   the return path, and no content (RFC 5321, 4.5.5: reports have the empty reverse-path).
# What happens: Postfix asks with MAIL FROM:<double-bounce@...>, an address of its own (address_verify_sender). A server that
#   refuses every sender but <> refuses that, and so Postfix refuses the mail: 450 4.1.7 by default, on which a relay tries again
#   for days, although the server would take each bounce. Each mail has a return path of its own, so each is asked for.
# The product: service/channels/bounce_listener.py looks at the recipient alone and takes any sender;
#   tests/adapters/test_bounce_listener.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
mkdir -p lists/partial cache/archives/partial root/{dev,etc/postfix,tmp,usr/{bin,lib,lib64,sbin},var/{lib,spool}/postfix}
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
  > root/etc/passwd
printf '%s\n' root:x:0: postfix:x:901: postdrop:x:902: > root/etc/group
echo "127.0.0.1 localhost" > root/etc/hosts
(
  cd root/var/spool/postfix
  mkdir pid active bounce corrupt defer deferred flush hold incoming private saved trace public maildrop
  chown 901:0 ../../lib/postfix active bounce corrupt defer deferred flush hold incoming private saved trace
  chown 901:902 public maildrop
)

results=$(python3 - <<'PYTHON'
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
transport_maps = inline:{{ {{ bounces.provider.example = smtp:[127.0.0.1]:{port} }} }}
alias_maps =
local_recipient_maps =
address_verify_map =
smtpd_recipient_restrictions = reject_unverified_sender, permit_auth_destination, reject
"""
#: name, type, private, process limit, program
SERVICES = """
127.0.0.1:{port} inet n - smtpd
cleanup unix n 0 cleanup
qmgr unix n 1 qmgr
rewrite unix - - trivial-rewrite
bounce unix - 0 bounce
defer unix - 0 bounce
trace unix - 0 bounce
verify unix - 1 verify
smtp unix - - smtp
anvil unix - 1 anvil
"""
asked = []
only_reports = False


class ReturnPaths(socketserver.StreamRequestHandler):
    """The server of the return paths. It takes every sender, or only the null sender of reports."""

    def handle(self):
        self.wfile.write(b"220 bounces.provider.example ESMTP\r\n")
        for line in self.rfile:
            said = line.decode().strip()
            asked.append(said)
            refused = only_reports and said.startswith("MAIL") and not said.startswith("MAIL FROM:<>")
            self.wfile.write(b"550 5.7.1 bounces only\r\n" if refused else b"250 Ok\r\n")


def connected():
    """Return a client of the server, as soon as it listens."""
    while server.poll() is None:
        try:
            client = smtplib.SMTP("127.0.0.1", port)
        except ConnectionRefusedError:
            continue
        client.ehlo("relay.provider.example")
        return client
    raise SystemExit("the server ended")


bounces = socketserver.ThreadingTCPServer(("127.0.0.1", 0), ReturnPaths)
bounces.daemon_threads = True
threading.Thread(target=bounces.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
Path("root/etc/postfix/main.cf").write_text(MAIN.format(port=bounces.server_address[1]))
services = (line.split() for line in SERVICES.format(port=port).strip().splitlines())
master = (f"{name} {kind} {private} - n - {most} {program}\n" for name, kind, private, most, program in services)
Path("root/etc/postfix/master.cf").write_text("".join(master))
with subprocess.Popen(["chroot", "root", "/usr/lib/postfix/sbin/master", "-c", "/etc/postfix"]) as server:
    try:
        for number, only_reports in enumerate((False, True)):
            with connected() as client:
                client.mail(f"bounce+{number}@bounces.provider.example")
                code, text = client.rcpt("zoe@valmont.example")
            print("bounces only:" if only_reports else "any sender:", *(said for said in asked if said[:4] in ("MAIL", "RCPT")))
            print("  the mail:", code, text.decode())
            asked.clear()
    finally:
        server.terminate()
PYTHON
)
echo "$results"
[ "$results" = 'any sender: MAIL FROM:<double-bounce@mx.valmont.example> RCPT TO:<bounce+0@bounces.provider.example>
  the mail: 250 2.1.5 Ok
bounces only: MAIL FROM:<double-bounce@mx.valmont.example>
  the mail: 450 4.1.7 <bounce+1@bounces.provider.example>: Sender address rejected: unverified address: '\
'host 127.0.0.1[127.0.0.1] said: 550 5.7.1 bounces only (in reply to MAIL FROM command)' ]
