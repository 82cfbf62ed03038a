"""``greffier verify``: take the steps over a saved mail, print each, say which one failed."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.text import Text

from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.audit.policy import Policy, parse_policy
from notifications.errors import Fault, InvalidInputError, VerificationError
from notifications.evidence.bundle.verification import BUNDLE_STEPS, verify_bundle
from notifications.evidence.verification import MAIL_STEPS, Trust, VerifiedStep, parse_trust, verify_notice_mail
from service.cli.options import FOLDER, printable


def load_trust(folder: Path) -> Trust:
    """Return the trust anchors of a folder: ``ca.pem``, ``tsa.pem``, ``log.vkey``; raises InvalidInputError."""
    return parse_trust(
        _read(folder / "ca.pem"), _read(folder / "tsa.pem"), _read(folder / "log.vkey").decode("utf-8", "replace")
    )


def load_witnesses(folder: Path) -> list[VerifierKey]:
    """Return the keys of ``witnesses.vkey``, one a line, where the folder has it; raises InvalidInputError."""
    path = folder / "witnesses.vkey"
    if not path.exists():
        return []
    return [parse_verifier_key(line) for line in _read(path).decode("utf-8", "replace").splitlines() if line.strip()]


def load_policy(path: Path | None) -> Policy | None:
    """Return the trust policy of a file (c2sp.org/tlog-policy), None for no file; raises InvalidInputError."""
    return None if path is None else parse_policy(_read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInputError(Fault(str(path), f"cannot be read: {error.strerror}")) from None


def print_verification(mail: bytes, trust: Trust, console: Console) -> bool:
    """Print each step with its result; returns whether all held. Steps after the first failure are not taken."""
    done = 0
    try:
        for passed in verify_notice_mail(mail, trust):
            _line(console, passed.number, _state(passed), passed.step, passed.finding)
            done = passed.number
    except VerificationError as error:
        step = error.step
        number = MAIL_STEPS.index(step) + 1 if step in MAIL_STEPS else done + 1
        _line(console, number, ("FAILED", "bold red"), step, error.reason)
        _verdict(console, f"NOT GENUINE: step {number}, {step}, failed; do not trust this mail", "bold red")
        return False
    _verdict(console, "GENUINE: signed by the provider, timestamped as shown, and held by its audit log", "bold green")
    return True


def print_bundle_verification(
    bundle: BinaryIO,
    trust: Trust,
    console: Console,
    witnesses: Sequence[VerifierKey] = (),
    policy: Policy | None = None,
) -> bool:
    """Print each step over a bundle with its result; returns whether all held."""
    try:
        for passed in verify_bundle(bundle, trust, witnesses, policy=policy):
            _line(console, passed.number, _state(passed), passed.step, passed.finding)
    except VerificationError as error:
        number = BUNDLE_STEPS.index(error.step) + 1
        _line(console, number, ("FAILED", "bold red"), error.step, error.reason)
        _verdict(console, f"NOT GENUINE: step {number}, {error.step}, failed; do not trust this bundle", "bold red")
        return False
    _verdict(console, "GENUINE: every part is what the provider's audit log commits to", "bold green")
    return True


def _state(passed: VerifiedStep) -> tuple[str, str]:
    if passed.pending:
        return "follows", "yellow"
    return ("partly", "yellow") if passed.partial else ("ok", "green")


def _verdict(console: Console, verdict: str, style: str) -> None:
    # On one line however narrow the terminal: scripts read it.
    console.print(Text(verdict, style), soft_wrap=True)


def _line(console: Console, number: int, state: tuple[str, str], step: str, finding: str) -> None:
    # Everything from the mail goes out as text, not as markup, and without control characters.
    text = Text.assemble(f"{number}. ", (f"{state[0]:8}", state[1]), f"{step}: {printable(finding)}")
    console.print(text, soft_wrap=True)


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--trust",
    "trust_dir",
    required=True,
    type=FOLDER,
    help="Folder with ca.pem, tsa.pem and log.vkey, obtained from the provider by another way than the file.",
)
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="Trust policy (c2sp.org/tlog-policy) that the checkpoint of a bundle must meet.",
)
def verify_command(file: Path, trust_dir: Path, policy_file: Path | None) -> None:
    """Verify a saved notice mail or an evidence bundle, offline.

    Exit code 0: genuine; 1: not, and the step that failed; 2: no input.
    """
    trust, policy, archive = load_trust(trust_dir), load_policy(policy_file), _is_archive(file)
    if policy is not None and not archive:
        raise InvalidInputError(
            Fault("policy", "is for bundles: a notice is sent before witnesses cosign its checkpoint")
        )
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal or pipe that cannot show a character must not end the command before its verdict.
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    genuine = (
        _verify_bundle(file, trust, console, load_witnesses(trust_dir), policy)
        if archive
        else print_verification(_read(file), trust, console)
    )
    if not genuine:
        raise click.exceptions.Exit(1)


def _is_archive(path: Path) -> bool:
    """Whether a file is to be read as a bundle: no mail begins so, and no mail is named so."""
    try:
        with path.open("rb") as file:
            return path.suffix == ".zip" or file.read(2) == b"PK"
    except OSError as error:
        raise InvalidInputError(Fault(str(path), f"cannot be read: {error.strerror}")) from None


def _verify_bundle(
    path: Path, trust: Trust, console: Console, witnesses: Sequence[VerifierKey], policy: Policy | None
) -> bool:
    with path.open("rb") as file:
        return print_bundle_verification(file, trust, console, witnesses, policy)
