"""Replies of other authorities than ours, made by ``openssl ts -reply``: what is taken is what openssl takes too."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import rfc3161_client
from asn1crypto import core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from notifications.crypto.der import parse_timestamp_reply
from notifications.crypto.timestamps import certificates_of_token, token_statement, token_time, verify_timestamp
from notifications.errors import InvalidInputError, TimestampUnavailableError, VerificationError
from notifications.evidence.bundle.signers import verify_token
from service.crypto.timestamp_token import _der, timestamp_reply
from service.crypto.timestamping import HttpTimestampAuthority
from support.clocks import SteppedClock
from support.openssl_authority import (
    OpensslAuthority,
    binding,
    certificates_of,
    issued,
    reordered,
    with_status,
    without_binding,
)
from support.sealed_sample import Office, files_of, refused, steps_of_files, steps_of_mail
from support.timestamp_responder import answering, http, web_server

CONTENT = b"what is dated"
ORDERS = {"as openssl writes it": list, "sorted": sorted, "reversed": lambda found: sorted(found, reverse=True)}


def request_of(content=CONTENT):
    builder = rfc3161_client.TimestampRequestBuilder().data(content)
    return builder.hash_algorithm(rfc3161_client.HashAlgorithm.SHA256).nonce(nonce=True).build()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return OpensslAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def reply(authority):
    return authority.reply(request_of().as_bytes())


def both_take(authority, reply, content=CONTENT):
    stated = verify_timestamp(reply, content, [authority.root], "step")
    assert authority.openssl_takes(reply, content)
    assert abs(stated.at - datetime.now(UTC)) < timedelta(minutes=10)
    assert token_time(reply) == stated.at
    assert certificates_of_token(reply) == sorted(set(certificates_of(reply)))
    return stated


def both_refuse(authority, reply, content=CONTENT):
    """Return the reason; nothing of a library's error stack is in it."""
    assert not authority.openssl_takes(reply, content)
    with pytest.raises(VerificationError) as caught:
        verify_timestamp(reply, content, [authority.root], "step")
    reason = caught.value.reason
    assert not {"Error", "routines", "ParseError", ".c", "None"} & set(
        reason.replace('"', " ").replace(":", " ").split()
    )
    return reason


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_certificates_in_whatever_order(authority, reply, order):
    other = reordered(reply, order)
    stated = both_take(authority, other)
    assert stated.accuracy == timedelta(seconds=1.5)
    verify_token(other, CONTENT, [authority.root], "step", "part")


def test_the_order_that_openssl_writes_is_one_that_the_library_refuses(authority, reply):
    """Else the test above would show nothing: of four certificates the signer's stands first, then the chain's."""
    assert len(certificates_of(reply)) == 4
    with pytest.raises(ValueError, match="InvalidSetOrdering"):
        rfc3161_client.decode_timestamp_response(reordered(reply, ORDERS["reversed"]))


def test_a_certificate_that_stands_twice(authority):
    both_take(authority, authority.reply(request_of().as_bytes(), [*authority.between, *authority.between]))


@pytest.mark.parametrize(
    "options",
    [
        {"ess_cert_id_alg": "sha1"},
        {"ess_cert_id_alg": "sha512"},
        {"ess_cert_id_chain": "yes"},
        {"ess_cert_id_chain": "yes", "ess_cert_id_alg": "sha1"},
        {"tsa_name": "yes"},
        {"ordering": "yes"},
        {"signer_digest": "sha512"},
    ],
    ids=str,
)
def test_what_authorities_choose(tmp_path, options):
    authority = OpensslAuthority(tmp_path, **options)
    stated = both_take(authority, authority.reply(request_of().as_bytes()))
    assert stated.authority == ("CN=Time Stamping" if "tsa_name" in options else "an unnamed authority")


def test_an_authority_with_an_ec_key(tmp_path):
    authority = OpensslAuthority(tmp_path, key=ec.generate_private_key(ec.SECP384R1()))
    both_take(authority, authority.reply(request_of().as_bytes()))


