"""The parts of sign-in on one store and one clock, people with passwords, and a software authenticator for passkeys.

Use it in tests of sign-in and credentials that call the functions directly, without HTTP. Tests of pages with a person
who is signed in already use ``people``.
"""

import hashlib
import json
from dataclasses import dataclass
from uuid import UUID

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from notifications.use_cases.audit_context import AuditContext
from service.auth.sign_in.own_credentials import OwnCredentials
from service.auth.sign_in.password_links import PasswordLinks
from service.auth.sign_in.sessions import Browser
from service.auth.sign_in.sign_in import SignIn, SignInSettings
from service.crypto.secret_box import SecretBox
from service.ports.accounts import Account, AccountKind, Grant
from service.ports.credentials import Password
from service.system.logging import SystemIdentifiers

ORIGIN = "https://console.provider.example"
PASSWORD = "correct horse battery staple"
HOME = Browser("192.0.2.1", "Firefox")
ELSEWHERE = Browser("198.51.100.7", "curl")


@dataclass
class House:
    """Everything that sign-in needs, on one store and one clock."""

    store: object
    clock: object
    secret_box: SecretBox
    sign_in: SignIn
    own: OwnCredentials
    links: PasswordLinks

    @classmethod
    def on(cls, store, clock, **settings):
        secret_box = SecretBox([b"m" * 32])
        parts = (store, clock, SystemIdentifiers(), secret_box, SignInSettings(ORIGIN, **settings))
        return cls(store, clock, secret_box, SignIn(*parts), OwnCredentials(*parts), PasswordLinks(*parts))

    def act(self, actor="operator:test"):
        return AuditContext(actor, self.clock.now(), SystemIdentifiers())

    async def person(self, email, *roles, password=PASSWORD, active=True):
        """Create a person with roles at the provider or (role, customer id) pairs."""
        act = self.act()
        hashed = None if password is None else await self.sign_in.passwords.hash(password)

        def work(tx):
            made = Account(act.identifiers.new_id(), AccountKind.PERSON, "N", email, "en", active, act.now, act.actor)
            tx.accounts.add(made)
            for role in roles:
                tx.accounts.add_grant(
                    Grant(act.identifiers.new_id(), made.id, role, None, None, None, act.now, act.actor)
                )
            if hashed is not None:
                tx.credentials.set_password(Password(made.id, hashed, act.now))
            return made

        return await self.store.write(work)

    async def caller_of(self, signed_in):
        """Return the caller of a session."""
        from service.auth.caller import Caller

        account = signed_in.account
        grants = tuple(await self.store.read(lambda tx: tx.accounts.grants(account.id)))
        return Caller(account.id, account.kind, account.name, "en", grants, session_id=signed_in.session_id)

    async def entries(self):
        """Return the types of all audit entries, in order."""
        pending = await self.store.read(lambda tx: tx.audit.pending(10_000))
        return [json.loads(leaf.leaf) for leaf in pending]


class Authenticator:
    """A platform authenticator in software: ES256, without attestation, with user verification."""

    def __init__(self, origin=ORIGIN, rp_id="console.provider.example"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.credential_id = hashlib.sha256(self.key.public_key().public_numbers().x.to_bytes(32)).digest()
        self.origin, self.rp_id, self.count = origin, rp_id, 0
        self.user_handle = None

    def _client_data(self, kind, challenge):
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _authenticator_data(self, flags, attested=b""):
        self.count += 1
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4) + attested

    def create(self, options_json):
        """Answer ``navigator.credentials.create``."""
        options = json.loads(options_json)
        self.user_handle = options["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + cose
        data = self._authenticator_data(0x45, attested)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            {
                "clientDataJSON": bytes_to_base64url(self._client_data("webauthn.create", options["challenge"])),
                "attestationObject": bytes_to_base64url(attestation),
            }
        )

    def get(self, options_json, flags=0x05):
        """Answer ``navigator.credentials.get``."""
        client_data = self._client_data("webauthn.get", json.loads(options_json)["challenge"])
        data = self._authenticator_data(flags)
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": bytes_to_base64url(client_data),
                "authenticatorData": bytes_to_base64url(data),
                "signature": bytes_to_base64url(signature),
                "userHandle": self.user_handle,
            }
        )

    def _answer(self, response):
        identifier = bytes_to_base64url(self.credential_id)
        return json.dumps({"id": identifier, "rawId": identifier, "type": "public-key", "response": response})


__all__ = ["ELSEWHERE", "HOME", "ORIGIN", "PASSWORD", "UUID", "Authenticator", "Browser", "House", "base64url_to_bytes"]
