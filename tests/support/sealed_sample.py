"""Sealed notices for tests: real keys, signatures and tree. A test can make every part wrong on purpose."""

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from unittest import mock
from uuid import UUID

import pytest
import rfc3161_client
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyhanko.keys.pemder import load_private_key_from_pemder
from pyhanko.sign.timestamps import DummyTimeStamper, dummy_client

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint
from notifications.audit.entry import AuditEntry, Opening, leaf_bytes
from notifications.audit.merkle import append_leaves, inclusion_proof, leaf_hash
from notifications.audit.proof import format_notice_extra, format_proof, parse_proof
from notifications.canonical_json import canonicalize, timestamp_text
from notifications.errors import VerificationError
from notifications.evidence.verification import NoticeFiles, verify_notice_files, verify_notice_mail
from notifications.mail.mail import Envelope, assemble_mail, prepare_body, with_note
from notifications.mail.parts import base64_lines
from notifications.mail.signed_mail import parse_signed_mail
from notifications.notice.seal import SealedNotice, SealedRendering
from service.cli.verify import load_trust
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import KeyFiles, _name, _pem, _root, _timestamp_certificate, create_demo_keys
from service.crypto.key_files import load_chain, load_log_key, load_private_key, private_pem

ADDRESS = "soc@provider.example"
ORIGIN = "provider.example/greffier"
#: Text that mail often damages: long lines, dots, "From ", trailing space, a line like a boundary, an encoded word.
TEXT = (
    "INC-2026-000042 · TLP:AMBER+STRICT\n\nFrom the pool « Éclair » \n.\n..\nFrom here on: "
    + "é" * 90
    + "\n--=_mixed_0123\n=?utf-8?q?x?=\n\ttab\t\n"
)
HTML = "<p>Störung – Lösung läuft &amp; hält</p>\n" * 40
CSV = b'"kind";"id"\r\n"machine";"vm-1"\r\n'
#: What is critical in a certificate: the first may be (RFC 5280, 4.2.1.4), the others must.
_CRITICAL = (x509.CertificatePolicies, x509.PolicyConstraints, x509.InhibitAnyPolicy, x509.NameConstraints)


def write_signer(
    office,
    folder,
    *,
    key=None,
    address=ADDRESS,
    usages=(ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    days=(-1, 30),
    authority=False,
    digital_signature=True,
    intermediates=(),
    upper_states=(),
    authority_states=(),
    leaf_states=(),
):
    """Write a key and a chain issued by the office's CA, with the given properties; return a signer that uses them.

    Without ``digital_signature`` (None) the certificate has no keyUsage.
    ``intermediates`` has the purposes of each authority between, the upper first; without purposes it is for all.
    ``authority_states`` has further extensions of the lowest one, ``upper_states`` of the one above it, ``leaf_states``
    those of the signer.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    ca_key = load_private_key(office.files.ca_key, None)
    issuer = x509.load_pem_x509_certificate((office.files.trust / "ca.pem").read_bytes())
    chain = []
    for number, purposes in enumerate(intermediates):
        between = ec.generate_private_key(ec.SECP256R1())
        limits = [x509.ExtendedKeyUsage(purposes)] if purposes else []
        limits += {1: authority_states, 2: upper_states}.get(len(intermediates) - number, ())
        issuer = _certificate(office, between, f"between {number}", issuer, ca_key, limits, days, authority=True)
        chain, ca_key = [issuer, *chain], between
    names = [x509.SubjectAlternativeName([x509.RFC822Name(address)])] if address else []
    extensions = (*names, *([x509.ExtendedKeyUsage(usages)] if usages else []), *leaf_states)
    leaf = _certificate(
        office, key, "signer", issuer, ca_key, extensions, days, authority=authority, signs=digital_signature
    )
    folder.mkdir(parents=True, exist_ok=True)
    key_file, chain_file = folder / "signer.key", folder / "signer.pem"
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    chain_file.write_bytes(b"".join(item.public_bytes(Encoding.PEM) for item in (leaf, *chain)))
    return CmsSigner(key_file, chain_file, None, office.clock)


def _certificate(office, key, name, issuer, issuer_key, extensions, days, *, authority=False, signs=True):
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "encipher_only", "decipher_only"), False
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(office.now + timedelta(days=days[0]))
        .not_valid_after(office.now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if signs is not None:
        allowed = x509.KeyUsage(
            **usage,
            digital_signature=signs,
            key_agreement=not signs,
            key_cert_sign=authority,
            crl_sign=authority,
        )
        builder = builder.add_extension(allowed, critical=True)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, _CRITICAL))
    return builder.sign(issuer_key, hashes.SHA256())


class SetClock:
    """A clock that does not move until the test sets it."""

    def __init__(self, now):
        self.at = now

    def now(self):
        return self.at


def rendering(language, ticket="INC-2026-000042", tlp="TLP:AMBER+STRICT", sequence=1):
    return SealedRendering(language, f"[{tlp}] {ticket} #{sequence} – Störung", TEXT, HTML)


def document_of(renderings, csv):
    """Return a document with the members that a verifier reads; the composer's other members are left out."""
    listed = [
        {"language": item.language, "media_type": kind, "sha256": hashlib.sha256(body.encode()).hexdigest()}
        for item in renderings
        for kind, body in (("text/plain", item.text), ("text/html", item.html))
    ]
    return {
        "schema": "greffier.notice/1",
        "notice_id": str(UUID(int=77)),
        "incident_id": str(UUID(int=9)),
        "ticket": "INC-2026-000042",
        "sequence": 1,
        "kind": "initial",
        "facts_version": 3,
        "tlp": "TLP:AMBER+STRICT",
        "issued_at": timestamp_text(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)),
        "effect": {"resources_csv_sha256": None if csv is None else hashlib.sha256(csv).hexdigest()},
        "renderings": listed,
    }


