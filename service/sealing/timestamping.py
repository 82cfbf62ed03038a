"""Timestamp authorities (RFC 3161): one in this process, and any other by HTTP."""

import asyncio
import hashlib
import ipaddress
import urllib.parse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import httpx
import structlog
from asn1crypto import cms as asn1_cms
from asn1crypto import core as asn1_core
from asn1crypto import tsp as asn1_tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.sign.general import as_signing_certificate_v2, simple_cms_attribute
from pyhanko.sign.timestamps import DummyTimeStamper
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    VerifierBuilder,
    decode_timestamp_response,
)
from rfc3161_client.errors import VerificationError

from notifications.der import check_token_form
from notifications.errors import Fault, InvalidInputError, SealingUnavailableError, TimestampUnavailableError
from service.sealing.key_files import Passphrases, load_chain, load_private_key

_log = structlog.get_logger(__name__)

_QUERY_TYPE = "application/timestamp-query"
_REPLY_TYPE = "application/timestamp-reply"
_MAX_REPLY_BYTES = 100_000


class _KeptKeyStamper(DummyTimeStamper):
    """pyHanko's stamper with the key opened once: opening an RSA key checks its primes, for longer than it signs."""

    def __init__(self, certificate: asn1_x509.Certificate, key: rsa.RSAPrivateKey) -> None:
        super().__init__(certificate, tsa_key=None)
        self._key = key

    def _sign_tst_info(
        self, tst_info_data: bytes, md_algorithm: str, dt: datetime
    ) -> tuple[bytes, asn1_cms.CMSAttributes]:
        """Return signature and signed attributes; the certificate is bound by SHA-256 (RFC 5816)."""
        attributes = asn1_cms.CMSAttributes([
            simple_cms_attribute("content_type", "tst_info"),
            simple_cms_attribute("signing_time", asn1_cms.Time({"utc_time": asn1_core.UTCTime(dt)})),
            simple_cms_attribute("signing_certificate_v2", as_signing_certificate_v2(self.tsa_cert)),
            simple_cms_attribute("message_digest", hashlib.new(md_algorithm, tst_info_data).digest()),
        ])  # fmt: skip
        if md_algorithm != "sha256":
            raise TimestampUnavailableError(f"the embedded authority does not take {md_algorithm}")
        return self._key.sign(attributes.dump(), padding.PKCS1v15(), hashes.SHA256()), attributes


class EmbeddedTimestampAuthority:
    """Implements ``notifications.ports.TimestampAuthority`` in this process. Not independent, and says so."""

    def __init__(self, key_file: Path, chain_file: Path, passphrases: Passphrases) -> None:
        key = load_private_key(key_file, passphrases)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise SealingUnavailableError(f"key {key_file} of the embedded timestamp authority must be RSA")
        leaf, *roots = load_chain(chain_file)
        self._roots = roots
        certificate = asn1_x509.Certificate.load(leaf.public_bytes(Encoding.DER))
        self._stamper = _KeptKeyStamper(certificate, key)
        self.certificate = leaf

    @property
    def independent(self) -> bool:
        """Whether the authority is another party than the provider: this one never is."""
        return False

    async def timestamp(self, content: bytes) -> bytes:
        """Return a TimeStampResp (DER) over SHA-256 of the content; see the port."""
        return await asyncio.to_thread(self._timestamp, content)

    def _timestamp(self, content: bytes) -> bytes:
        request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
        reply: bytes = self._stamper.request_tsa_response(asn1_tsp.TimeStampReq.load(request.as_bytes())).dump()
        verify_reply(reply, request, content, self._roots)
        return reply


class HttpTimestampAuthority:
    """Implements ``notifications.ports.TimestampAuthority`` on the URL of an authority (RFC 3161, 3.4)."""

    def __init__(
        self, url: str, roots: Sequence[x509.Certificate], *, independent: bool, timeout_seconds: float
    ) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError as error:
            raise InvalidInputError(Fault("timestamp_url", f"is no URL: {error}")) from None
        if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
            raise InvalidInputError(Fault("timestamp_url", "must be https, or http to a loopback address"))
        if not parts.hostname:
            raise InvalidInputError(Fault("timestamp_url", "names no host"))
        if not roots:
            raise InvalidInputError(Fault("timestamp_ca_file", "holds no certificate"))
        self._url, self._roots, self._independent = url, list(roots), independent
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(timeout=timeout_seconds, follow_redirects=False)

    @property
    def independent(self) -> bool:
        """Whether the authority is another party than the provider."""
        return self._independent

    async def timestamp(self, content: bytes) -> bytes:
        """Return a TimeStampResp (DER) over SHA-256 of the content; see the port."""
        request = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
        try:
            # The client's timeout is per read: an authority that drips would hold up notices for ever.
            async with asyncio.timeout(self._timeout_seconds):
                reply = await self._post(request.as_bytes())
        except TimeoutError as error:
            raise TimestampUnavailableError(f"the authority did not answer in {self._timeout_seconds:g} s") from error
        except httpx.HTTPError as error:
            raise TimestampUnavailableError(f"the authority cannot be reached: {type(error).__name__}") from error
        verify_reply(reply, request, content, self._roots)
        return reply

    async def _post(self, request: bytes) -> bytes:
        # Compressed, a short reply could become a long one.
        headers = {"Content-Type": _QUERY_TYPE, "Accept": _REPLY_TYPE, "Accept-Encoding": "identity"}
        async with self._client.stream("POST", self._url, content=request, headers=headers) as response:
            if response.status_code != httpx.codes.OK:
                raise TimestampUnavailableError(f"the authority answered HTTP {response.status_code}")
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != _REPLY_TYPE:
                raise TimestampUnavailableError("the authority answered something that is no timestamp reply")
            reply = b""
            async for chunk in response.aiter_raw():
                reply += chunk
                if len(reply) > _MAX_REPLY_BYTES:
                    raise TimestampUnavailableError("the authority's reply is too long")
            return reply

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def verify_reply(reply: bytes, request: TimeStampRequest, content: bytes, roots: Sequence[x509.Certificate]) -> None:
    """Raise TimestampUnavailableError unless the reply answers the request, over the content, under a trusted root.

    A reply that cannot be parsed may come from a sound authority whose encoding the parser does not take: it is
    reported and tried again, never used.
    """
    try:
        response = decode_timestamp_response(reply)
    except ValueError as error:
        _log.warning("timestamp.unparsed", reply_bytes=len(reply), reason=str(error))
        raise TimestampUnavailableError(f"the authority's reply cannot be parsed: {error}") from error
    builder = VerifierBuilder.from_request(request)
    # The library refuses a root that it has already.
    for root in dict.fromkeys(roots):
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(response, content)
        check_token_form(reply)
    except (VerificationError, InvalidInputError, ValueError) as error:
        raise TimestampUnavailableError(f"the authority's token does not verify: {error}") from error


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
