"""Keys, the signer, and timestamp authorities: what is used, what is refused, and with which words."""

import asyncio
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import rfc3161_client
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from notifications.crypto.cms import verify_chain, verify_detached
from notifications.crypto.timestamps import verify_timestamp
from notifications.errors import InvalidInputError, SealingUnavailableError, TimestampUnavailableError
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import KeyFiles, create_demo_keys
from service.crypto.key_files import load_log_key
from service.crypto.timestamping import EmbeddedTimestampAuthority, HttpTimestampAuthority, verify_reply
from support.sealed_sample import ADDRESS, ORIGIN, Office, SetClock
from support.timestamp_responder import answering, http, web_server

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
CONTENT = b"what is signed"
PASSPHRASE = "mot de passe très long".encode()


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("encrypted"), passphrase=PASSPHRASE)


class Stamping:
    """The keys of an installation, and the timestamp authority on them."""

    def __init__(self, folder):
        self.files = make_keys(folder, now=datetime.now(UTC))
        self.authority = EmbeddedTimestampAuthority(self.files.timestamp_key, self.files.timestamp_chain, None)
        self.roots = x509.load_pem_x509_certificates((self.files.trust / "tsa.pem").read_bytes())


@pytest.fixture(scope="module")
def stamping(tmp_path_factory):
    return Stamping(tmp_path_factory.mktemp("stamping"))


def make_keys(folder, **changes):
    files = KeyFiles(folder / "keys", folder / "trust")
    given = {"address": ADDRESS, "provider_name": "Provider", "log_origin": ORIGIN, "now": NOW, "passphrase": None}
    create_demo_keys(files, **(given | changes))
    return files


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# -- demo keys


def test_private_keys_are_for_their_owner_alone(encrypted):
    assert mode(encrypted.keys) == 0o700
    private = sorted(path for path in encrypted.keys.iterdir() if b"PRIVATE KEY" in path.read_bytes())
    assert [path.name for path in private] == ["ca.key", "log.key", "signing.pem", "tsa.key"]
    assert {mode(path) for path in private} == {0o600}
    assert sorted(path.name for path in encrypted.trust.iterdir()) == ["ca.pem", "log.vkey", "tsa.pem"]


def test_a_passphrase_really_encrypts_every_key(encrypted):
    for path in (*encrypted.keys.glob("*.key"), encrypted.signing_key):
        data = path.read_bytes()
        assert data.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        with pytest.raises(TypeError):
            load_pem_private_key(data, None)
        assert load_pem_private_key(data, PASSPHRASE)


def test_a_key_written_by_create_is_opened_by_the_parts_that_use_it(encrypted):
    clock = SetClock(NOW)
    assert CmsSigner(encrypted.signing_key, encrypted.signing_chain, PASSPHRASE, clock).sign_detached(CONTENT)
    assert EmbeddedTimestampAuthority(encrypted.timestamp_key, encrypted.timestamp_chain, PASSPHRASE)
    assert load_log_key(encrypted.log_key, PASSPHRASE)


@pytest.mark.parametrize("left", ["keys/ca.key", "keys/signing.key", "keys/tsa.key", "keys/log.key"])
def test_a_key_that_exists_is_never_overwritten(tmp_path, left):
    (tmp_path / "keys").mkdir()
    (tmp_path / left).write_bytes(b"precious")
    with pytest.raises(InvalidInputError, match="never overwritten"):
        make_keys(tmp_path)
    assert (tmp_path / left).read_bytes() == b"precious"
    assert [path.name for path in (tmp_path / "keys").iterdir()] == [left.partition("/")[2]]


def test_no_key_is_written_through_a_link(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ca.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        make_keys(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "address",
    ["sécurité@provider.example", "soc", "soc@", "@provider.example", "SOC <soc@provider.example>", "a@b@c.example",
     "a b@provider.example", "soc@provider.example\n", "soc@prövider.example"],
)  # fmt: skip
def test_an_address_that_no_certificate_can_name_is_refused_before_anything_is_written(tmp_path, address):
    with pytest.raises(InvalidInputError, match="address"):
        make_keys(tmp_path, address=address)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["P" * 200, "é" * 60, "😀" * 40], ids=["ascii", "two-byte", "four-byte"])