@cache
def _loaded_key(data, password):
    return load_der_private_key(data, password)


def _give_rsa_authority(files, provider_name, now):
    """Replace the timestamp authority by one that signs with RSA, because pyHanko's stamper has no other keys."""
    key, root_key = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    root = _root(root_key, _name(provider_name, " RSA timestamp root"), now, 3650)
    leaf = _timestamp_certificate(key, root_key, root, provider_name, now)
    files.timestamp_key.write_bytes(private_pem(key, None))
    files.timestamp_chain.write_bytes(_pem(leaf) + _pem(root))
    (files.trust / "tsa.pem").write_bytes(_pem(root))


class Office:
    """A provider's keys and log, and methods that seal with them."""

    def __init__(self, folder: Path, now=None, address=ADDRESS):
        self.now = now or datetime.now(UTC)
        self.files = KeyFiles(folder / "keys", folder / "trust")
        create_demo_keys(
            self.files,
            address=address,
            provider_name="Sovereign Cloud",
            log_origin=ORIGIN,
            now=self.now - timedelta(days=40),
            passphrase=None,
        )
        _give_rsa_authority(self.files, "Sovereign Cloud", self.now - timedelta(days=40))
        self.clock = SetClock(self.now)
        self.signer = CmsSigner(self.files.signing_key, self.files.signing_chain, None, self.clock)
        self.trust = load_trust(self.files.trust)

    def token(self, content, at=None, *, with_certificates=True):
        """Return a timestamp reply, by pyHanko alone."""
        stamper = DummyTimeStamper(*self._authority, fixed_dt=at)
        request = rfc3161_client.TimestampRequestBuilder().data(content)
        request = request.cert_request(cert_request=with_certificates).build()
        # To load an RSA key is to test its primes, for a tenth of a second: pyHanko loads it for each token.
        with mock.patch.object(dummy_client, "serialization", SimpleNamespace(load_der_private_key=_loaded_key)):
            return stamper.request_tsa_response(tsp.TimeStampReq.load(request.as_bytes())).dump()

    @cached_property
    def _authority(self):
        leaf = load_chain(self.files.timestamp_chain)[0]
        certificate = asn1_x509.Certificate.load(leaf.public_bytes(Encoding.DER))
        return certificate, load_private_key_from_pemder(str(self.files.timestamp_key), None)

    def proof(self, leaf, salts, position=5, size=11):
        """Return the proof that a leaf is in a tree under a checkpoint."""
        leaves = [b"leaf %d" % number for number in range(size)]
        leaves[position] = leaf
        grown = append_leaves(0, lambda wanted: [], [leaf_hash(item) for item in leaves])
        nodes = {(level, index): hashed for level, index, hashed in grown.nodes}
        hashes = inclusion_proof(position, size, lambda wanted: [nodes[node] for node in wanted])
        note = sign_checkpoint(load_log_key(self.files.log_key, None), Checkpoint(ORIGIN, grown.size, grown.root))
        return format_proof(position, hashes, note, format_notice_extra(leaf, salts))

    def seal(
        self,
        *,
        document=None,
        entry=None,
        csv=CSV,
        token=True,
        uncommitted=(),
        token_at=None,
        languages=("fr", "de"),
        signer=None,
        salts=None,
        shared=False,
    ):
        """Return a sealed notice; ``document`` and ``entry`` change members, ``uncommitted`` leaves commitments out.

        ``token`` may be what makes the timestamp of the signature; ``shared``: it is over the checkpoint of the proof.
        """
        renderings = tuple(rendering(language) for language in languages)
        stated = document_of(renderings, csv) | ({"timestamping": "by_checkpoint"} if shared else {}) | (document or {})
        data = canonicalize(stated)
        signature = (signer or self.signer).sign_detached(data)
        stamp = token if callable(token) else lambda content: self.token(content, token_at)
        timestamp = stamp(signature) if token and not shared else None
        parts = {"document": data, "signature": signature} | ({"timestamp": timestamp} if timestamp else {})
        openings = tuple(
            Opening(name, bytes([number + 1]) * 32, hashlib.sha256(part).digest())
            for number, (name, part) in enumerate(parts.items())
            if name not in uncommitted
        )
        leaf = leaf_bytes(self.entry(openings, **(entry or {})))
        proof = self.proof(leaf, {opening.name: opening.salt for opening in openings} | (salts or {}))
        if token and shared:
            timestamp = stamp(parse_proof(proof).checkpoint)
        return SealedNotice(
            notice_id=UUID(int=77),
            document=data,
            signature=signature,
            timestamp=timestamp,
            timestamp_independent=False,
            resources_csv=csv,
            sealed_at=self.now,
            log_proof=proof,
            renderings=renderings,
        )

    def entry(self, openings, **changes):
        base = {
            "id": UUID(int=5),
            "type": "notice.sealed",
            "at": self.now,
            "actor": "system:worker",
            "subjects": {"incident": str(UUID(int=9)), "notice": str(UUID(int=77)), "customer": "ab" * 32},
            "detail": {
                "ticket": "INC-2026-000042",
                "sequence": 1,
                "kind": "initial",
                "facts_version": 3,
                "timestamped": "timestamp" in {opening.name for opening in openings},
            },
            "openings": openings,
        }
        return AuditEntry(**(base | changes))

    def envelope(self, **changes):
        base = {
            "sender": ADDRESS,
            "sender_name": "Sovereign Cloud – Sécurité",
            "recipient": "rssi@valmont.example",
            "recipient_name": 'Zoé "Z" Müller',
            "date": self.now.replace(microsecond=0) + timedelta(seconds=2),
            "message_id": "<n.77.c1@provider.example>",
            "earlier_message_ids": ("<n.75.c1@provider.example>", "<n.76.c1@provider.example>"),
        }
        return Envelope(**(base | changes))

    def mail(self, sealed=None, language="fr", sign=None, **changes):
        """Return the mail that serves a notice."""
        return assemble_notice_mail(
            sealed=sealed or self.seal(),
            language=language,
            envelope=self.envelope(**changes),
            sign=sign or self.signer.sign_detached,
        )


