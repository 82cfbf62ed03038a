"""A contact that can decrypt mail, with a key and certificate of its own."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_KEYS = {}


def _key(kind, bits):
    """Return a key; it is created once for all tests, because RSA keys take long."""
    if (kind, bits) not in _KEYS:
        _KEYS[kind, bits] = (
            ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, bits)
        )
    return _KEYS[kind, bits]


class SmimeReader:
    """Key and certificate for one address."""

    def __init__(
        self, address, now, *, kind="rsa", bits=2048, days=365, starts_days=-1,
        purpose=ExtendedKeyUsageOID.EMAIL_PROTECTION, enciphers=True, named=None, bare=False,
    ):  # fmt: skip
        self.key = _key(kind, bits)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Reader")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=starts_days))
            .not_valid_after(now + timedelta(days=days))
        )
        if not bare:
            usage = x509.KeyUsage(
                digital_signature=True, content_commitment=False, key_encipherment=enciphers, data_encipherment=False,
                key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = (
                builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
                .add_extension(usage, critical=True)
                .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(named or address)]), critical=False)
            )
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def write_key(self, path):
        """Write the private key as PEM and return the path."""
        path.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path
