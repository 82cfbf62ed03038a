"""A timestamp authority that is down, slow or wrong, by real HTTP: notices go in time, and no wrong token is kept."""

import asyncio
import contextlib
import hashlib
import io
from datetime import UTC, datetime, timedelta

import httpx2
from asn1crypto import tsp

from notifications.evidence.bundle.verification import verify_bundle
from notifications.evidence.verification import verify_notice_mail
from service.bootstrap.data_folder import prepare_data_folder
from service.cli.demo.environment import embedded_service
from service.cli.verify import load_trust
from service.crypto.demo_keys import KeyFiles
from service.crypto.master_key import key_passphrases, load_masters
from service.crypto.timestamp_token import timestamp_reply
from service.crypto.timestamping import EmbeddedTimestampAuthority
from service.settings import load_settings
from support import scenario
from support.openssl_authority import OpensslAuthority, certificates_of, reordered
from support.scenario import ok
from support.timestamp_responder import answering, http, web_server

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


class Authority:
    """An RFC 3161 authority on loopback; ``behave`` says how it answers a request, given what is right."""

    def __init__(self, stamper):
        self._stamper = stamper
        self.behave = self.well
        self.asked = 0
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            request = await reader.readexactly(length)
            self.asked += 1
            try:
                await self.behave(tsp.TimeStampReq.load(request), writer)
            finally:
                writer.close()

    async def refusing(self, request, writer):
        """As an authority that does not know our policy."""
        status = tsp.PKIStatusInfo({
            "status": "rejection", "status_string": ["not today"], "fail_info": {"unaccepted_policy"},
        }).dump()  # fmt: skip
        await self.say(writer, b"\x30" + bytes([len(status)]) + status)

    def token(self, request, stamper=None):
        digest = request["message_imprint"]["hashed_message"].native
        return (stamper or self._stamper).reply(digest, request["nonce"].native)

    async def say(self, writer, body, status="200 OK"):
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()

    async def well(self, request, writer):
        await self.say(writer, self.token(request))

    async def closed(self, request, writer):
        writer.transport.abort()

    async def broken(self, request, writer):
        await self.say(writer, b"sorry", "503 Service Unavailable")

    async def hanging(self, request, writer):
        await asyncio.Event().wait()

    async def dripping(self, request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: 9000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def of_something_else(self, request, writer):
        request["message_imprint"]["hashed_message"] = hashlib.sha256(b"something else").digest()
        await self.say(writer, self.token(request))

    async def of_another_request(self, request, writer):
        request["nonce"] = request["nonce"].native + 1
        await self.say(writer, self.token(request))

    async def from_ahead(self, request, writer):
        """Two minutes ahead, of which one is allowed."""
        reply = timestamp_reply(
            request["message_imprint"]["hashed_message"].native,
            serial=1,
            nonce=request["nonce"].native,
            at=datetime.now(UTC) + timedelta(minutes=2),
            certificate=self._stamper.certificate,
            key=self._stamper._key,
        )
        await self.say(writer, reply)

    async def of_another_authority(self, request, writer):
        await self.say(writer, self.token(request, self.other))


def stamper_of(data):
    settings = load_settings(data)
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    return EmbeddedTimestampAuthority(
        files.timestamp_key, files.timestamp_chain, key_passphrases(settings, load_masters(settings))
    )


FAULTS = [
    "closed",
    "broken",
    "hanging",
    "dripping",
    "of_something_else",
    "of_another_request",
    "of_another_authority",
    "from_ahead",
]


async def test_a_notice_goes_without_its_token_which_is_added_when_a_right_one_comes(
    data_folder, tmp_path, service_log
):
    stamper = stamper_of(data_folder)
    other = tmp_path / "other"
    prepare_data_folder(other, address="soc@other.example", provider_name="Other", now=datetime.now(UTC))
    async with Authority(stamper) as authority:
        authority.other = stamper_of(other)
        settings = {
            "timestamps__url": authority.url,
            "timestamps__ca_file": data_folder / "trust" / "tsa.pem",
            "timestamps__timeout_seconds": 0.5,
            "timestamps__ahead_seconds": 60,
            "log__batch_seconds": 0,
        }
        async with embedded_service(data_folder, **settings) as running:
            headers = {"Authorization": f"Bearer {running.token}"}
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
                await scenario.customer(api)
                trust = load_trust(running.trust_dir)
                for number, fault in enumerate(FAULTS, 1):
                    authority.behave = getattr(authority, fault)
                    asked = authority.asked
                    (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
                    *_, message = await running.sink.wait_for(number)
                    steps = list(verify_notice_mail(message.content, trust))
                    assert [step.step for step in steps if step.pending] == ["timestamp"], fault
                    assert authority.asked > asked, fault
                    await running.parts.worker.sealing.timestamp_sealed()
                    assert (await api.get(f"/notices/{notice['id']}/timestamp")).status_code == 404, fault
                    assert "timestamp_authority" in running.parts.worker.health()
                    authority.behave = authority.well
                    await running.parts.worker.sealing.timestamp_sealed()
                    assert (await api.get(f"/notices/{notice['id']}/timestamp")).status_code == 200, fault
                    assert running.parts.worker.health() is None
                (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
                *_, message = await running.sink.wait_for(len(FAULTS) + 1)
                assert not [step.step for step in verify_notice_mail(message.content, trust) if step.pending]
                assert (await ok(api.get("/audit/entries")))["size"] > len(FAULTS)


async def test_notices_without_a_timestamp_stand_on_the_board_with_the_authority_s_reason(data_folder):
    async with Authority(stamper_of(data_folder)) as authority:
        authority.behave = authority.refusing
        settings = {
            "timestamps__url": authority.url,
            "timestamps__ca_file": data_folder / "trust" / "tsa.pem",
            "log__batch_seconds": 0,
        }
        async with embedded_service(data_folder, **settings) as running:
            headers = {"Authorization": f"Bearer {running.token}"}
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
                await scenario.customer(api)
                (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
                await running.sink.wait_for(1)
                await running.parts.worker.sealing.timestamp_sealed()
                (item,) = (await ok(api.get("/attention")))["items"]
                assert (item["kind"], item["notice_id"]) == ("notice_undated", notice["id"])
                reason = (
                    "the authority answered rejection (unacceptedPolicy: it does not support the policy; “not today”)"
                )
                assert item["what"] == reason
                ready = await api.get(f"{running.url}/readyz")
                assert ready.status_code == 503
                assert ready.json()["parts"]["worker"] == f"timestamp_authority: {reason}"
                async with httpx2.AsyncClient(base_url=running.url, timeout=120) as stranger:
                    assert (await stranger.get("/readyz")).json()["parts"]["worker"] == "failing"
                authority.behave = authority.well
                await running.parts.worker.sealing.timestamp_sealed()
                assert (await ok(api.get("/attention")))["items"] == []
                assert (await api.get(f"{running.url}/readyz")).status_code == 200


async def test_an_authority_that_writes_its_certificates_in_another_order_dates_every_notice(data_folder, tmp_path):
    """``openssl ts -reply -chain``: mail, files and bundle verify, and the bytes that are served are openssl's."""
    made = OpensslAuthority(tmp_path / "openssl")
    async with web_server(answering(lambda request: http(backwards(made.reply(request))))) as url:
        root = data_folder / "trust" / "tsa.pem"
        root.write_bytes(made.root_file.read_bytes())
        settings = {"timestamps__url": url, "timestamps__ca_file": root, "log__batch_seconds": 0}
        async with embedded_service(data_folder, **settings) as running:
            headers = {"Authorization": f"Bearer {running.token}"}
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
                await scenario.customer(api)
                (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
                (message,) = await running.sink.wait_for(1)
                trust = load_trust(running.trust_dir)
                assert not [step.step for step in verify_notice_mail(message.content, trust) if step.pending]
                token, signature = [
                    (await api.get(f"/notices/{notice['id']}/{part}")).content for part in ("timestamp", "signature")
                ]
                assert certificates_of(token) == sorted(certificates_of(token), reverse=True)
                assert made.openssl_takes(token, signature)
                assert running.parts.worker.health() is None
                assert (await ok(api.get("/attention")))["items"] == []
                bundle = await api.get("/audit/bundle", params={"incident_id": notice["incident_id"]})
                steps = list(verify_bundle(io.BytesIO(bundle.content), trust))
                assert not any(step.pending for step in steps)


def backwards(reply):
    return reordered(reply, lambda found: sorted(found, reverse=True))
