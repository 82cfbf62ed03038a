#!/usr/bin/env bash
# OpenSMTPD and a client that sends mail after mail on one connection, each to one recipient: how does it say that the
# connection had enough?
#
# Versions: OpenSMTPD 6.8.0p2 of Debian 12, in a folder of its own (chroot, needs root). CPython 3.11 or newer.
# One would guess: 421, then it hangs up (RFC 5321, 3.8 and 4.2.2), as Exim does; the client connects anew. smtpd.conf(5) has
#   the limit, "smtp limit max-mails", by default 100 messages a session, and does not say what follows it.
# What happens: MAIL of the 101st message gets "452 4.5.3 Too many recipients", though it has none yet, and the connection stays
#   open and answers. A pool that keeps a connection after a refusal for now gives it every next mail, each is refused alike,
#   and a retry later is too. On a new connection the same mail is taken at once.
# The product: service/channels/smtp_reply.py (is_connection_used_up) knows the reply, and smtp_connection.py replaces the
#   connection; tests/adapters/test_email_smtp.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p lists/partial cache/archives/partial root/{dev,etc,tmp,usr/{bin,lib,lib64,sbin},var/run,var/spool/smtpd}
for name in bin lib lib64 sbin; do ln -s "usr/$name" "root/$name"; done
apt=(apt-get -qq -o APT::Sandbox::User=root -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
"${apt[@]}" update
"${apt[@]}" download opensmtpd=6.8.0p2-4+b4 libevent-2.1-7 libdb5.3 libssl3 libcrypt1 libpam0g libaudit1 libcap-ng0 zlib1g libc6
for package in *.deb; do dpkg -x "$package" unpacked; done
cp -a --remove-destination unpacked/usr root/
cp -a unpacked/var root/
for name in lib lib64; do [ ! -d "unpacked/$name" ] || cp -a "unpacked/$name/." "root/usr/$name/"; done
mknod -m 666 root/dev/null c 1 3
mknod -m 666 root/dev/urandom c 1 9
printf '%s\n' root:x:0:0::/:/bin/false opensmtpd:x:901:901::/var/lib/opensmtpd/empty:/bin/false \
  opensmtpq:x:902:902::/var/lib/opensmtpd/empty:/bin/false > root/etc/passwd
printf '%s\n' root:x:0: opensmtpd:x:901: opensmtpq:x:902: > root/etc/group
echo "127.0.0.1 localhost" > root/etc/hosts
chmod 711 root/var/spool/smtpd

results=$(python3 - <<'PYTHON'
import smtplib
import socket
import subprocess
from pathlib import Path


def connected():
    """Return a client of the server, as soon as it listens."""
    while server.poll() is None:
        try:
            client = smtplib.SMTP("127.0.0.1", port)
        except ConnectionRefusedError:
            continue
        client.ehlo("client.example")
        return client
    raise SystemExit("the server ended:\n" + Path("log").read_text())


def mail(client):
    code, text = client.mail("soc@provider.example")
    return f"{code} {text.decode()}"


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
Path("root/etc/smtpd.conf").write_text(
    f"listen on 127.0.0.1 port {port} hostname mx.relay.example\n"
    'action "on" relay host smtp://127.0.0.1:9\n'
    'match from any for any action "on"\n'
)
with Path("log").open("w") as log, subprocess.Popen(["chroot", "root", "/usr/sbin/smtpd", "-d"], stderr=log) as server:
    try:
        client = connected()
        for _ in range(100):
            assert mail(client).startswith("250"), "refused before the hundredth"
            assert client.rcpt("zoe@valmont.example")[0] == 250
            assert client.data(b"Subject: x\r\n\r\nwords\r\n")[0] == 250
        print("MAIL of message 101:", mail(client))
        print("RSET, then MAIL:", client.docmd("RSET")[0], mail(client))
        print("MAIL on a new connection:", mail(connected()))
    finally:
        server.terminate()
PYTHON
)
echo "$results"
[ "$results" = "MAIL of message 101: 452 4.5.3 Too many recipients: Too many messages sent
RSET, then MAIL: 250 452 4.5.3 Too many recipients: Too many messages sent
MAIL on a new connection: 250 2.0.0 Ok" ]
