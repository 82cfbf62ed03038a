"""Assembling a signed notice mail against ``cryptography``'s S/MIME encoder over the same payload and key.

Ours: ``prepare_body`` once per customer and language, ``assemble_mail`` per contact, signed by ``CmsSigner``.
Reference: ``PKCS7SignatureBuilder`` with ``Encoding.SMIME`` over the very bytes that our mail signs. It is given the
payload ready made; ours makes its headers, too. Rounds alternate in one process, so that load of the machine falls on
both alike.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from table import result_line

from notifications.mail.mail import Envelope, assemble_mail, prepare_body
from notifications.notice.seal import SealedRendering
from service.crypto.key_files import load_chain, load_private_key
from support.notice_samples import SAMPLES
from support.sealed_sample import Office

_GOAL = 5.0


def _milliseconds_per_mail(make: Callable[[], bytes], mails: int) -> float:
    start = time.perf_counter()
    for _ in range(mails):
        make()
    return (time.perf_counter() - start) / mails * 1000


def _told(values: list[float], unit: str = "") -> str:
    return f"{statistics.median(values):.3f}{unit} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--mails", type=int, default=30, help="mails of each kind in a round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _compare(Office(Path(folder)), arguments.rounds, arguments.mails)


def _compare(office: Office, rounds: int, mails: int) -> None:
    # A real notice, long: a personal-data breach with more resources than its text lists.
    composed = SAMPLES["update"]()
    words = composed.rendered["fr"]
    sealed = replace(
        office.seal(),
        document=composed.document,
        resources_csv=composed.resources_csv,
        renderings=(SealedRendering("fr", words.subject, words.text, words.html),),
    )
    prepared = prepare_body(sealed, "fr")
    payloads: list[bytes] = []

    def keeping(content: bytes) -> bytes:
        payloads.append(content)
        return office.signer.sign_detached(content)

    mail = assemble_mail(prepared, office.envelope(), keeping)
    (payload,) = payloads
    key, certificate = load_private_key(office.files.signing_key, None), load_chain(office.files.signing_chain)[0]

    numbers = itertools.count()

    def envelope() -> Envelope:
        # Another contact each time, as in life: nothing of the last one may be of use.
        number = next(numbers)
        return office.envelope(
            recipient=f"c{number}@customer.example",
            recipient_name=f"Zoé Müller {number}",
            message_id=f"<{number}@provider.example>",
        )

    def reused() -> bytes:
        return assemble_mail(prepared, envelope(), office.signer.sign_detached)

    def whole() -> bytes:
        # Around the cache that keeps a body for the next contact of the same customer.
        return assemble_mail(prepare_body.__wrapped__(sealed, "fr"), envelope(), office.signer.sign_detached)

    def reference() -> bytes:
        builder = pkcs7.PKCS7SignatureBuilder().set_data(payload).add_signer(certificate, key, hashes.SHA256())
        return builder.sign(Encoding.SMIME, [pkcs7.PKCS7Options.DetachedSignature])

    def signing() -> bytes:
        return office.signer.sign_detached(payload)

    kinds = {"reused": reused, "whole": whole, "reference": reference, "signing": signing}
    for make in kinds.values():
        _milliseconds_per_mail(make, mails)
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, make in kinds.items():
            took[name].append(_milliseconds_per_mail(make, mails))

    def ratios(name: str) -> list[float]:
        return [theirs / ours for theirs, ours in zip(took["reference"], took[name], strict=True)]

    print(f"payload {len(payload):,} bytes, mail {len(mail):,} bytes, {rounds} rounds of {mails} mails each; median")
    print(f"reference, Encoding.SMIME      {_told(took['reference'], ' ms')} a mail")
    print(f"ours, body prepared once       {_told(took['reused'], ' ms')} a mail")
    print(f"ours, body prepared each time  {_told(took['whole'], ' ms')} a mail")
    print(f"of which the signature         {_told(took['signing'], ' ms')}")
    print(f"ratio, body prepared once      {_told(ratios('reused'))}")
    print(f"ratio, body prepared each time {_told(ratios('whole'))}")
    print(result_line("smime_assembly", statistics.median(ratios("reused")), at_least=_GOAL))


if __name__ == "__main__":
    main()
