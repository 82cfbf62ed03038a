"""A timestamp authority that is ``openssl ts -reply`` on files, and what other authorities make of its replies."""

import hashlib
import subprocess
from datetime import UTC, datetime, timedelta

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issued(
    public,
    issuer_key,
    issuer,
    subject,
    *,
    ca=False,
    purposes=(ExtendedKeyUsageOID.TIME_STAMPING,),
    usage=None,
    names=(),
):
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def pem(*certificates):
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


class OpensslAuthority:
    """A root, two authorities between, and one for timestamps, on files of a folder.

    ``options`` are of ``openssl-ts(1)``, section of the configuration; ``leaf`` changes the certificate.
    """

    def __init__(self, folder, *, key=None, leaf=None, **options):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
        self.key = key or rsa.generate_private_key(65537, 2048)
        self.root = issued(keys[0].public_key(), keys[0], "Root", "Root", ca=True)
        upper = issued(keys[1].public_key(), keys[0], "Root", "Upper", ca=True)
        lower = issued(keys[2].public_key(), keys[1], "Upper", "Lower", ca=True)
        self.between, self.lower_key = [upper, lower], keys[2]
        self.certificate = issued(self.key.public_key(), keys[2], "Lower", "Time Stamping", **(leaf or {}))
        self._file("key.pem", self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._file("leaf.pem", pem(self.certificate))
        self.root_file = self._file("root.pem", pem(self.root))
        self._file("serial", b"01")
        given = {
            "serial": folder / "serial",
            "signer_digest": "sha256",
            "default_policy": "1.2.3.4",
            "digests": "sha256, sha512",
            "accuracy": "secs:1, millisecs:500",
            "ess_cert_id_alg": "sha256",
        } | options
        lines = "".join(f"{name} = {value}\n" for name, value in given.items())
        self._file("ts.cnf", f"[tsa]\ndefault_tsa = t\n[t]\n{lines}".encode())

    def _file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def reply(self, request, chain=None):
        """Return the reply to a request (DER), with the certificates of the chain in it: both between and the root."""
        self._file("request.tsq", request)
        self._file("chain.pem", pem(*([*self.between, self.root] if chain is None else chain)))
        command = "openssl ts -reply -config ts.cnf -section t -queryfile request.tsq -inkey key.pem -signer leaf.pem"
        subprocess.run(
            [*command.split(), "-chain", "chain.pem", "-out", "reply.tsr"],
            cwd=self.folder, check=True, capture_output=True,
        )  # fmt: skip
        return (self.folder / "reply.tsr").read_bytes()

    def openssl_takes(self, reply, content):
        """Return whether ``openssl ts -verify`` takes a reply over the content under the root alone."""
        self._file("verified.tsr", reply)
        self._file("content", content)
        command = "openssl ts -verify -in verified.tsr -data content -CAfile root.pem"
        return subprocess.run(command.split(), cwd=self.folder, capture_output=True, check=False).returncode == 0

    def resigned(self, reply, change=None, info=None):
        """Return a reply signed again, after a change of its list of signed attributes and of the TSTInfo."""
        parsed = tsp.TimeStampResp.load(reply)
        signed_data = parsed["time_stamp_token"]["content"]
        (signer,) = signed_data["signer_infos"]
        attributes = list(signer["signed_attrs"])
        if info is not None:
            stated = signed_data["encap_content_info"]["content"].parsed
            info(stated)
            signed_data["encap_content_info"]["content"] = core.ParsableOctetString(stated.dump(force=True))
            digest = hashlib.sha256(stated.dump()).digest()
            attributes = [each for each in attributes if each["type"].native != "message_digest"]
            attributes.append(cms.CMSAttribute({"type": "message_digest", "values": [digest]}))
        signer["signed_attrs"] = cms.CMSAttributes(attributes if change is None else change(attributes))
        over = b"\x31" + signer["signed_attrs"].dump(force=True)[1:]
        signer["signature"] = self.key.sign(over, padding.PKCS1v15(), hashes.SHA256())
        return parsed.dump(force=True)

    def signed_with_pss(self, reply):
        """Return a reply signed again with RSASSA-PSS."""
        parsed = tsp.TimeStampResp.load(reply)
        (signer,) = parsed["time_stamp_token"]["content"]["signer_infos"]
        signer["signature_algorithm"] = {
            "algorithm": "rsassa_pss",
            "parameters": algos.RSASSAPSSParams(
                {
                    "hash_algorithm": {"algorithm": "sha256"},
                    "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}},
                    "salt_length": 32,
                }
            ),
        }
        over = b"\x31" + signer["signed_attrs"].dump()[1:]
        signer["signature"] = self.key.sign(over, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        return parsed.dump(force=True)

    def named_by_key_identifier(self, reply):
        """Return a reply whose signer is named by the identifier of its key; the signature does not cover this name."""
        parsed = tsp.TimeStampResp.load(reply)
        (signer,) = parsed["time_stamp_token"]["content"]["signer_infos"]
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()).digest
        signer["version"], signer["sid"] = "v3", cms.SignerIdentifier("subject_key_identifier", identifier)
        return parsed.dump(force=True)

    def signed_with_ed25519(self, reply):
        """Return a reply signed again by an authority under the same root whose key is Ed25519 (RFC 8419)."""
        parsed = tsp.TimeStampResp.load(reply)
        signed_data = parsed["time_stamp_token"]["content"]
        (signer,) = signed_data["signer_infos"]
        key = ed25519.Ed25519PrivateKey.generate()
        certificate = issued(key.public_key(), self.lower_key, "Lower", "Time Stamping")
        encoded = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
        others = [item for item in signed_data["certificates"] if item.chosen.subject != encoded.subject]
        signed_data["certificates"] = cms.CertificateSet([cms.CertificateChoices("certificate", encoded), *others])
        signer["sid"] = cms.SignerIdentifier(
            "issuer_and_serial_number", {"issuer": encoded.issuer, "serial_number": encoded.serial_number}
        )
        digest = {"algorithm": "sha512"}
        signed_data["digest_algorithms"], signer["digest_algorithm"] = [digest], digest
        stated = signed_data["encap_content_info"]["content"].parsed.dump()
        replaced = cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha512(stated).digest()]})
        attributes = [each for each in signer["signed_attrs"] if each["type"].native != "message_digest"]
        signer["signed_attrs"] = cms.CMSAttributes(binding(certificate)([*attributes, replaced]))
        signer["signature_algorithm"] = {"algorithm": "ed25519"}
        signer["signature"] = key.sign(b"\x31" + signer["signed_attrs"].dump(force=True)[1:])
        return parsed.dump(force=True)

    def openssl_cms_takes(self, reply):
        """Return whether ``openssl cms -verify`` takes the token of a reply under the root alone."""
        self._file("token.p7s", tsp.TimeStampResp.load(reply)["time_stamp_token"].dump())
        command = "openssl cms -verify -inform DER -in token.p7s -CAfile root.pem -purpose timestampsign -out info"
        return subprocess.run(command.split(), cwd=self.folder, capture_output=True, check=False).returncode == 0


