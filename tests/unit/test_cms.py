"""Detached signatures and their chains, each rule by itself: who signed, by which key, under which authority.

Quick on purpose: mutation testing takes these first. ``test_verification`` has what adversaries do with whole notices.
"""

import re
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notifications.crypto.cms import (
    _for_mail,
    _for_mail_if_limited,
    _for_signatures,
    _no_authority,
    _verify_signature,
    verify_chain,
    verify_detached,
)
from notifications.crypto.der import ECDSA_WITH_SHA256, RSA_ENCRYPTION, RSA_WITH_SHA256, parse_detached_signature
from support.sealed_sample import ADDRESS, refused

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CONTENT = b'{"a":"b"}'
MAIL, TLS, ANY = (
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    key, *, serial=0x4711, subject="signer", issuer=None, issuer_key=None, address=ADDRESS, authority=False
):
    """Return a certificate with what the authorities of mail demand; its own issuer unless one is given."""
    issuer_key = issuer_key or key
    usage = dict.fromkeys(
        (
            "content_commitment", "key_encipherment", "data_encipherment", "encipher_only", "decipher_only",
            "key_agreement",
        ),
        False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer or subject))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(AT - timedelta(days=1))
        .not_valid_after(AT + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(**usage, digital_signature=True, key_cert_sign=authority, crl_sign=authority), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([MAIL]), critical=False)
        if address is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def signature_of(leaf, key, *others):
    builder = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT).add_signer(leaf, key, hashes.SHA256())
    for other in others:
        builder = builder.add_certificate(other)
    return builder.sign(Encoding.DER, [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary])


def with_certificate(signature, certificate):
    """Return a signature file of one certificate with another in its place; lengths of DER are written anew."""
    file = asn1_cms.ContentInfo.load(signature)
    file["content"]["certificates"] = [asn1_x509.Certificate.load(certificate)]
    return file.dump(force=True)


@pytest.fixture(scope="module")
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def leaf(key):
    return certificate(key)


@pytest.fixture(scope="module")
def signature(leaf, key):
    return signature_of(leaf, key)


class TestWhoSigned:
    def test_the_signer_and_nobody_beside(self, leaf, signature):
        signed = verify_detached(CONTENT, signature, "x")
        assert (signed.certificate, signed.others, signed.addresses) == (leaf, (), (ADDRESS,))
        assert signed.names(ADDRESS.upper())
        assert not signed.names("other@provider.example")
        assert {signed, replace(signed)} == {signed}
        assert not hasattr(signed, "__dict__")

    def test_a_certificate_without_an_address_names_none(self, key):
        signed = verify_detached(CONTENT, signature_of(certificate(key, address=None), key), "x")
        assert signed.addresses == ()

    def test_certificates_beside_are_told_apart_by_issuer_and_serial_number_together(self, leaf, key):
        beside = (
            certificate(key, subject="another"),
            certificate(key, subject="below it", issuer="signer", issuer_key=key, serial=6),
        )
        signed = verify_detached(CONTENT, signature_of(leaf, key, *beside), "x")
        assert signed.certificate == leaf
        assert set(signed.others) == set(beside)

    @pytest.mark.parametrize("other", [{"serial": 6}, {"subject": "sIgner"}], ids=str)
    def test_a_signer_whose_certificate_is_not_there(self, key, signature, other):
        spoilt = with_certificate(signature, certificate(key, **other).public_bytes(Encoding.DER))
        told = refused("x", verify_detached, CONTENT, spoilt, "x")
        assert told == "the signer's certificate is not in the signature"

    def test_a_signer_whose_certificate_is_there_twice(self, leaf, key):
        twin = certificate(key)  # of the same issuer and number; its own signature is another
        told = refused("x", verify_detached, CONTENT, signature_of(leaf, key, twin), "x")
        assert told == "the signer's certificate is not in the signature"

    def test_another_content(self, signature):
        assert refused("x", verify_detached, CONTENT + b" ", signature, "x") == "the content is not what was signed"

    def test_what_is_no_signature(self):
        refused("x", verify_detached, CONTENT, b"x", "x")


class TestMalformedCertificates:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            pytest.param("a003020102", "a403020102", id="ValueError"),
            pytest.param("a003020102", "a003020105", id="InvalidVersion"),
            pytest.param("0603551d25", "0603551d11", id="DuplicateExtension"),
            pytest.param(
                "8114" + ADDRESS.encode().hex(), "a314" + ADDRESS.encode().hex(), id="UnsupportedGeneralNameType"
            ),
            pytest.param("06082a8648ce3d030107", "06082a8648ce3d030109", id="UnsupportedAlgorithm"),
            # In the certificate and where the signer is named, so that it is the signer's.
            pytest.param("02024711", "0202b711", id="CryptographyDeprecationWarning"),
        ],
    )
    def test_each_kind_of_fault_of_the_library_is_a_refusal(self, signature, before, after):
        assert bytes.fromhex(before) in signature
        spoilt = signature.replace(bytes.fromhex(before), bytes.fromhex(after))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as where nobody made errors of them, which pytest does here
            told = refused("x", verify_detached, CONTENT, spoilt, "x")
        assert told.startswith("holds a malformed certificate: ")


