"""The log's client of a witness, over HTTP (c2sp.org/tlog-witness)."""

import asyncio
import ipaddress
import ssl
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2

from notifications.audit.cosignature import Cosignature, format_add_checkpoint, parse_conflict, verified_answer
from notifications.audit.note import ED25519, VerifierKey, parse_verifier_key
from notifications.errors import Fault, GreffierError, InvalidInputError, VerificationError
from service.audit_log.witness.folder import origin_digest

#: A response is a few signature lines, or a signed checkpoint. A line of ML-DSA-44 has about 3300 bytes.
_MAX_ANSWER_BYTES = 64 * 1024
#: One of Ed25519 and one of ML-DSA-44.
_MAX_KEYS = 2


@dataclass(frozen=True, slots=True)
class Witness:
    """The address and the keys of a witness."""

    #: ends with no slash
    url: str
    key: VerifierKey
    #: its further keys, under the same name; it must cosign with each of its keys
    also: tuple[VerifierKey, ...] = ()

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Every key of the witness."""
        return (self.key, *self.also)


class WitnessUnavailableError(GreffierError):
    """A witness did not cosign; a later attempt may succeed. No notice waits for it."""


class WitnessConflictError(GreffierError):
    """A witness cosigned another size last than the request stated, or another root for that size."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"the witness says that it cosigned {size} entries last")


class WitnessDisputeError(GreffierError):
    """A witness says that this log does not extend the head that it cosigned."""


def parse_witness(text: str) -> Witness:
    """Return the witness of a setting, ``URL verifier-key [verifier-key]``; raises InvalidInputError."""
    match text.split():
        case [url, *vkeys] if 1 <= len(vkeys) <= _MAX_KEYS:
            keys = [parse_verifier_key(vkey) for vkey in vkeys]
        case _:
            raise InvalidInputError(
                Fault("witnesses.cosigners", "each must be a URL and a verifier key, or two keys of different types")
            )
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise InvalidInputError(Fault("witnesses.cosigners", f"{url} is no URL: {error}")) from None
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        raise InvalidInputError(Fault("witnesses.cosigners", f"{url} must be https, or http to a loopback address"))
    if not parts.hostname or parts.query or parts.fragment:
        raise InvalidInputError(Fault("witnesses.cosigners", f"{url} must name a host, and nothing behind its path"))
    for key in keys:
        if key.kind == ED25519:
            raise InvalidInputError(Fault("witnesses.cosigners", f"{key.name} is no cosigner's key"))
    if len({key.name for key in keys}) != 1 or len({key.kind for key in keys}) != len(keys):
        raise InvalidInputError(
            Fault(
                "witnesses.cosigners", f"{keys[0].name}: two keys of a witness must have one name and different types"
            )
        )
    return Witness(url.rstrip("/"), keys[0], tuple(keys[1:]))


def parse_witnesses(texts: Sequence[str]) -> list[Witness]:
    """Return the witnesses of the settings; raises InvalidInputError, also for a duplicate."""
    witnesses = [parse_witness(text) for text in texts]
    if len({witness.key.name for witness in witnesses}) != len(witnesses):
        raise InvalidInputError(Fault("witnesses.cosigners", "a witness stands there twice"))
    return witnesses


class WitnessClient:
    """Sends requests to one witness; each request ends within the timeout."""

    def __init__(self, witness: Witness, *, timeout_seconds: float = 5, ca_file: Path | None = None) -> None:
        self.witness, self._timeout_seconds = witness, timeout_seconds
        verify = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._client = httpx2.AsyncClient(timeout=timeout_seconds, follow_redirects=False, verify=verify)

    @property
    def name(self) -> str:
        """The name under which it cosigns."""
        return self.witness.key.name

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: bytes) -> Cosignature:
        """Return its verified cosignature of a checkpoint.

        Raises WitnessConflictError if the proof must start at another size, WitnessDisputeError if the witness cosigned
        another history, WitnessUnavailableError for any other failure, such as a response that does not verify.
        """
        body = format_add_checkpoint(old_size, proof, note)
        status, kind, answer = await self._ask("POST", "/add-checkpoint", body)
        match status:
            case 200:
                try:
                    return verified_answer(note, answer, *self.witness.keys)
                except VerificationError as error:
                    raise WitnessUnavailableError(f"{self.name} answered no cosignature of its own: {error}") from None
            case 409 if kind == "text/x.tlog.size":
                try:
                    raise WitnessConflictError(parse_conflict(answer))
                except InvalidInputError as error:
                    raise WitnessUnavailableError(f"{self.name} answered a conflict and no size: {error}") from None
            case 409:
                raise WitnessDisputeError(f"{self.name} says that it cosigned another root for this size")
            case 422:
                raise WitnessDisputeError(f"{self.name} says that this log does not extend what it cosigned")
            case 404:
                raise WitnessUnavailableError(f"{self.name} does not know this log: give its keeper log.vkey")
            case 403:
                raise WitnessUnavailableError(f"{self.name} knows no key that signs this log: give its keeper log.vkey")
            case _:
                raise WitnessUnavailableError(f"{self.name} answered HTTP {status}")

    async def head(self, origin: str) -> bytes | None:
        """Return the checkpoint of a log that it cosigned last, or None if it shows none. Nothing is verified.

        The protocol does not require this request; ``greffier witness`` supports it. Raises WitnessUnavailableError.
        """
        status, _, answer = await self._ask("GET", f"/checkpoint/{origin_digest(origin)}", b"")
        return answer if status == httpx2.codes.OK else None

    async def _ask(self, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._client.stream(
                    method, self.witness.url + path, content=body, headers={"Accept-Encoding": "identity"}
                ) as response,
            ):
                answer = b""
                async for chunk in response.aiter_raw():
                    answer += chunk
                    if len(answer) > _MAX_ANSWER_BYTES:
                        raise WitnessUnavailableError(f"{self.name} answered too much")
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                return response.status_code, kind, answer
        except TimeoutError as error:
            raise WitnessUnavailableError(f"{self.name} did not answer in {self._timeout_seconds:g} s") from error
        except httpx2.HTTPError as error:
            raise WitnessUnavailableError(f"{self.name} cannot be reached: {type(error).__name__}") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def heads_elsewhere(clients: Sequence[WitnessClient], origin: str) -> list[bytes]:
    """Return the heads of a log that witnesses show; a witness that does not answer in time is skipped."""
    answers = await asyncio.gather(*(client.head(origin) for client in clients), return_exceptions=True)
    return [answer for answer in answers if isinstance(answer, bytes)]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
