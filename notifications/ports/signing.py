"""Signatures and timestamps."""

from typing import Protocol


class Signer(Protocol):
    """Signs notices and mails with the provider's certificate."""

    @property
    def address(self) -> str:
        """The mail address in the certificate's subjectAltName. Every mail is sent from it."""
        ...

    def sign_detached(self, content: bytes) -> bytes:
        """Return detached CMS SignedData (DER) over exactly these bytes. It includes the certificate chain.

        Raises SealingUnavailableError with a reason that an analyst can act on: there is no key, key and certificate do
        not match, the certificate is expired or not yet valid, or its extended key usage is wrong. Never returns a
        signature that ``openssl cms -verify -purpose smimesign`` would refuse now.
        """
        ...


class TimestampAuthority(Protocol):
    """Gives RFC 3161 timestamps."""

    @property
    def independent(self) -> bool:
        """Whether the authority is independent of the provider."""
        ...

    async def timestamp(self, content: bytes) -> bytes:
        """Return a TimeStampResp (DER) over the SHA-256 of the content, already verified against the request.

        Raises TimestampUnavailableError if the authority gives no valid token. Never returns an unverified token.
        """
        ...