class TestByWhichKey:
    def test_a_signature_that_it_did_not_make(self, key, rsa_key):
        for own in (key, rsa_key):
            parsed = parse_detached_signature(signature_of(certificate(own), own))
            for wrong in (
                replace(parsed, signed_attributes=parsed.signed_attributes + b"\x00"),
                replace(parsed, signature=parsed.signature[:-1] + bytes([parsed.signature[-1] ^ 1])),
            ):
                assert refused("x", _verify_signature, wrong, certificate(own), "x") == "the signature is wrong"

    def test_a_stranger_names_the_signer_s_certificate(self, leaf, signature):
        """Issuer and serial number are those of the signer, and the key is another: its signature decides."""
        stranger = ec.generate_private_key(ec.SECP256R1())
        forged = signature_of(certificate(stranger), stranger)
        parsed = parse_detached_signature(signature)
        assert (parsed.issuer, parsed.serial) == (named("signer").public_bytes(), 0x4711)
        exchanged = with_certificate(forged, leaf.public_bytes(Encoding.DER))
        assert refused("x", verify_detached, CONTENT, exchanged, "x") == "the signature is wrong"

    def test_a_key_and_its_algorithms(self, key, rsa_key):
        for own, taken in ((key, {ECDSA_WITH_SHA256}), (rsa_key, {RSA_ENCRYPTION, RSA_WITH_SHA256})):
            parsed = parse_detached_signature(signature_of(certificate(own), own))
            for algorithm in (ECDSA_WITH_SHA256, RSA_ENCRYPTION, RSA_WITH_SHA256, "1.2.3"):
                said = replace(parsed, signature_algorithm=algorithm)
                if algorithm in taken:
                    _verify_signature(said, certificate(own), "x")
                else:
                    told = refused("x", _verify_signature, said, certificate(own), "x")
                    assert told == f"uses algorithm {algorithm}, which the key has not"

    def test_a_key_of_another_kind_has_none_of_them(self, signature):
        other = ed25519.Ed25519PrivateKey.generate()
        authority = ec.generate_private_key(ec.SECP256R1())
        for algorithm in (ECDSA_WITH_SHA256, RSA_WITH_SHA256):
            said = replace(parse_detached_signature(signature), signature_algorithm=algorithm)
            of_it = certificate(other, issuer="authority", issuer_key=authority)
            assert refused("x", _verify_signature, said, of_it, "x").endswith("which the key has not")


class TestUnderWhichAuthority:
    def chain(self, links):
        """Return a root, and a signature with a leaf below as many authorities below that root."""
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(links + 2)]
        authorities = [certificate(keys[0], subject="authority 0", authority=True)]
        for number in range(1, links + 1):
            above = {"issuer": f"authority {number - 1}", "issuer_key": keys[number - 1]}
            authorities.append(
                certificate(keys[number], subject=f"authority {number}", serial=number + 1, authority=True, **above)
            )
        leaf = certificate(keys[-1], serial=99, issuer=f"authority {links}", issuer_key=keys[links])
        return authorities[0], verify_detached(CONTENT, signature_of(leaf, keys[-1], *authorities[1:]), "x")

    @pytest.mark.parametrize("links", [0, 1, 5])
    def test_below_a_root_directly_or_by_few_others(self, links):
        root, signed = self.chain(links)
        assert len(signed.others) == links
        verify_chain(signed, (root,), AT, "y")

    def test_below_a_root_by_too_many(self):
        root, signed = self.chain(6)
        told = refused("y", verify_chain, signed, (root,), AT, "y")
        assert told.startswith("the certificate does not hold at 2026-03-02 09:30:00 UTC: ")

    def test_no_root_is_no_trust(self):
        _, signed = self.chain(0)
        refused("y", verify_chain, signed, (), AT, "y")

    def test_what_is_no_link_is_refused_beside_a_link(self):
        root, signed = self.chain(1)
        more = replace(signed, others=(*signed.others, certificate(ec.generate_private_key(ec.SECP256R1()))))
        assert refused("y", verify_chain, more, (root,), AT, "y") == "holds a certificate that is no link of the chain"


def usage(**changes):
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**(dict.fromkeys(names, False) | changes))


@pytest.mark.parametrize(
    ("check", "taken", "wrong", "told"),
    [
        (
            _for_mail,
            [x509.ExtendedKeyUsage([MAIL]), x509.ExtendedKeyUsage([TLS, MAIL])],
            [x509.ExtendedKeyUsage([TLS]), x509.ExtendedKeyUsage([ANY])],
            "the certificate is not for e-mail protection",
        ),
        (
            _for_mail_if_limited,
            [None, x509.ExtendedKeyUsage([MAIL]), x509.ExtendedKeyUsage([ANY])],
            [x509.ExtendedKeyUsage([TLS])],
            "the certificate's authority is not for e-mail protection",
        ),
        (
            _for_signatures,
            [None, usage(digital_signature=True)],
            [usage(key_agreement=True)],
            "the certificate is not for digital signatures",
        ),
        (
            _no_authority,
            [None, x509.BasicConstraints(ca=False, path_length=None)],
            [x509.BasicConstraints(ca=True, path_length=None)],
            "the certificate is an authority's",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_certificate_is_for(check, taken, wrong, told):
    for extension in taken:
        check(None, None, extension)
    for extension in wrong:
        with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
            check(None, None, extension)