def certificates_of(reply):
    signed_data = tsp.TimeStampResp.load(reply)["time_stamp_token"]["content"]
    return [item.dump() for item in signed_data["certificates"]]


def reordered(reply, order):
    """Return a reply whose certificates stand in another order; nothing else of it changes."""
    before = certificates_of(reply)
    after = order(before)
    assert sorted(after) == sorted(before)
    assert reply.count(b"".join(before)) == 1
    return reply.replace(b"".join(before), b"".join(after))


def with_status(reply, status, text=None):
    """Return a reply with another status, as another authority states it."""
    parsed = tsp.TimeStampResp.load(reply)
    stated = {"status": status} | ({} if text is None else {"status_string": [text]})
    return tsp.TimeStampResp(
        {"status": tsp.PKIStatusInfo(stated), "time_stamp_token": parsed["time_stamp_token"]}
    ).dump()


def without_binding(attributes):
    return [each for each in attributes if not each["type"].native.startswith("signing_certificate")]


def binding(*certificates, issuer=None, serial=None):
    """Return a change that puts in a signing-certificate attribute (v2) that names these certificates."""
    listed = []
    for certificate in certificates:
        parsed = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
        name = asn1_x509.GeneralName("directory_name", parsed.issuer if issuer is None else issuer)
        number = parsed.serial_number if serial is None else serial
        listed.append({
            "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha256"}),
            "cert_hash": certificate.fingerprint(hashes.SHA256()),
            "issuer_serial": {"issuer": [name], "serial_number": number},
        })  # fmt: skip
    attribute = cms.CMSAttribute({
        "type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": listed})],
    })  # fmt: skip
    return lambda attributes: [*without_binding(attributes), attribute]
