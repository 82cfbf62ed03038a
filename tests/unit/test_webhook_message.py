"""Webhooks as bytes: the published vector, forgeries of every kind, several secrets at once, what the event carries."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from notifications.delivery.webhook import SignatureKind
from notifications.delivery.webhook_message import (
    SigningSecret,
    notice_event,
    public_key_text,
    shared_secret_text,
    signed_headers,
    trial_event,
    verify_url,
)
from notifications.errors import InvalidInputError, VerificationError
from support.records import make_customer, make_incident, make_notice, make_sealed
from support.webhook_receiver import verify_webhook

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
MESSAGE_ID = "<0123456789abcdef@provider.example>"
SHARED, OTHER, PRIVATE = b"s" * 32, b"o" * 32, b"p" * 32
ONE = SigningSecret(SignatureKind.V1, SHARED)
#: As the reference libraries of Standard Webhooks test themselves.
VECTOR = {
    "key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "body": b'{"test": 2432232314}',
    "headers": {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    "at": datetime.fromtimestamp(1614265330, UTC),
}


def signed(body=b"{}", secrets=(ONE,), at=NOW):
    return signed_headers(MESSAGE_ID, body, at, secrets)


def test_the_published_vector_verifies_and_no_change_of_it_does():
    verify_webhook(VECTOR["headers"], VECTOR["body"], [VECTOR["key"]], VECTOR["at"])
    with pytest.raises(VerificationError, match="no signature"):
        verify_webhook(VECTOR["headers"], b'{"test": 2432232315}', [VECTOR["key"]], VECTOR["at"])
    for name, value in (("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJel"), ("webhook-timestamp", "1614265331")):
        with pytest.raises(VerificationError, match="no signature"):
            verify_webhook(VECTOR["headers"] | {name: value}, VECTOR["body"], [VECTOR["key"]], VECTOR["at"])


def test_what_is_signed_is_what_the_specification_says_it_is():
    body = b'{"a":"b"}'
    secrets = [SigningSecret(SignatureKind.V1, SHARED), SigningSecret(SignatureKind.V1A, PRIVATE)]
    headers = signed(body, secrets)
    assert headers["webhook-id"] == "msg_0123456789abcdef"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    first, second = headers["webhook-signature"].split(" ")
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert first == "v1," + base64.b64encode(hmac.digest(SHARED, content, "sha256")).decode()
    scheme, _, encoded = second.partition(",")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key_text(PRIVATE).removeprefix("whpk_")))
    public.verify(base64.b64decode(encoded), content)
    assert scheme == "v1a"


def test_while_secrets_are_rotated_the_old_and_the_new_one_verify_and_a_third_does_not():
    headers = signed(secrets=[SigningSecret(SignatureKind.V1, SHARED), SigningSecret(SignatureKind.V1, OTHER)])
    for key in (SHARED, OTHER):
        verify_webhook(headers, b"{}", [shared_secret_text(key)], NOW)
    with pytest.raises(VerificationError):
        verify_webhook(headers, b"{}", [shared_secret_text(b"x" * 32)], NOW)


def test_a_signature_of_one_scheme_is_none_of_the_other():
    public = Ed25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
    # Whoever knows the public key alone makes an HMAC under it and calls it by either name.
    headers = signed(secrets=[SigningSecret(SignatureKind.V1, public)])
    for scheme in ("v1", "v1a"):
        renamed = headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", f"{scheme},")}
        with pytest.raises(VerificationError):
            verify_webhook(renamed, b"{}", [public_key_text(PRIVATE)], NOW)


def test_a_signature_is_what_it_calls_itself_or_none():
    headers = signed()
    renamed = headers | {"webhook-signature": headers["webhook-signature"].replace("v1,", "v1a,")}
    with pytest.raises(VerificationError):
        verify_webhook(renamed, b"{}", [shared_secret_text(SHARED)], NOW)


def test_schemes_that_nobody_knows_yet_stand_in_nobodys_way():
    headers = signed()
    more = headers | {"webhook-signature": f"v9,AAAA v1,!! v1,ä v1 , {headers['webhook-signature']} v1a,AAAA"}
    verify_webhook(more, b"{}", [public_key_text(PRIVATE), shared_secret_text(SHARED)], NOW)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_clocks_may_differ_by_five_minutes(seconds):
    verify_webhook(signed(), b"{}", [shared_secret_text(SHARED)], NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_and_by_no_more(seconds):
    with pytest.raises(VerificationError, match="five minutes"):
        verify_webhook(signed(), b"{}", [shared_secret_text(SHARED)], NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_without_a_header_nothing_is_believed(missing):
    headers = {name: value for name, value in signed().items() if name != missing}
    with pytest.raises(VerificationError, match=missing):
        verify_webhook(headers, b"{}", [shared_secret_text(SHARED)], NOW)


@pytest.mark.parametrize("seconds", ["", "-1", "1e9", "٣", "soon", "NaN"])
def test_a_time_that_is_none_is_not_believed(seconds):
    with pytest.raises(VerificationError):
        verify_webhook(signed() | {"webhook-timestamp": seconds}, b"{}", [shared_secret_text(SHARED)], NOW)


def test_headers_are_found_however_they_are_written():
    headers = {name.title(): value for name, value in signed().items()}
    verify_webhook(headers, b"{}", [shared_secret_text(SHARED)], NOW)


@pytest.mark.parametrize("key", ["", "whsec_", "whsec_AAAA", "whpk_AAAA", "whsec_ä", "s" * 32, "whsk_" + "A" * 44])
def test_a_key_that_is_none_is_told_apart_from_a_forgery(key):
    with pytest.raises(InvalidInputError):
        verify_webhook(signed(), b"{}", [key], NOW)


def test_without_any_key_nothing_is_believed():
    with pytest.raises(VerificationError):
        verify_webhook(signed(), b"{}", [], NOW)


def test_without_any_secret_nothing_is_signed():
    with pytest.raises(InvalidInputError):
        signed(secrets=[])


def test_a_secret_is_not_in_its_text():
    assert SHARED.decode() not in repr(SigningSecret(SignatureKind.V1, SHARED))


@given(st.data())
def test_no_byte_of_the_body_can_be_exchanged(data):
    body = data.draw(st.binary(min_size=1, max_size=200))
    at = data.draw(st.integers(0, len(body) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    forged = body[:at] + bytes([body[at] ^ bit]) + body[at + 1 :]
    headers = signed(body, [SigningSecret(SignatureKind.V1, SHARED), SigningSecret(SignatureKind.V1A, PRIVATE)])
    for key in (shared_secret_text(SHARED), public_key_text(PRIVATE)):
        verify_webhook(headers, body, [key], NOW)
        with pytest.raises(VerificationError):
            verify_webhook(headers, forged, [key], NOW)


class TestEvent:
    DOCUMENT = b'{"kind":"first","sequence":2,"ticket":"INC-2026-000042","tlp":"TLP:AMBER+STRICT"}'

    def event(self, console_url="https://console.example", **changes):
        notice = make_notice(make_incident(), make_customer())
        sealed = make_sealed(notice, document=self.DOCUMENT, **changes)
        return sealed, notice_event(sealed, message_id=MESSAGE_ID, source="urn:x", console_url=console_url)

    def test_it_is_a_cloud_event_of_this_kind(self):
        sealed, content = self.event()
        event = json.loads(content)
        # What CloudEvents 1.0.2 requires, and what it says of the optional ones.
        assert event["specversion"] == "1.0"
        assert event["id"] == "msg_0123456789abcdef"
        assert (event["source"], event["type"]) == ("urn:x", "greffier.notice.v1")
        assert event["subject"] == "INC-2026-000042/2"
        assert datetime.fromisoformat(event["time"]) == sealed.sealed_at
        assert event["datacontenttype"] == "application/json"

    def test_it_carries_the_very_bytes(self):
        sealed, content = self.event(timestamp=b"token", log_proof=b"proof", resources_csv=b"a;b")
        data = json.loads(content)["data"]
        parts = {"document", "signature", "timestamp", "log_proof", "resources_csv"}
        assert {name: base64.b64decode(data[name]) for name in parts} == {name: getattr(sealed, name) for name in parts}
        assert data["tlp"] == "TLP:AMBER+STRICT"

    def test_what_is_not_there_yet_is_null(self):
        _, content = self.event(None, timestamp=None, log_proof=None, resources_csv=None)
        data = json.loads(content)["data"]
        assert [data[name] for name in ("timestamp", "log_proof", "resources_csv", "console_url")] == [None] * 4

    def test_it_is_the_same_for_every_attempt(self):
        sealed, content = self.event()
        assert content == notice_event(
            sealed, message_id=MESSAGE_ID, source="urn:x", console_url="https://console.example"
        )

    def test_a_test_says_so_and_carries_nothing(self):
        event = json.loads(trial_event(message_id=MESSAGE_ID, source="urn:x", at=NOW))
        assert (event["type"], event["data"]) == ("greffier.test.v1", {"test": True})


class TestAddressOfAnEndpoint:
    @pytest.mark.parametrize(
        "url",
        [
            "https://siem.hopital.example/hook?token=a",
            "https://SIEM.example:8443/",
            "https://xn--hpital-xxa.example/",
            "https://a_b.example",
            "https://192.0.2.1/",
            "https://[2001:db8::1]:8443/",
        ],
    )
    def test_one_that_can_be_posted_to(self, url):
        verify_url(url)

    @pytest.mark.parametrize(
        "url",
        [
            "https://x..example/",
            "https://.example/",
            "https://x.example./",
            f"https://{'a' * 64}.example/",
            f"https://{'a.' * 130}example/",
            "https://-x.example/",
            "https://x%00.example/",
            "https://[fe80::1%25eth0]/",
            "https://[::1/",
            "https://x.example:https/",
            "HTTP://x.example/",
        ],
    )
    def test_one_that_no_resolver_could_be_asked_for(self, url):
        with pytest.raises(InvalidInputError):
            verify_url(url)
