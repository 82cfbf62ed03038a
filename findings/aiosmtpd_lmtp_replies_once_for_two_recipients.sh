#!/usr/bin/env bash
# aiosmtpd speaks LMTP: does a message with two recipients get two replies?
#
# Versions: aiosmtpd 1.4.6 from PyPI. CPython 3.11 or newer.
# One would guess: yes. It is the point of LMTP: after the message there is one reply for each recipient that was accepted,
#   in their order (RFC 2033, 4.2), so that one mailbox can fail without the other.
# What happens: the class LMTP changes the greeting only. There is one reply, and the next line that the client gets is the
#   answer to its next command. A mail server that waits for the second reply takes that recipient as not delivered. (Open at
#   aiosmtpd as issue 517.)
# The product: service/channels/bounce_listener.py (handle_RCPT) takes one recipient a message and answers 452 to a further
#   one, which its sender then sends by itself; tests/adapters/test_bounce_listener.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check aiosmtpd==1.4.6 atpublic==9.0.0 attrs==26.1.0
results=$("$folder/venv/bin/python" - <<'PYTHON'
import asyncio

from aiosmtpd.lmtp import LMTP


class Handler:
    async def handle_DATA(self, server, session, envelope):
        return f"250 2.0.0 stored for {len(envelope.rcpt_tos)}"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: LMTP(Handler(), loop=loop), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await reader.readline()
    writer.write(b"LHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n")
    while not (line := await reader.readline()).startswith(b"354"):
        assert line.startswith(b"250"), line
    writer.write(b"Subject: x\r\n\r\nwords\r\n.\r\nVRFY a@x.example\r\nQUIT\r\n")
    print((await reader.read()).decode(), end="")
    writer.close()
    server.close()


asyncio.run(main())
PYTHON
)
echo "$results"
[[ $(tr -d '\r' <<<"$results") =~ ^"250 2.0.0 stored for 2"$'\n'252\ [^$'\n']*$'\n'221\ [^$'\n']*$ ]]