def test_a_long_name_of_the_provider_leaves_issuer_and_subject_apart(tmp_path, name):
    files = make_keys(tmp_path, provider_name=name)
    signed = verify_detached(
        CONTENT, CmsSigner(files.signing_key, files.signing_chain, None, SetClock(NOW)).sign_detached(CONTENT), "step"
    )
    assert signed.certificate.subject != signed.certificate.issuer
    roots = x509.load_pem_x509_certificates((files.trust / "ca.pem").read_bytes())
    verify_chain(signed, roots, NOW, "step")


@pytest.mark.parametrize("name", ["", " ", "Pro\nvider", "Provider\x00"])
def test_a_provider_without_a_printable_name_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match="provider_name"):
        make_keys(tmp_path, provider_name=name)


# -- the signer


def authority(name="Authority"):
    key = ec.generate_private_key(ec.SECP256R1())
    return key, certificate_of(key.public_key(), key, name, name, ca=True)


def certificate_of(
    public, issuer_key, issuer, subject="Notices", *, ca=False, start=NOW, days=365, usages=("mail",), address=ADDRESS,
    signatures=True,
):  # fmt: skip
    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    known = {"mail": ExtendedKeyUsageOID.EMAIL_PROTECTION, "web": ExtendedKeyUsageOID.SERVER_AUTH}
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=signatures, content_commitment=False, key_encipherment=False,
                data_encipherment=not signatures, key_agreement=False, key_cert_sign=ca, crl_sign=ca,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip
    if usages and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([known[each] for each in usages]), critical=False)
    if address and not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


class Files:
    """A signing key and chain on disk, and the signer on them."""

    def __init__(self, folder):
        self.key_file, self.chain_file = folder / "signing.key", folder / "signing.pem"
        self.clock = SetClock(NOW + timedelta(hours=1))
        self.issuer_key, self.issuer = authority()

    def write_key(self, key, passphrase=None):
        protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        self.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
        return key

    def write(self, key=None, passphrase=None, more=(), **certificate):
        key = self.write_key(key or ec.generate_private_key(ec.SECP256R1()), passphrase)
        leaf = certificate_of(key.public_key(), self.issuer_key, "Authority", **certificate)
        self.chain_file.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (leaf, *more)))
        return leaf

    def signer(self, passphrase=None):
        return CmsSigner(self.key_file, self.chain_file, passphrase, self.clock)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def refusal(signer):
    with pytest.raises(SealingUnavailableError) as caught:
        signer.sign_detached(CONTENT)
    return str(caught.value)


@pytest.mark.parametrize("key", ["P-256", "RSA-3072"])
def test_a_signature_verifies_and_its_certificate_leads_to_the_root(files, key):
    made = rsa.generate_private_key(65537, 3072) if key == "RSA-3072" else None
    leaf = files.write(made)
    signer = files.signer()
    signed = verify_detached(CONTENT, signer.sign_detached(CONTENT), "step")
    verify_chain(signed, [files.issuer], files.clock.at, "step")
    assert signed.certificate == leaf
    assert (signer.address, signer.not_after) == (ADDRESS, leaf.not_valid_after_utc)
    assert signer.fingerprint == leaf.fingerprint(hashes.SHA256()).hex()


def test_intermediates_travel_with_the_signature_and_the_root_does_not(files):
    between_key = ec.generate_private_key(ec.SECP256R1())
    between = certificate_of(between_key.public_key(), files.issuer_key, "Authority", "Between", ca=True)
    key = files.write_key(ec.generate_private_key(ec.SECP256R1()))
    leaf = certificate_of(key.public_key(), between_key, "Between")
    chain = (leaf, between, files.issuer)
    files.chain_file.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in chain))
    signed = verify_detached(CONTENT, files.signer().sign_detached(CONTENT), "step")
    assert signed.others == (between,)
    verify_chain(signed, [files.issuer], files.clock.at, "step")