@pytest.mark.parametrize("digits", ["5", "05", "263035", "2630351", "000001"])
def test_a_fraction_of_a_second(authority, reply, digits):
    """rfc3161-client leaves it out; openssl and asn1crypto read it."""

    def dated(info):
        whole = info["gen_time"].native.replace(microsecond=0)
        info["gen_time"] = core.GeneralizedTime.load(
            bytes([0x18, 16 + len(digits)]) + f"{whole:%Y%m%d%H%M%S}.{digits}Z".encode()
        )

    other = authority.resigned(reply, info=dated)
    stated = both_take(authority, other)
    assert stated.at.microsecond == int(digits[:6].ljust(6, "0"))
    assert token_statement(other)[0] == stated.at
    left = rfc3161_client.decode_timestamp_response(parse_timestamp_reply(other).strict_form).tst_info.gen_time
    assert left == stated.at.replace(microsecond=0)


@pytest.mark.parametrize("text", [None, "the policy was changed"])
def test_granted_with_modifications_is_granted(authority, reply, text):
    """RFC 3161, 2.4.2: a token is there with status granted and with grantedWithMods."""
    both_take(authority, with_status(reply, "granted_with_mods", text))


@pytest.mark.parametrize("status", ["rejection", "waiting", "revocation_warning", "revocation_notification", 7])
def test_a_token_under_any_other_status_is_none(authority, reply, status):
    assert "the authority answered" in both_refuse(authority, with_status(reply, status, "no"))


def test_a_token_that_is_not_bound_to_a_certificate(authority, reply):
    reason = both_refuse(authority, authority.resigned(reply, without_binding))
    assert "does not name the certificate of its signer" in reason


def other_name():
    return asn1_x509.Name.build({"common_name": "Somebody"})


def test_a_token_bound_to_another_certificate(authority, reply):
    stranger = issued(authority.key.public_key(), authority.key, "Lower", "Time Stamping")
    for change in (
        binding(stranger),
        binding(authority.root, authority.certificate),
        binding(authority.certificate, serial=4711),
        binding(authority.certificate, issuer=other_name()),
    ):
        assert "another certificate than its signer's" in both_refuse(authority, authority.resigned(reply, change))
    for change in (
        binding(authority.certificate, stranger),
        binding(authority.certificate, authority.root, stranger),
    ):
        assert "not above its signer's" in both_refuse(authority, authority.resigned(reply, change))
    for change in (
        binding(authority.certificate),
        binding(authority.certificate, authority.root),
        binding(authority.certificate, *reversed(authority.between), authority.root),
    ):
        both_take(authority, authority.resigned(reply, change))


def test_a_token_that_names_another_authority(authority, reply):
    for name, is_taken in ((authority.certificate.subject, True), (authority.certificate.issuer, False)):
        given = asn1_x509.GeneralName("directory_name", asn1_x509.Name.load(name.public_bytes()))
        changed = authority.resigned(reply, info=lambda info, given=given: info.__setitem__("tsa", given))
        if is_taken:
            both_take(authority, changed)
        else:
            assert "another name than its certificate" in both_refuse(authority, changed)


@pytest.mark.parametrize(
    ("form", "kind", "name"),
    [
        ("uniform_resource_identifier", x509.UniformResourceIdentifier, "https://tsa.example/stamp"),
        ("dns_name", x509.DNSName, "tsa.example"),
        ("rfc822_name", x509.RFC822Name, "tsa@tsa.example"),
    ],
)
def test_an_authority_whose_name_is_no_directory_name(tmp_path, form, kind, name):
    """rfc3161-client 1.0.9 verifies the token, and raises ValueError when asked for the name."""
    authority = OpensslAuthority(tmp_path, leaf={"names": [kind(name)]})
    reply = authority.reply(request_of().as_bytes())
    for given, is_taken in ((name, True), (f"other.{name}", False)):
        stated_name = asn1_x509.GeneralName(form, given)
        changed = authority.resigned(reply, info=lambda info, given=stated_name: info.__setitem__("tsa", given))
        if is_taken:
            assert both_take(authority, changed).authority == name
            assert token_statement(changed)[1] == name
        else:
            assert "another name than its certificate" in both_refuse(authority, changed)


