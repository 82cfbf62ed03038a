"""Webhooks to a real TLS server on loopback: signatures, evidence, what is refused, what misbehaves."""

import asyncio
import json
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import pytest

from notifications.delivery.delivery import OutcomeKind
from notifications.delivery.webhook import EndpointState, SignatureKind
from notifications.delivery.webhook_message import public_key_text, shared_secret_text, trial_event
from notifications.errors import InvalidInputError, VerificationError
from service.channels import webhook_https
from service.channels.webhook_https import (
    RefusedAddressError,
    SystemResolver,
    WebhookHttps,
    seal_secret,
    verify_public,
)
from service.crypto.secret_box import SecretBox
from service.settings.webhooks import WebhookSettings
from support.clocks import SteppedClock
from support.records import NOW, make_customer
from support.serving_records import make_endpoint, make_secret
from support.tls_authority import new_authority
from support.webhook_receiver import verify_webhook
from support.webhook_server import (
    answer,
    close_at_once,
    hang,
    slow_body,
    slow_headers,
    webhook_server,
)

BOX = SecretBox([b"m" * 32])
SHARED, PRIVATE = b"s" * 32, b"p" * 32
MESSAGE_ID = "<abc123@provider.example>"
BODY = trial_event(message_id=MESSAGE_ID, source="urn:x", at=NOW)