def test_an_intermediate_that_issued_nothing_is_refused(files):
    other_key, _ = authority("Other")
    stray = certificate_of(other_key.public_key(), other_key, "Other", "Between", ca=True)
    files.write(more=(stray,))
    assert "CN=Between issued none before it" in refusal(files.signer())


def test_an_expired_intermediate_is_refused_as_readers_would(files):
    between_key = ec.generate_private_key(ec.SECP256R1())
    between = certificate_of(between_key.public_key(), files.issuer_key, "Authority", "Between", ca=True, days=1)
    key = files.write_key(ec.generate_private_key(ec.SECP256R1()))
    leaf = certificate_of(key.public_key(), between_key, "Between")
    files.chain_file.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (leaf, between)))
    signer = files.signer()
    assert signer.sign_detached(CONTENT)
    files.clock.at = NOW + timedelta(days=2)
    assert "expired at 2026-03-03 10:00 UTC" in refusal(signer)


def test_a_malformed_certificate_is_told_and_no_crash(files):
    leaf = files.write()
    # An extension of the certificate as it is, under the name of another one.
    known, other = bytes.fromhex("0603551d25"), bytes.fromhex("0603551d11")
    data = leaf.public_bytes(Encoding.DER)
    assert data.count(known) == 1
    pem = x509.load_der_x509_certificate(data.replace(known, other)).public_bytes(Encoding.PEM)
    files.chain_file.write_bytes(pem)
    assert str(files.chain_file) in refusal(files.signer())


def test_a_missing_key_file_is_named(files):
    files.write()
    files.key_file.unlink()
    assert refusal(files.signer()) == f"key file {files.key_file} cannot be read: No such file or directory"


def test_a_missing_certificate_file_is_named(files):
    files.write()
    files.chain_file.unlink()
    assert refusal(files.signer()) == f"certificate file {files.chain_file} cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("given", "reason"),
    [(b"wrong", "its passphrase is wrong"), (None, "is encrypted and no passphrase is given"),
     (b"", "is encrypted and no passphrase is given")],
)  # fmt: skip
def test_an_encrypted_key_needs_its_passphrase(files, given, reason):
    files.write(passphrase=PASSPHRASE)
    assert files.signer(PASSPHRASE).sign_detached(CONTENT)
    told = refusal(files.signer(given))
    assert str(files.key_file) in told
    assert reason in told


def test_a_passphrase_does_no_harm_to_a_key_that_needs_none(files):
    files.write()
    assert files.signer(PASSPHRASE).sign_detached(CONTENT)