def test_an_authority_whose_name_is_no_text(authority, reply):
    """It is refused in words, and no other error leaves the reading of a token that is not verified."""
    number = asn1_x509.GeneralName("registered_id", "1.2.3")
    changed = authority.resigned(reply, info=lambda info: info.__setitem__("tsa", number))
    assert "name in it is malformed, or of a kind that is not supported" in both_refuse(authority, changed)
    with pytest.raises(InvalidInputError):
        token_statement(changed)


def test_a_token_signed_with_rsassa_pss(authority, reply):
    """A valid token (RFC 4056), as openssl cms finds. openssl ts 3.0.19 and rfc3161-client 1.0.9 find it wrong."""
    other = authority.signed_with_pss(reply)
    assert authority.openssl_cms_takes(other)
    library = rfc3161_client.VerifierBuilder(roots=[authority.root]).build()
    with pytest.raises(rfc3161_client.VerificationError):
        library.verify_message(rfc3161_client.decode_timestamp_response(other), CONTENT)
    assert "is signed with RSASSA-PSS, which neither openssl ts nor this" in both_refuse(authority, other)


def test_a_token_whose_signer_is_named_by_its_key_and_one_by_ed25519(authority, reply):
    by_key = authority.named_by_key_identifier(reply)
    assert "names its signer by a key identifier, which neither openssl ts nor this" in both_refuse(authority, by_key)
    by_ed25519 = authority.signed_with_ed25519(reply)
    assert "is signed with Ed25519, which neither openssl ts nor this" in both_refuse(authority, by_ed25519)


async def test_the_service_says_how_an_authority_must_sign(authority):
    told = await refused_by_service(authority, lambda request: authority.signed_with_pss(authority.reply(request)))
    assert "the authority must sign with RSA PKCS #1 v1.5 or ECDSA" in told


def test_a_certificate_for_other_purposes_too(tmp_path):
    """openssl makes no token with such a certificate; other software does."""
    purposes = (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION)
    reason = both_refuse(*_stamped(tmp_path / "purposes", purposes=purposes))
    assert "unsuitable certificate purpose" in reason
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=True, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    assert "unsuitable certificate purpose" in both_refuse(*_stamped(tmp_path / "usage", usage=usage))


def _stamped(folder, **leaf):
    """Return an authority right under its root, and a token in its name by our own encoder."""
    authority = OpensslAuthority(folder, leaf=leaf)
    key = rsa.generate_private_key(65537, 2048)
    authority.root = issued(key.public_key(), key, "Root", "Root", ca=True)
    authority.root_file.write_bytes(_pem(authority.root))
    certificate = issued(authority.key.public_key(), key, "Root", "Time Stamping", **leaf)
    digest = hashlib.sha256(CONTENT).digest()
    return authority, timestamp_reply(
        digest, serial=1, nonce=None, at=datetime.now(UTC), certificate=certificate, key=authority.key
    )


def _pem(certificate):
    return certificate.public_bytes(Encoding.PEM)


def test_our_own_token_is_one_that_both_take(tmp_path):
    both_take(*_stamped(tmp_path))


def test_what_is_wrong_is_said_in_words(authority, reply, tmp_path):
    broken = bytearray(reply)
    broken[-5] ^= 1
    assert "its signature is not by the key of its certificate" in both_refuse(authority, bytes(broken))
    other = OpensslAuthority(tmp_path / "other")
    assert "does not verify under the trusted roots" in both_refuse(other, reply)
    assert "Mismatch between messages" in both_refuse(authority, reply, b"another content")
    without = authority.reply(request_of().as_bytes(), [])
    assert "unable to get local issuer certificate" in both_refuse(authority, without)


def test_a_token_whose_certificates_are_not_der(authority, reply):
    """The library's parse error is not repeated."""
    (leaf, *_) = certificates_of(reply)
    assert "not in the form of RFC 3161" in both_refuse(
        authority, reply.replace(leaf, b"\x30\x82" + leaf[2:4] + b"\xff" * len(leaf[4:]))
    )


