"""Signatures and timestamps."""

from typing import Protocol


class Signer(Protocol):
    """Signs notices and mails with the provider's certificate."""

    @property
    def address(self) -> str:
        """The mail address that the certificate's subjectAltName names, and that every mail comes from."""
        ...

    def sign_detached(self, content: bytes) -> bytes:
        """Return detached CMS SignedData (DER) over exactly these bytes, with the certificate chain in it.

        Raises SealingUnavailableError with a reason that an analyst can act on: no key, key and certificate do not
        match, certificate expired or not yet valid, wrong extended key usage. Never returns a signature that
        ``openssl cms -verify -purpose smimesign`` would refuse at this moment.
        """
        ...


class TimestampAuthority(Protocol):
    """Gives RFC 3161 timestamps."""

    @property
    def independent(self) -> bool:
        """Whether the authority is another party than the provider."""
        ...

    async def timestamp(self, content: bytes) -> bytes:
        """Return a TimeStampResp (DER) over SHA-256 of the content, already verified against the request.

        Raises TimestampUnavailableError when there is none to be had now. Never returns an unverified token.
        """
        ...