@pytest.mark.parametrize("data", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_named(files, data):
    files.write()
    files.key_file.write_bytes(data)
    assert refusal(files.signer()) == f"key {files.key_file} cannot be opened: it is no private key in PEM"


@pytest.mark.parametrize("data", [b"", b"not one", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_no_certificate_is_named(files, data):
    files.write()
    files.chain_file.write_bytes(data)
    assert refusal(files.signer()) == f"certificate file {files.chain_file} holds no certificate in PEM"


def test_a_key_of_another_certificate_is_refused(files):
    files.write()
    files.write_key(ec.generate_private_key(ec.SECP256R1()))
    assert refusal(files.signer()) == f"key {files.key_file} is not the key of certificate {files.chain_file}"


def test_an_expired_certificate_is_refused_from_the_second_on(files):
    leaf = files.write(days=1)
    signer = files.signer()
    files.clock.at = leaf.not_valid_after_utc
    assert signer.sign_detached(CONTENT)
    files.clock.at += timedelta(seconds=1)
    told = refusal(signer)
    assert "expired at 2026-03-03 10:00 UTC" in told
    assert "install a renewed one" in told


def test_a_certificate_of_the_future_is_refused(files):
    files.write(start=NOW + timedelta(hours=2))
    signer = files.signer()
    assert "is not valid before 2026-03-02 12:00 UTC" in refusal(signer)
    files.clock.at = NOW + timedelta(hours=2)
    assert signer.sign_detached(CONTENT)


@pytest.mark.parametrize("usages", [(), ("web",)])
def test_a_certificate_for_something_else_than_mail_is_refused(files, usages):
    files.write(usages=usages)
    assert "not for e-mail protection (extendedKeyUsage)" in refusal(files.signer())


def test_a_certificate_without_a_mail_address_is_refused(files):
    files.write(address=None)
    assert "names no mail address (subjectAltName)" in refusal(files.signer())


def test_a_certificate_for_encryption_only_is_refused(files):
    files.write(signatures=False)
    assert "not for digital signatures (keyUsage)" in refusal(files.signer())


@pytest.mark.parametrize(
    ("make", "reason"),
    [(lambda: ec.generate_private_key(ec.SECP384R1()), "is on curve secp384r1, not P-256"),
     (ed25519.Ed25519PrivateKey.generate, "is neither ECDSA nor RSA"),
     (lambda: rsa.generate_private_key(65537, 1024), "has 1024 bits, fewer than 2048")],
)  # fmt: skip
def test_a_key_that_mail_readers_do_not_take_is_refused(files, make, reason):
    files.write(make())
    assert reason in refusal(files.signer())


def test_a_mended_file_is_used_without_a_restart(files):
    files.write(usages=("web",))
    signer = files.signer()
    refusal(signer)
    leaf = files.write()
    assert verify_detached(CONTENT, signer.sign_detached(CONTENT), "step").certificate == leaf


def test_a_renewed_certificate_is_used_without_a_restart_and_a_bad_one_is_not_passed_over(files):
    files.write(days=1)
    signer = files.signer()
    signer.sign_detached(CONTENT)
    files.clock.at += timedelta(days=2)
    refusal(signer)
    leaf = files.write(days=400)
    assert verify_detached(CONTENT, signer.sign_detached(CONTENT), "step").certificate == leaf
    files.chain_file.write_bytes(b"gone")
    assert "holds no certificate" in refusal(signer)


def test_the_log_key_must_be_ed25519(files):
    files.write()
    with pytest.raises(SealingUnavailableError, match="is no Ed25519 key"):
        load_log_key(files.key_file, None)


# -- the embedded timestamp authority


async def test_the_embedded_authority_is_taken_by_an_independent_verifier(stamping, tmp_path):
    reply = await stamping.authority.timestamp(CONTENT)
    verifier = rfc3161_client.VerifierBuilder().add_root_certificate(stamping.roots[0]).build()
    response = rfc3161_client.decode_timestamp_response(reply)
    assert verifier.verify_message(response, CONTENT)
    with pytest.raises(rfc3161_client.VerificationError):
        verifier.verify_message(response, CONTENT + b".")
    assert stamping.authority.independent is False

    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "reply.tsr").write_bytes(reply)
    command = ["openssl", "ts", "-verify", "-in", tmp_path / "reply.tsr", "-data", tmp_path / "content"]
    ran = subprocess.run([*command, "-CAfile", stamping.files.trust / "tsa.pem"], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


async def test_the_embedded_authority_of_an_older_folder_signs_by_rsa(stamping, tmp_path):
    office = Office(tmp_path)
    older = EmbeddedTimestampAuthority(office.files.timestamp_key, office.files.timestamp_chain, None)
    assert isinstance(older.certificate.public_key(), rsa.RSAPublicKey)
    stated = verify_timestamp(await older.timestamp(CONTENT), CONTENT, office.trust.timestamp_roots, "step")
    assert abs(stated.at - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_embedded_authority_takes_no_key_of_another_kind(stamping):
    with pytest.raises(SealingUnavailableError, match="neither ECDSA nor RSA"):
        EmbeddedTimestampAuthority(stamping.files.log_key, stamping.files.timestamp_chain, None)


# -- an authority by HTTP


def stamped(stamping, request, **changes):
    """Return the reply of a stamping's authority to a request with some of its members changed."""
    asked = tsp.TimeStampReq.load(request)
    for name, value in changes.items():
        asked[name] = value
    return stamping.authority.reply(asked["message_imprint"]["hashed_message"].native, asked["nonce"].native)


async def ask(stamping, answer, timeout_seconds=5):
    async with web_server(answer) as url:
        client = HttpTimestampAuthority(url, stamping.roots, independent=True, timeout_seconds=timeout_seconds)
        try:
            return await client.timestamp(CONTENT)
        finally:
            await client.aclose()


async def test_an_authority_by_http_is_asked_as_rfc_3161_says_and_its_token_used(stamping):
    heads = []

    async def answer(head, body, writer):
        heads.append(head.lower())
        writer.write(http(stamped(stamping, body), kind="Application/Timestamp-Reply; charset=binary"))

    reply = await ask(stamping, answer)
    assert b"content-type: application/timestamp-query" in heads[0]
    assert heads[0].startswith(b"post /tsr ")
    response = rfc3161_client.decode_timestamp_response(reply)
    assert (
        rfc3161_client.VerifierBuilder()
        .add_root_certificate(stamping.roots[0])
        .build()
        .verify_message(response, CONTENT)
    )


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Stamping(tmp_path_factory.mktemp("stranger"))


def rejected(_body):
    reply = tsp.TimeStampResp({"status": tsp.PKIStatusInfo({"status": tsp.PKIStatus("rejection")})}).dump()
    return http(reply)


def other_imprint(stamping, body):
    imprint = tsp.MessageImprint({"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)})
    return http(stamped(stamping, body, message_imprint=imprint))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda stamping, _, body: http(stamped(stamping, body, nonce=4711)), "Nonce"),
        (lambda stamping, _, body: http(stamped(stamping, body, nonce=None)), "Nonce"),
        (lambda stamping, _, body: other_imprint(stamping, body), "Mismatch between messages"),
        (lambda _, stranger, body: http(stamped(stranger, body)), "does not verify"),
        (lambda _, __, body: rejected(body), "timestamp|authority"),
        (lambda _, __, ___: http(b""), "cannot be parsed"),
        (lambda _, __, ___: http(b"garbage"), "cannot be parsed"),
        (lambda _, __, body: http(body), "cannot be parsed"),
        (lambda stamping, _, body: http(stamped(stamping, body)[:-1]), "cannot be parsed"),
        (lambda stamping, _, body: http(stamped(stamping, body), status="500 Oops"), "HTTP 500"),
        (lambda stamping, _, body: http(stamped(stamping, body), status="204 No"), "HTTP 204"),
        (lambda stamping, _, body: http(stamped(stamping, body), kind="text/html"), "no timestamp reply"),
        (lambda _, __, ___: http(b"x" * 100_001), "too long"),
        (lambda _, __, ___: b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "no timestamp reply"),
        (lambda _, __, ___: b"SSH-2.0-OpenSSH\r\n", "cannot be reached"),
        (lambda _, __, ___: b"", "cannot be reached"),
    ],
    ids=["other-nonce", "no-nonce", "other-imprint", "untrusted", "rejection", "empty", "garbage", "echo", "cut-off",
         "500", "204", "html", "long", "no-type", "not-http", "hung-up"],
)  # fmt: skip
async def test_an_answer_that_is_no_sound_token_is_not_used(stamping, stranger, make, reason):
    with pytest.raises(TimestampUnavailableError, match=reason):
        await ask(stamping, answering(lambda body: make(stamping, stranger, body)))


async def test_a_body_that_is_cut_off_is_not_used(stamping):
    whole = None

    async def answer(head, body, writer):
        nonlocal whole
        whole = http(stamped(stamping, body))
        writer.write(whole[:-10])

    with pytest.raises(TimestampUnavailableError, match="cannot be reached"):
        await ask(stamping, answer)


async def test_a_redirect_is_not_followed(stamping):
    asked = []

    async def elsewhere(head, body, writer):
        asked.append(body)
        writer.write(http(stamped(stamping, body)))

    async with web_server(elsewhere) as url:
        with pytest.raises(TimestampUnavailableError, match="HTTP 307"):
            await ask(stamping, answering(lambda _: http(b"", status="307 Go", more=f"Location: {url}\r\n")))
    assert asked == []


async def test_an_endless_body_is_left(stamping):
    async def answer(head, body, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\n\r\n")
        while True:
            writer.write(b"0" * 10_000)
            await writer.drain()

    with pytest.raises(TimestampUnavailableError, match="too long"):
        await ask(stamping, answer)


async def test_a_silent_authority_is_left_after_the_timeout(stamping):
    async def answer(head, body, writer):
        await asyncio.Event().wait()

    with pytest.raises(TimestampUnavailableError):
        await ask(stamping, answer, timeout_seconds=0.05)


async def test_a_dripping_authority_is_left_after_the_timeout(stamping):
    async def answer(head, body, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\n\r\n")
        while True:
            writer.write(b"0")
            await writer.drain()
            await asyncio.sleep(0.01)  # each read is answered well within the timeout

    with pytest.raises(TimestampUnavailableError):
        async with asyncio.timeout(20):
            await ask(stamping, answer, timeout_seconds=0.2)


async def test_a_closed_port_is_told(stamping):
    async with web_server(answering(lambda _: b"")) as url:
        pass
    client = HttpTimestampAuthority(url, stamping.roots, independent=True, timeout_seconds=5)
    with pytest.raises(TimestampUnavailableError, match="cannot be reached"):
        await client.timestamp(CONTENT)
    await client.aclose()


@pytest.mark.parametrize(
    "url",
    ["http://tsa.example/tsr", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/", "http://10.0.0.1/",
     "http://localhost.evil.example/", "ftp://127.0.0.1/", "file:///etc/passwd", "tsa.example", "", "https:///tsr",
     "http://[::1"],
)  # fmt: skip
def test_only_https_or_loopback_is_taken(stamping, url):
    with pytest.raises(InvalidInputError, match=r"timestamps\.url"):
        HttpTimestampAuthority(url, stamping.roots, independent=True, timeout_seconds=1)


@pytest.mark.parametrize(
    "url",
    ["https://tsa.example/tsr", "http://127.0.0.1/", "http://127.8.9.1:80/", "http://[::1]:3/", "http://localhost/"],
)
@pytest.mark.parametrize("independent", [True, False])
async def test_independence_is_what_the_operator_says(stamping, url, independent):
    client = HttpTimestampAuthority(url, stamping.roots, independent=independent, timeout_seconds=1)
    assert client.independent is independent
    await client.aclose()


def test_an_authority_without_a_root_to_trust_is_refused():
    with pytest.raises(InvalidInputError, match=r"timestamps\.ca_file"):
        HttpTimestampAuthority("https://tsa.example/", [], independent=True, timeout_seconds=1)


def test_no_bit_of_a_reply_changes_without_its_refusal(stamping):
    """Every byte once: the reply is used as it is, or refused with the one error that is retried."""
    builder = rfc3161_client.TimestampRequestBuilder().data(CONTENT)
    request = builder.hash_algorithm(rfc3161_client.HashAlgorithm.SHA256).nonce(nonce=True).build()
    reply = stamped(stamping, request.as_bytes())
    verify_reply(reply, request, CONTENT, stamping.roots)
    for position in range(0, len(reply), 3):
        changed = bytearray(reply)
        changed[position] ^= 1 << (position % 8)
        with pytest.raises(TimestampUnavailableError):
            verify_reply(bytes(changed), request, CONTENT, stamping.roots)


def test_a_root_that_stands_twice_is_one_root(stamping):
    builder = rfc3161_client.TimestampRequestBuilder().data(CONTENT)
    request = builder.hash_algorithm(rfc3161_client.HashAlgorithm.SHA256).nonce(nonce=True).build()
    verify_reply(stamped(stamping, request.as_bytes()), request, CONTENT, stamping.roots * 2)