class Resolver:
    """Gives one answer after the other, as a name does that is bound again meanwhile."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    async def addresses(self, host, port):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def sealed_secret(endpoint, kind, plaintext, **changes):
    key = uuid4()
    return make_secret(
        endpoint, id=key, kind=kind, sealed=seal_secret(BOX, kind, str(key), plaintext), expires_at=None, **changes
    )


@pytest.fixture
def authority():
    return new_authority()


@pytest.fixture
async def server(authority, tmp_path):
    async with webhook_server(authority.server_context(tmp_path, "localhost")) as running:
        yield running


@pytest.fixture
def clock():
    return SteppedClock(NOW)


@pytest.fixture
def channel(authority, tmp_path, clock):
    def make(resolver=None, **changes):
        ca_file = tmp_path / "ca.pem"
        ca_file.write_bytes(authority.pem())
        given = {"allow_private": True, "timeout_seconds": 20} | changes
        return WebhookHttps(WebhookSettings(ca_file=ca_file, **given), BOX, clock, resolver or Resolver(["127.0.0.1"]))

    return make


async def post(channel, server, *secrets, url=None, **changes):
    endpoint = make_endpoint(make_customer(), url=url or server.url(), state=EndpointState.ACTIVE, **changes)
    made = secrets or (sealed_secret(endpoint, SignatureKind.V1, SHARED),)
    return await channel.post(endpoint=endpoint, secrets=made, message_id=MESSAGE_ID, content=BODY)


async def test_what_arrives_is_what_was_given_and_signed_by_every_secret(channel, server):
    endpoint = make_endpoint(make_customer())
    secrets = [
        sealed_secret(endpoint, SignatureKind.V1, SHARED),
        sealed_secret(endpoint, SignatureKind.V1A, PRIVATE),
        make_secret(endpoint, expires_at=NOW),
    ]
    outcome = await post(channel(), server, *secrets, url=server.url("/a/b?c=d"))
    assert (outcome.kind, outcome.code) == (OutcomeKind.ACCEPTED, 204)
    assert outcome.tls_version in {"TLSv1.2", "TLSv1.3"}
    assert outcome.tls_cipher
    assert outcome.remote == f"127.0.0.1:{server.port}"
    (got,) = server.received
    assert (got.method, got.path, got.body) == ("POST", "/a/b?c=d", BODY)
    assert got.headers["host"] == f"localhost:{server.port}"
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert got.headers["webhook-id"] == json.loads(BODY)["id"] == "msg_abc123"
    assert "cookie" not in got.headers
    for key in (shared_secret_text(SHARED), public_key_text(PRIVATE)):
        verify_webhook(got.headers, got.body, [key], NOW)
    with pytest.raises(VerificationError):
        verify_webhook(got.headers, got.body + b" ", [shared_secret_text(SHARED)], NOW)


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (answer(200, b"thanks"), OutcomeKind.ACCEPTED, 200),
        (answer(301, Location="https://evil.example/"), OutcomeKind.TRANSIENT_FAILURE, 301),
        (answer(307, Location="/elsewhere"), OutcomeKind.TRANSIENT_FAILURE, 307),
        (answer(404), OutcomeKind.TRANSIENT_FAILURE, 404),
        (answer(410), OutcomeKind.PERMANENT_FAILURE, 410),
        (answer(500, b"oops\x00\x1b[31m\r\nnext"), OutcomeKind.TRANSIENT_FAILURE, 500),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n", OutcomeKind.TRANSIENT_FAILURE, None),
        (b"nonsense\r\n\r\n", OutcomeKind.TRANSIENT_FAILURE, None),
        (close_at_once, OutcomeKind.TRANSIENT_FAILURE, None),
    ],
)
async def test_only_2xx_is_success_and_nothing_is_followed(channel, server, reply, kind, code):
    server.answers[:] = [reply]
    outcome = await post(channel(), server)
    assert (outcome.kind, outcome.code) == (kind, code)
    assert outcome.text.isprintable()
    assert len(server.received) == 1


async def test_nothing_of_the_surroundings_is_taken(channel, server, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    server.answers[:] = [answer(200, Set_Cookie="a=b")]
    sender = channel()
    for _ in range(2):
        assert (await post(sender, server)).kind is OutcomeKind.ACCEPTED
    first, second = server.received
    assert "cookie" not in second.headers
    assert first.body == second.body


async def test_a_giant_answer_is_not_read_to_its_end(channel, server):
    server.answers[:] = [answer(200, b"y" * 5_000_000)]
    outcome = await post(channel(), server)
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert len(outcome.text) <= 200


@pytest.mark.parametrize("reply", [hang, slow_headers])
async def test_whatever_the_other_side_does_it_ends(channel, server, reply):
    server.answers[:] = [reply]
    posting = asyncio.create_task(post(channel(timeout_seconds=1.0), server))
    outcome = await posting
    assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
    assert "in time" in outcome.text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (format_datetime(NOW + timedelta(seconds=90)), 90),
        (format_datetime(NOW - timedelta(seconds=90)), 0),
        ("99999999999999", 604800),
        ("soon", None),
        ("-5", None),
        ("Wed, 99 Foo 2026 00:00:00 GMT", None),
        ("Sat, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Sat, 01 Jan 0000 00:00:00 GMT", None),
        ("", None),
    ],
)
async def test_retry_after_is_read_as_seconds_or_date(channel, server, value, seconds):
    server.answers[:] = [answer(503, Retry_After=value)]
    outcome = await post(channel(), server)
    assert outcome.retry_after_seconds == pytest.approx(seconds, abs=1) if seconds else not outcome.retry_after_seconds


@pytest.mark.parametrize("value", ["Sat, 01 Jan 99999999999999999999 00:00:00 GMT", "120"])
async def test_retry_after_beside_a_success_is_not_read(channel, server, value):
    server.answers[:] = [answer(200, Retry_After=value)]
    outcome = await post(channel(), server)
    assert (outcome.kind, outcome.retry_after_seconds) == (OutcomeKind.ACCEPTED, None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, OutcomeKind.ACCEPTED), (410, OutcomeKind.PERMANENT_FAILURE), (500, OutcomeKind.TRANSIENT_FAILURE)],
)
async def test_status_and_headers_decide_however_slow_the_body_is(channel, server, monkeypatch, status, kind):
    monkeypatch.setattr(webhook_https, "_READ_AT_MOST_SECONDS", 0.2)
    server.answers[:] = [slow_body(status)]
    outcome = await post(channel(timeout_seconds=5), server)
    assert (outcome.kind, outcome.code) == (kind, status)
    assert len(server.received) == 1


class TestTls:
    async def test_a_certificate_of_another_name_gets_nothing(self, channel, authority, tmp_path):
        async with webhook_server(authority.server_context(tmp_path, "other.example")) as server:
            outcome = await post(channel(), server)
            assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
            assert "certificate" in outcome.text.lower()
            assert server.received == []

    async def test_a_certificate_of_another_authority_gets_nothing(self, channel, tmp_path):
        (tmp_path / "other").mkdir()
        async with webhook_server(new_authority().server_context(tmp_path / "other", "localhost")) as server:
            assert (await post(channel(), server)).kind is OutcomeKind.TRANSIENT_FAILURE
            assert server.received == []

    async def test_an_old_tls_gets_nothing(self, channel, authority, tmp_path):
        old = authority.server_context(tmp_path, "localhost")
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        async with webhook_server(old) as server:
            outcome = await post(channel(), server)
            assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
            assert outcome.text.rstrip(":") != "ConnectError", "it says why"
            assert server.received == []

    async def test_without_tls_nothing_goes_out(self, channel, monkeypatch):
        monkeypatch.setattr(webhook_https, "_CONNECT_SECONDS", 0.5)
        async with webhook_server(None) as server:
            # This server waits for a request in the clear: only the channel's patience ends it.
            outcome = await post(channel(), server)
            assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
            assert server.received == []


class TestAddresses:
    PRIVATE = (
        "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1",
        "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::1", "64:ff9b::7f00:1",
        "64:ff9b::a00:1", "64:ff9b:1::1", "2001:db8::1", "fec0::1", "feff::1",
    )  # fmt: skip

    @pytest.mark.parametrize("address", PRIVATE)
    def test_what_is_not_public_is_refused_however_it_is_written(self, address):
        with pytest.raises(RefusedAddressError):
            verify_public([address], allow_private=False)
        with pytest.raises(RefusedAddressError):
            verify_public(["93.184.216.34", address], allow_private=False)

    @pytest.mark.parametrize(
        "address", ["93.184.216.34", "2606:2800:220:1::1", "2002:5db8:d822::", "64:ff9b::5db8:d822"]
    )
    def test_what_is_public_is_not(self, address):
        verify_public([address], allow_private=False)

    async def test_a_name_that_leads_inside_gets_nothing_and_says_nothing_of_the_inside(self, channel, server):
        outcome = await post(channel(allow_private=False), server)
        assert outcome.kind is OutcomeKind.PERMANENT_FAILURE
        assert "not public" in outcome.text
        assert "127.0.0.1" not in outcome.text + (outcome.remote or "")
        assert server.received == []

    async def test_a_name_that_is_bound_again_is_not_asked_again(self, channel, server):
        # The first answer is where nobody listens, the second, had anybody asked, is the server.
        resolver = Resolver(["::1"], ["127.0.0.1"])
        outcome = await post(channel(resolver), server)
        assert outcome.kind is OutcomeKind.TRANSIENT_FAILURE
        assert (resolver.asked, server.received) == (1, [])

    async def test_the_next_address_is_tried_where_one_does_not_answer(self, channel, server):
        outcome = await post(channel(Resolver(["::1", "127.0.0.1"])), server)
        assert outcome.kind is OutcomeKind.ACCEPTED
        assert outcome.remote == f"127.0.0.1:{server.port}"

    async def test_the_system_resolves_this_machine(self):
        assert "127.0.0.1" in await SystemResolver().addresses("localhost", 443)


@pytest.mark.parametrize(
    "url",
    ["http://x.example/", "https://", "https://u:p@x.example/", "https://x.example/#a", "ftp://x", "https://x.example:0/",
     "https://x.example:99999/", "https://ex ample/", "https://é.example/", "https://x.example/\r\nHost: y"],
)  # fmt: skip
async def test_an_address_that_is_none_is_refused(channel, server, url):
    assert (await post(channel(), server, url=url)).kind is OutcomeKind.PERMANENT_FAILURE
    assert server.received == []


async def test_a_name_that_no_resolver_can_be_asked_for_is_an_outcome_too(channel, server):
    class Refusing:
        async def addresses(self, host, port):
            raise UnicodeError("label empty or too long")

    assert (await post(channel(Refusing()), server)).kind is OutcomeKind.TRANSIENT_FAILURE
    assert (await post(channel(SystemResolver()), server, url="https://x..example/")).kind is (
        OutcomeKind.PERMANENT_FAILURE
    )


async def test_without_a_secret_that_opens_nothing_goes_out(channel, server):
    endpoint = make_endpoint(make_customer())
    foreign = make_secret(endpoint, expires_at=None)
    assert (await post(channel(), server, foreign)).kind is OutcomeKind.REFUSED_HERE
    assert (await post(channel(), server, make_secret(endpoint, expires_at=NOW))).kind is OutcomeKind.PERMANENT_FAILURE
    assert server.received == []


async def test_when_a_receivers_certificate_ends_is_known_once_it_was_shown(channel, server):
    posting = channel()
    assert posting.certificate_end(server.url()) is None
    await post(posting, server)
    # The authority of the tests gives 30 days.
    assert timedelta(days=29) < posting.certificate_end(server.url("/other")) - datetime.now(UTC) < timedelta(days=31)
    assert posting.certificate_end("https://elsewhere.example/") is None


def test_a_file_of_authorities_that_cannot_be_used_is_refused_by_name_before_anything_is_posted(tmp_path):
    (tmp_path / "empty.pem").write_bytes(b"")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(InvalidInputError, match=r"webhooks\.ca_file"):
            WebhookHttps(WebhookSettings(ca_file=tmp_path / name), BOX, SteppedClock(NOW))
