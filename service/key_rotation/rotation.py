"""Prepare the successor of a signing key or log key; ``service.key_rotation.staging`` installs it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from notifications.crypto.cms import verify_chain, verify_detached
from notifications.errors import (
    Fault,
    InvalidInputError,
    SealingUnavailableError,
    StateConflictError,
    VerificationError,
)
from notifications.mail_address import normal_address
from notifications.use_cases.evidence.record_keys import KeyChange
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import issue_signing_pem
from service.crypto.key_files import load_private_key, parse_chain, parse_private_key, private_pem, read_file
from service.crypto.key_states import (
    CURRENT,
    RETIRED,
    certificate_state,
    log_fingerprint,
    log_states,
)
from service.crypto.log_keys import format_log_keys
from service.key_rotation.staging import KeyStaging, PreparedRotation, roots_in

#: Readers accept at least 16 signatures on a note (c2sp.org/signed-note); most of them are reserved for witnesses.
_MAX_LOG_KEYS = 4
#: Extensions with which gpgsm (2.2.40) refuses a chain where they are critical, as the first three always are.
_NOT_FOR_GPGSM = {
    ExtensionOID.NAME_CONSTRAINTS: "nameConstraints",
    ExtensionOID.POLICY_CONSTRAINTS: "policyConstraints",
    ExtensionOID.INHIBIT_ANY_POLICY: "inhibitAnyPolicy",
    ExtensionOID.CERTIFICATE_POLICIES: "certificatePolicies",
}


class KeyRotation(KeyStaging):
    """Prepares rotations of the keys that the settings name. A new key is not used before ``settle``."""

    def prepare_log(self) -> PreparedRotation:
        """Return a new log key; the old one also signs until the overlap ends.

        Raises SealingUnavailableError without a usable key, StateConflictError if too many keys sign already.
        """
        now = self._clock.now()
        until = now + timedelta(days=self._settings.log.key_overlap_days)
        ring = self.log_keys().ring()
        signing = ring.signing_at(now)
        if len(signing) >= _MAX_LOG_KEYS:
            ends_at = min(key.until for key in signing if key.until is not None)
            raise StateConflictError(
                f"{len(signing)} keys sign the log already; the next of them ends at {ends_at:%Y-%m-%d %H:%M} UTC"
            )
        rotated = ring.rotated(Ed25519PrivateKey.generate(), now, until)
        content = format_log_keys(rotated, self._passphrases[0])
        states = {state.fingerprint: state for state in log_states(rotated, now, encrypted=True)}
        old, new = (log_fingerprint(each.known[-1]) for each in (ring, rotated))
        return PreparedRotation(KeyChange("log", old, new, until), states[new], states[old], self.log_file, content)

    def prepare_signing(self) -> PreparedRotation:
        """Return a new signing key with a certificate by the demo CA.

        Raises StateConflictError if another authority issued the current certificate: the demo CA is trusted less.
        """
        authority = self._demo_authority()
        if authority is None:
            raise StateConflictError(
                "the signing certificate comes from an authority that is not here: have it issue one, and install that"
                " with: greffier keys rotate signing --install FILE"
            )
        ca_key, ca = authority
        pem = issue_signing_pem(
            ca_key,
            ca,
            address=self._sender(),
            provider_name=self._settings.provider.name,
            now=self._clock.now(),
            passphrase=self._passphrases[0],
        )
        return self._prepared_signing(pem)

    def prepare_installed(self, file: Path) -> PreparedRotation:
        """Return the key and chain of a PEM file from an authority, checked as the signer and verifiers would check it.

        1. The signer accepts it: purpose, key and certificate belong together, the chain is in order, valid now.
        2. The certificate contains the sender address of notices.
        3. It chains to a root that verifiers have, or that the file contains. If gpgsm, openssl or NSS would refuse the
           chain, the result says so.

        Raises InvalidInputError with the failed check. The private key is stored encrypted, even if the file is not.
        """
        # 1.
        signer = CmsSigner(file, file, self._passphrases, self._clock)
        try:
            signature = signer.sign_detached(b"probe")
            address, fingerprint = signer.address, signer.fingerprint
            data = read_file(file, "certificate")
            key, chain = parse_private_key(data, self._passphrases, file), parse_chain(data, file)
        except SealingUnavailableError as error:
            raise InvalidInputError(Fault("install", str(error))) from None
        if chain[0].fingerprint(hashes.SHA256()).hex() != fingerprint:
            raise InvalidInputError(Fault("install", f"{file} changed while it was read"))
        # 2.
        if normal_address(address) != normal_address(self._sender()):
            raise InvalidInputError(Fault("install", f"names {address}, and notices come from {self._sender()}"))
        # 3.
        try:
            signed = verify_detached(b"probe", signature, "install")
            verify_chain(signed, [*self.trusted_roots(), *roots_in(chain)], self._clock.now(), "install")
        except VerificationError as error:
            place = f"a root that is not in {self.files.trusted_ca}, put the root into the file too"
            raise InvalidInputError(Fault("install", f"{error.reason}. If its chain leads to {place}")) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise InvalidInputError(Fault("install", "holds a key of another kind than ECDSA or RSA"))
        certificates = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
        prepared = self._prepared_signing(private_pem(key, self._passphrases[0]) + certificates)
        notes = [note for note in (_any_purpose_fault(chain), _gpgsm_fault(chain)) if note is not None]
        return replace(prepared, advice="; ".join(notes) or None)

    def _demo_authority(self) -> tuple[PrivateKeyTypes, x509.Certificate] | None:
        """Return key and certificate of the demo CA where it issued the certificate in use, or there is none in use."""
        if self._settings.signing.chain_file is not None or not self.files.ca_key.exists():
            return None
        key = load_private_key(self.files.ca_key, self._passphrases)
        leaf = self.signing_leaf()
        for root in self.trusted_roots():
            if root.public_key() == key.public_key() and (leaf is None or _issued(root, leaf)):
                return key, root
        return None

    def _prepared_signing(self, content: bytes) -> PreparedRotation:
        new = certificate_state("signing", CURRENT, parse_chain(content, self.signing_file)[0], encrypted=True)
        leaf = self.signing_leaf()
        old = None if leaf is None else certificate_state("signing", RETIRED, leaf)
        if old is not None and old.fingerprint == new.fingerprint:
            raise InvalidInputError(Fault("install", "is the certificate that is in use already"))
        change = KeyChange("signing", old.fingerprint if old else None, new.fingerprint, old.not_after if old else None)
        return PreparedRotation(change, new, old, self.signing_file, content)

    def _sender(self) -> str:
        if self._settings.mail.sender is not None:
            return self._settings.mail.sender
        try:
            return self.signer().address
        except SealingUnavailableError:
            return self._settings.provider.contact_email


def _gpgsm_fault(chain: Sequence[x509.Certificate]) -> str | None:
    """Return why GnuPG cannot verify what a chain signs, or None. Only certificates in the chain are looked at."""
    critical = {extension.oid for certificate in chain for extension in certificate.extensions if extension.critical}
    names = [name for oid, name in _NOT_FOR_GPGSM.items() if oid in critical]
    if not names:
        return None
    return f"GnuPG (gpgsm) refuses a chain with critical {', '.join(names)}: its users cannot verify your notices"


def _any_purpose_fault(chain: Sequence[x509.Certificate]) -> str | None:
    """Return why openssl and NSS cannot verify what a chain signs, or None. Only certificates in it are looked at."""
    for authority in chain[1:]:
        try:
            purposes = set(authority.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except x509.ExtensionNotFound:
            continue
        if ExtendedKeyUsageOID.EMAIL_PROTECTION not in purposes:
            return (
                "openssl and NSS refuse an authority with anyExtendedKeyUsage and without emailProtection: their users"
                " cannot verify your notices"
            )
    return None


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
