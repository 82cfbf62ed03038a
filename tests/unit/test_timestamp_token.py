"""Tokens of the embedded authority, read by two implementations that are not ours."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc3161_client
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from service.crypto.timestamp_token import POLICY, timestamp_reply

AT = datetime(2026, 3, 2, 9, 30, 5, 120_000, tzinfo=timezone(timedelta(hours=1)))
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
DIGEST = hashlib.sha256(b"content").digest()


@pytest.fixture(scope="module", params=["ECDSA", "RSA"])
def authority(request):
    of_ecdsa = request.param == "ECDSA"
    key = ec.generate_private_key(ec.SECP256R1()) if of_ecdsa else rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stämpelställe")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(2**158 - 1)
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(key, hashes.SHA256())
    )
    return {"certificate": certificate, "key": key}


@given(
    serial=st.integers(0, 2**159 - 1),
    nonce=st.none() | st.integers(0, 2**128),
    at=st.integers(0, 50 * 365 * 86_400_000_000).map(lambda past: EPOCH + timedelta(microseconds=past)),
    digest=st.binary(min_size=32, max_size=32),
)
def test_a_token_says_what_it_was_given(authority, serial, nonce, at, digest):
    reply = timestamp_reply(digest, serial=serial, nonce=nonce, at=at, **authority)
    stated = tsp.TimeStampResp.load(reply, strict=True)["time_stamp_token"]["content"]
    content = stated["encap_content_info"]["content"]
    info = content.parsed
    assert info["serial_number"].native == serial
    assert info["nonce"].native == nonce
    assert info["gen_time"].native == at
    assert info["message_imprint"]["hashed_message"].native == digest
    assert info["policy"].dotted == POLICY
    # DER, as another encoder writes it.
    assert info.dump(force=True) == bytes(content)
    assert rfc3161_client.decode_timestamp_response(reply).tst_info.serial_number == serial


def test_a_time_stands_as_rfc_3161_wants_it(authority):
    reply = timestamp_reply(DIGEST, serial=1, nonce=None, at=AT, **authority)
    assert b"\x18\x1220260302083005.12Z" in reply
    reply = timestamp_reply(DIGEST, serial=1, nonce=None, at=AT.replace(microsecond=0), **authority)
    assert b"\x18\x0f20260302083005Z" in reply


def test_the_certificate_is_bound_and_the_signature_covers_what_is_stated(authority):
    reply = timestamp_reply(DIGEST, serial=1, nonce=7, at=AT, **authority)
    verifier = rfc3161_client.VerifierBuilder().add_root_certificate(authority["certificate"]).build()
    assert verifier.verify_message(rfc3161_client.decode_timestamp_response(reply), b"content")
    changed = reply.replace(DIGEST, hashlib.sha256(b"other").digest())
    with pytest.raises(rfc3161_client.VerificationError):
        verifier.verify_message(rfc3161_client.decode_timestamp_response(changed), b"other")
    (signer,) = tsp.TimeStampResp.load(reply)["time_stamp_token"]["content"]["signer_infos"]
    bound = {item["type"].native: item["values"][0] for item in signer["signed_attrs"]}["signing_certificate_v2"]
    (stated,) = bound["certs"]
    assert stated["cert_hash"].native == authority["certificate"].fingerprint(hashes.SHA256())