# -- as the service gets it


async def asked(authority, make, **options):
    """Return what the service takes from an authority on loopback that makes its replies so."""
    async with web_server(answering(lambda request: http(make(request)))) as url:
        client = HttpTimestampAuthority(url, [authority.root], independent=True, timeout_seconds=10, **options)
        try:
            return await client.timestamp(CONTENT)
        finally:
            await client.aclose()


async def refused_by_service(authority, make, **options):
    with pytest.raises(TimestampUnavailableError) as caught:
        await asked(authority, make, **options)
    assert "Error" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
async def test_the_service_keeps_the_authority_s_own_bytes(authority, order):
    made = []

    def make(request):
        made.append(with_status(reordered(authority.reply(request), order), "granted_with_mods"))
        return made[-1]

    assert await asked(authority, make) == made[0]
    assert authority.openssl_takes(made[0], CONTENT)


async def test_the_service_takes_no_token_that_openssl_refuses(authority):
    unbound = await refused_by_service(
        authority, lambda request: authority.resigned(authority.reply(request), without_binding)
    )
    assert unbound == (
        "the token does not hold: it does not name the certificate of its signer (no signing-certificate attribute)"
    )


async def test_a_refusal_of_openssl_is_told_in_its_words(tmp_path):
    authority = OpensslAuthority(tmp_path, digests="sha512")
    told = await refused_by_service(authority, authority.reply)
    assert told == (
        "the authority answered rejection (badAlg: it does not support the hash algorithm; "
        "“Message digest algorithm is not supported.”)"
    )


async def test_words_of_an_authority_are_cut_and_hold_no_control_characters(authority):
    def make(_request):
        said = ["\x1b[31m\r\nrefused" + "x" * 5000]
        return _der(0x30, tsp.PKIStatusInfo({"status": "rejection", "status_string": said}).dump())

    told = await refused_by_service(authority, make)
    assert told.isprintable()
    assert "refused" in told
    assert len(told) < 300


async def test_a_token_from_ahead_of_our_clock_is_not_taken(authority):
    """Beyond the token's accuracy of 1.5 s and what is set."""
    for ahead, allowed, is_taken in (
        (timedelta(days=3), 300, False),
        (timedelta(minutes=10), None, False),
        (timedelta(minutes=4), None, True),
        (timedelta(minutes=4), 60, False),
        (timedelta(seconds=61), 60, True),
        (timedelta(days=-3), 0, True),
    ):
        options = {"clock": SteppedClock(datetime.now(UTC) - ahead)}
        options |= {} if allowed is None else {"ahead_seconds": allowed}
        if is_taken:
            assert await asked(authority, authority.reply, **options)
            continue
        told = await refused_by_service(authority, authority.reply, **options)
        assert told.endswith("ahead of this machine's clock: the authority's clock or this one is wrong")


# -- as readers verify it


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    return Office(tmp_path_factory.mktemp("office"))


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_notice_with_such_a_token_verifies_as_mail_and_as_files(authority, office, order):
    sealed = office.seal(
        token=lambda signature: with_status(
            reordered(authority.reply(request_of(signature).as_bytes()), order), "granted_with_mods"
        )
    )
    trust = replace(office.trust, timestamp_roots=(authority.root,))
    for steps in (steps_of_files(files_of(sealed), trust), steps_of_mail(office.mail(sealed), trust)):
        assert [step.step for step in steps if step.pending] == []
    assert authority.openssl_takes(sealed.timestamp, sealed.signature)


def test_a_notice_whose_token_openssl_refuses_does_not_verify(authority, office):
    sealed = office.seal(
        token=lambda signature: authority.resigned(authority.reply(request_of(signature).as_bytes()), without_binding)
    )
    trust = replace(office.trust, timestamp_roots=(authority.root,))
    assert not authority.openssl_takes(sealed.timestamp, sealed.signature)
    told = refused("timestamp", steps_of_files, files_of(sealed), trust)
    assert "no signing-certificate attribute" in told