def files_of(sealed):
    return NoticeFiles(
        document=sealed.document,
        signature=sealed.signature,
        timestamp=sealed.timestamp,
        proof=sealed.log_proof,
        resources_csv=sealed.resources_csv,
    )


def steps_of_mail(mail, trust):
    return list(verify_notice_mail(mail, trust))


def steps_of_files(files, trust):
    return list(verify_notice_files(files, trust))


def refused(step, verify, *arguments):
    """Assert that a step fails; return the reason."""
    with pytest.raises(VerificationError) as caught:
        verify(*arguments)
    assert caught.value.step == step, caught.value
    return caught.value.reason


def body_start(mail):
    """Return the position after the header of a mail."""
    return mail.index(b"\r\n\r\n") + 4


def assemble_notice_mail(*, sealed, language, envelope, sign, time_zone=None, note=None):
    """Return the mail that serves a sealed notice to one contact; ``note`` is a text of the mail beside the notice."""
    prepared = prepare_body(sealed, language, time_zone)
    return assemble_mail(prepared if note is None else with_note(prepared, note), envelope, sign)


def resigned(office, mail, change):
    """Return the mail with its signed part changed and signed anew: what only the provider could do."""
    parsed = parse_signed_mail(mail)
    signed = change(parsed.signed)
    assert signed != parsed.signed
    signature = office.signer.sign_detached(signed)
    return mail.replace(parsed.signed, signed).replace(base64_lines(parsed.signature), base64_lines(signature))
